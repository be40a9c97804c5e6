"""The test over examples: all ways to flip signs, counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from kdlab.studies.flips import p_of_flips


def by_hand(gains: list[float]) -> float:
    sums = [
        sum(s * g for s, g in zip(signs, gains, strict=True)) for signs in itertools.product((1, -1), repeat=len(gains))
    ]
    return sum(total >= sum(gains) - 1e-9 for total in sums) / len(sums)


@pytest.mark.parametrize(
    "gains",
    [
        [1, 1, 1, -1],
        [0.25, -0.5, 0.75, 0.25, 1.0, -0.25],
        [1 / 3, 2 / 3, -1 / 3, 1.0, 1 / 3, 1 / 3, -2 / 3],
        [1 / 12, 5 / 12, -7 / 12, 0.25, 0.5],
        [-1.0, -1.0],
    ],
)
def test_every_way_is_counted(gains: list[float]):
    assert p_of_flips(np.array(gains)) == pytest.approx(by_hand(gains), abs=1e-12)


def test_right_and_wrong_answers_make_mcnemars_test():
    random = np.random.default_rng(0)
    for _ in range(5):
        gains = random.integers(-1, 2, size=300)
        only, other = int((gains > 0).sum()), int((gains < 0).sum())
        assert p_of_flips(gains) == pytest.approx(stats.binomtest(only, only + other, alternative="greater").pvalue)


def test_gains_of_zero_say_nothing():
    assert p_of_flips(np.zeros(9)) == 1.0
    assert p_of_flips(np.array([1.0, 0, 1, 0, 1])) == p_of_flips(np.ones(3)) == 1 / 8


def test_signs_are_drawn_where_gains_are_no_small_fractions():
    gains = np.random.default_rng(1).normal(0.3, 1.0, size=12)
    assert p_of_flips(gains) == pytest.approx(by_hand(gains.tolist()), abs=0.005)
    large = np.random.default_rng(2).normal(0.5, 1.0, size=400)
    assert p_of_flips(large) == pytest.approx(1e-5)  # none of the drawn ones reaches it


def test_a_wrong_copy_is_told_apart():
    gains = [0.25, -0.5, 0.75, 0.25, 1.0, -0.25]
    only_signs = by_hand([float(np.sign(g)) for g in gains])  # counts wins and forgets by how much
    assert p_of_flips(np.array(gains)) != pytest.approx(only_signs)
