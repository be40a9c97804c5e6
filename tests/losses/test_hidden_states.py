"""Losses on hidden states against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from kdlab.losses.hidden import hidden_mse, pkd_loss

# two layers, two examples, width 2
TEACHER = [torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [5.0, 12.0]])]
STUDENT = [torch.tensor([[4.0, 3.0], [0.0, 7.0]]), torch.tensor([[0.0, 1.0], [-5.0, -12.0]])]


def test_two_layers_of_normalised_states():
    # layer 1: (.8-.6)² + (.6-.8)² = .08 and 0, over 2·2 numbers; layer 2: 1+1 and 4·(25+144)/169 = 4, over 4
    expected = 0.08 / 4 + 6 / 4
    assert float(pkd_loss(STUDENT, TEACHER)) == pytest.approx(expected, rel=1e-6)
    assert float(pkd_loss(STUDENT[:1], TEACHER[:1])) == pytest.approx(0.02, rel=1e-6)


def test_length_plays_no_part_in_normalised_states():
    longer = [3 * s for s in STUDENT]
    torch.testing.assert_close(pkd_loss(longer, TEACHER), pkd_loss(STUDENT, TEACHER))
    assert float(pkd_loss([7 * t for t in TEACHER], TEACHER)) == pytest.approx(0, abs=1e-12)


def test_two_layers_of_hidden_states_over_real_tokens():
    mask = torch.tensor([[1, 1], [1, 0]])
    teacher = [torch.zeros(2, 2, 2), torch.ones(2, 2, 2)]
    first = torch.tensor([[[1.0, 2.0], [0.0, 2.0]], [[3.0, 0.0], [99.0, 99.0]]])  # 1+4+0+4, 9+0
    second = torch.tensor([[[1.0, 1.0], [2.0, 1.0]], [[1.0, -1.0], [-99.0, 5.0]]])  # 0+0+1+0, 0+4
    # 2 tokens of 2 numbers, and 1 of 2: layer 1 (9/4 + 9/2) / 2, layer 2 (1/4 + 4/2) / 2
    assert float(hidden_mse([first, second], teacher, mask)) == pytest.approx(3.375 + 1.125, rel=1e-6)


def test_padding_gets_no_gradient():
    states = torch.randn(2, 3, 4, requires_grad=True)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    hidden_mse([states], [torch.zeros(2, 3, 4)], mask).backward()
    assert states.grad[mask == 0].abs().max() == 0
    assert states.grad[mask == 1].abs().min() > 0


def test_low_precision_is_summed_in_float32():
    states = torch.full((1, 1, 4096), 0.1, dtype=torch.bfloat16)
    loss = hidden_mse([states], [torch.zeros_like(states)], torch.ones(1, 1))
    assert loss.dtype == torch.float32
    assert math.isclose(float(loss), float(states[0, 0, 0]) ** 2, rel_tol=1e-4)


@pytest.mark.parametrize(("ours", "theirs"), [((2, 3), (2, 4)), ((1, 3), (2, 3))])
def test_other_shapes_are_refused(ours, theirs):
    with pytest.raises(ValueError, match="differ"):
        pkd_loss([torch.zeros(ours)], [torch.zeros(theirs)])
    with pytest.raises(ValueError, match="differ"):
        hidden_mse([torch.zeros(2, *ours)], [torch.zeros(2, *theirs)], torch.ones(2, ours[0]))


def test_other_numbers_of_layers_are_refused():
    with pytest.raises(ValueError, match="differ"):
        pkd_loss(STUDENT, TEACHER[:1])
    with pytest.raises(ValueError, match="differ"):
        pkd_loss([], [])
