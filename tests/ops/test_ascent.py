"""Projected ascent: balls, directions, and what an example's neighbours must not change."""

from __future__ import annotations

import pytest
import torch
from helpers import tiny_batch, tiny_encoder

from kdlab.ops.ascent import NORMS, Ball, ascend, climb, norm_of, project, random_like, random_start

MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])
DELTA = torch.zeros(2, 3, 4)
DELTA[0, 0, 0], DELTA[0, 1, 1], DELTA[0, 2, 2] = 3.0, 4.0, 12.0
DELTA[1, 0] = torch.tensor([1.0, -1.0, 1.0, 1.0])


def test_norms():
    assert norm_of(DELTA, "l2").tolist() == [13.0, 2.0]
    assert norm_of(DELTA, "l2_token").tolist() == [12.0, 2.0]
    assert norm_of(DELTA, "linf").tolist() == [12.0, 1.0]


def test_projection_onto_each_ball():
    projected = project(DELTA, Ball(1, 1.0, 6.5, "l2"))
    torch.testing.assert_close(projected[0], DELTA[0] / 2)
    torch.testing.assert_close(projected[1], DELTA[1])  # inside already
    tokens = project(DELTA, Ball(1, 1.0, 4.0, "l2_token"))
    assert [tokens[0, 0, 0], tokens[0, 1, 1], tokens[0, 2, 2]] == [3.0, 4.0, 4.0]
    assert project(DELTA, Ball(1, 1.0, 0.5, "linf")).abs().amax() == 0.5
    with pytest.raises(ValueError, match="there is no norm 'l1'"):
        project(DELTA, Ball(1, 1.0, 1.0, "l1"))


@pytest.mark.parametrize("norm", NORMS)
def test_zero_stays_zero(norm):
    ball = Ball(1, 1.0, 1.0, norm)
    assert project(torch.zeros(2, 3, 4), ball).abs().max() == 0
    delta = torch.zeros(2, 3, 4, requires_grad=True)
    assert ascend(delta, (delta * 0.0).sum(), ball).abs().max() == 0  # where the gradient is zero nothing moves


@pytest.mark.parametrize("norm", NORMS)
def test_a_step_is_as_long_as_it_says_in_its_norm(norm):
    delta = torch.zeros(2, 3, 4, requires_grad=True)
    gradient = torch.randn(2, 3, 4) * torch.tensor([1e-4, 1e3]).view(2, 1, 1)
    moved = ascend(delta, (delta * gradient).sum(), Ball(1, 0.25, 10.0, norm))
    torch.testing.assert_close(norm_of(moved, norm), torch.full((2,), 0.25))
    torch.testing.assert_close(torch.cosine_similarity(moved.flatten(1), gradient.flatten(1)), torch.ones(2))
    raw = ascend(delta, (delta * gradient).sum(), Ball(1, 0.25, 1e9, norm, raw=True))
    torch.testing.assert_close(raw, 0.25 * gradient)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("std", [0.0, 0.5])
def test_it_never_leaves_the_ball_and_never_enters_padding(norm, std):
    encoder, batch, deltas = tiny_encoder(), tiny_batch(), []
    ball = Ball(4, 0.3, 0.5, norm)

    def loss_at(delta):
        deltas.append(delta.detach().clone())
        return encoder.read(batch, None, delta).logits.square().sum()

    start = random_start(batch.attention_mask, 16, std, ball)
    end, before = climb(start, loss_at, ball)
    assert len(deltas) == 4
    torch.testing.assert_close(deltas[0], start)
    for delta in (*deltas, end):
        assert norm_of(delta, norm).max() <= 0.5 * (1 + 1e-6)
        assert delta[batch.attention_mask == 0].abs().max() == 0
    assert norm_of(end, norm).min() > 0.1
    assert max(float(norm_of(delta, norm).max()) for delta in (*deltas, end)) == pytest.approx(0.5)  # it was held back
    assert not end.requires_grad
    assert encoder.read(batch, None, end).logits.square().sum() > before
    assert all(p.grad is None for p in encoder.parameters())


def test_one_step_raises_a_smooth_loss_to_first_order():
    encoder, batch = tiny_encoder(), tiny_batch()

    def loss_at(delta):
        return encoder.read(batch, None, delta).logits.square().sum()

    zero = torch.zeros(6, 9, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss_at(zero), zero)
    ball = Ball(1, 1e-3, 1.0)
    end, before = climb(zero, loss_at, ball)
    rise = float(loss_at(end).detach() - before)
    assert rise == pytest.approx(1e-3 * float(norm_of(gradient, "l2").sum()), rel=0.05)


def test_an_examples_direction_does_not_depend_on_its_company():
    encoder, batch = tiny_encoder(), tiny_batch((7, 7, 7))

    def climbed(rows):
        ids, mask, types = batch.input_ids[rows], batch.attention_mask[rows], batch.token_type_ids[rows]
        start = torch.zeros(len(rows), 7, 16)
        return climb(start, lambda d: encoder(ids, mask, types, delta=d).logits.square().sum(), Ball(2, 0.1, 0.15))[0]

    torch.testing.assert_close(climbed([0, 1, 2])[:1], climbed([0]), atol=1e-5, rtol=1e-4)


def test_no_steps_leave_the_start():
    start = random_start(MASK, 4, 0.1, Ball(0, 1.0, 0.2))
    end, before = climb(start, lambda _: pytest.fail("no pass is needed"), Ball(0, 1.0, 0.2))
    assert torch.equal(end, start)
    assert before is None


def test_random_perturbations():
    torch.manual_seed(0)
    start = random_start(torch.ones(200, 5), 16, 0.1, Ball(1, 1.0, 100.0))
    assert float(start.std()) == pytest.approx(0.1, rel=0.02)
    assert norm_of(random_start(MASK, 4, 5.0, Ball(1, 1.0, 0.1)), "l2").tolist() == pytest.approx([0.1, 0.1])
    one, other = (random_start(MASK, 4, 1.0, Ball(1, 1.0, 9.0), torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, other)
    for norm in NORMS:
        like = random_like(DELTA, MASK, norm)
        torch.testing.assert_close(norm_of(like, norm), norm_of(DELTA, norm))
        assert like[MASK == 0].abs().max() == 0
