"""InfoNCE against its closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from kdlab.losses.contrastive import info_nce, info_nce_bounds


@pytest.mark.parametrize("size", [1, 2, 8, 32])
@pytest.mark.parametrize("t", [0.07, 1.0, 2.0])
def test_closed_forms(size, t):
    negatives = size - 1
    equal = torch.ones(size, 40)
    assert float(info_nce(equal, 3 * equal, temperature=t)) == pytest.approx(math.log(negatives + 1), abs=1e-5)
    apart = torch.eye(size, 40) * 5  # lengths play no part
    expected = math.log(1 + negatives * math.exp(-1 / t))
    assert float(info_nce(apart, apart * 0.1, temperature=t)) == pytest.approx(expected, abs=1e-5)


def test_the_bounds_are_reached():
    """Two opposite features give the lowest value, and swapped they give the highest."""
    low, high = info_nce_bounds(2, 2.0)
    pair = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert float(info_nce(pair, pair)) == pytest.approx(low)
    assert float(info_nce(pair, -pair)) == pytest.approx(high)
    assert info_nce_bounds(32, 2.0) == pytest.approx((2.52, 4.45), abs=0.005)
    assert info_nce_bounds(1) == (0.0, 0.0)


def test_it_is_the_mean_of_its_rows_with_the_teacher_as_anchor():
    draw = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(5, 8, generator=draw), torch.randn(5, 8, generator=draw)
    total = 0.0
    for k in range(5):
        cosines = [float(torch.dot(teacher[k], s) / teacher[k].norm() / s.norm()) for s in student]
        total -= cosines[k] / 2 - math.log(sum(math.exp(c / 2) for c in cosines))
    assert float(info_nce(teacher, student)) == pytest.approx(total / 5, abs=1e-5)
    assert float(info_nce(student, teacher)) != pytest.approx(total / 5, abs=1e-4)


def test_parts_of_a_batch_add_up_to_the_whole():
    draw = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(5, 8, generator=draw), torch.randn(5, 8, generator=draw)
    parts = [torch.tensor([0, 2, 4]), torch.tensor([1, 3])]
    losses = [len(rows) / 5 * info_nce(teacher[rows], student, rows) for rows in parts]
    torch.testing.assert_close(sum(losses), info_nce(teacher, student))


@pytest.mark.parametrize("temperature", [2.0, 0.5, 0.002])  # e^(2/0.002) is no float
def test_bounds_are_those_of_features_alike_and_opposite(temperature: float):
    one = torch.eye(1, 4)
    low, high = info_nce_bounds(3, temperature)
    for sign, bound in ((1, low), (-1, high)):
        anchors, candidates = one, torch.cat([sign * one, -sign * one, -sign * one])
        assert float(info_nce(anchors, candidates, torch.tensor([0]), temperature)) == pytest.approx(bound, rel=1e-5)
    assert info_nce_bounds(1, temperature) == (0.0, 0.0)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="differ in width"):
        info_nce(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="temperature is 0"):
        info_nce(torch.ones(2, 3), torch.ones(2, 3), temperature=0)
