"""When a victim is fooled, and by how much: TextAttack's rule for probabilities, and the softmax."""

from __future__ import annotations

import math

import pytest
import torch

from kdlab.attacks.goals import Untargeted
from kdlab.attacks.text import AttackText

GOAL = Untargeted()
PROBABILITIES = [[0.25, 0.75], [0.5, 0.5]]


def table(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_rows_that_sum_to_1_are_probabilities_in_compat():
    rows = table(*PROBABILITIES)
    assert GOAL.probabilities(rows, compat=True) is rows
    assert GOAL.probabilities(table([2.0, -1.0]), compat=True).tolist() == [[2.0, -1.0]]  # whatever they are


def test_one_row_that_misses_1_takes_the_softmax_of_all():
    rows = table(*PROBABILITIES, [0.0, 0.0])
    assert torch.equal(GOAL.probabilities(rows, compat=True), torch.softmax(rows, 1))


@pytest.mark.parametrize(("more", "kept"), [(0.9e-6, True), (-0.9e-6, True), (1.1e-6, False), (-1.1e-6, False)])
def test_rows_miss_1_by_a_millionth(more: float, kept: bool):
    rows = table([0.25, 0.75 + more])
    expected = rows if kept else torch.softmax(rows, 1)
    assert torch.equal(GOAL.probabilities(rows, compat=True), expected)


def test_fixed_always_takes_the_softmax():
    rows = table([0.25, 0.75])
    (found,) = GOAL.probabilities(rows, compat=False).tolist()
    assert found[1] == pytest.approx(1 / (1 + math.exp(-0.5)))


def test_the_score_is_what_is_missing_from_the_label_s_probability():
    text = AttackText.of(["a"])
    one = GOAL.judge(text, torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64), 0)
    assert (one.text, one.score, one.predicted, one.fooled) == (text, 0.75, 1, True)
    one = GOAL.judge(text, torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64), 1)
    assert (one.score, one.predicted, one.fooled) == (0.5, 1, False)


def test_of_equal_labels_the_first_is_given():
    even = torch.tensor([0.5, 0.5])
    assert not GOAL.judge(AttackText.of(["a"]), even, 0).fooled
    assert GOAL.judge(AttackText.of(["a"]), even, 1).fooled


def test_scores_are_in_the_victim_s_precision():
    row = torch.tensor([0.1, 0.9])
    assert GOAL.judge(AttackText.of(["a"]), row, 0).score == (1 - row[0]).item() != 1 - 0.1
