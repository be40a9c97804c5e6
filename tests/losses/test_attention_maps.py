"""Losses on attention against numbers computed by hand; padding has no effect on any of them."""

from __future__ import annotations

import math

import pytest
import torch

from kdlab.losses.attention import map_kl, map_mse, score_mse
from kdlab.ops.attention import attention_scores

LN3 = math.log(3.0)
# one example of two tokens and one padding, one head; scores that involve the padding are wild
MASK = torch.tensor([[1, 1, 0]])
STUDENT = torch.tensor([[[[0.0, 0.0, 50.0], [0.0, 0.0, -9.0], [7.0, 8.0, 9.0]]]])
TEACHER = torch.tensor([[[[LN3, 0.0, -20.0], [0.0, LN3, 33.0], [1.0, 2.0, 3.0]]]])
# the maps are (1/2, 1/2) in both rows, and (3/4, 1/4) and (1/4, 3/4)


def test_scores():
    assert float(score_mse(STUDENT, TEACHER, MASK)) == pytest.approx(2 * LN3**2 / 4, rel=1e-6)


def test_maps():
    assert float(map_mse(STUDENT, TEACHER, MASK)) == pytest.approx(4 / 16 / 4, rel=1e-6)
    row = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(map_kl(STUDENT, TEACHER, MASK)) == pytest.approx(row, rel=1e-6)


def test_divergence_runs_from_teacher_to_student():
    row = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert float(map_kl(TEACHER, STUDENT, MASK)) == pytest.approx(row, rel=1e-6)


@pytest.mark.parametrize("loss", [score_mse, map_mse, map_kl])
def test_examples_count_alike_so_that_processes_can_share_a_batch(loss):
    scores = torch.randn(2, 4, 3, 5, 5)
    mask = (torch.arange(5) < torch.tensor([5, 2, 3, 4])[:, None]).long()
    batch_loss = loss(*scores, mask)
    parts = [loss(scores[0, rows], scores[1, rows], mask[rows]) for rows in ([0, 2], [1, 3])]
    torch.testing.assert_close(batch_loss, torch.stack(parts).mean())


@pytest.mark.parametrize("loss", [score_mse, map_mse, map_kl])
def test_heads_and_examples_are_means(loss):
    one = loss(STUDENT, TEACHER, MASK)
    torch.testing.assert_close(loss(STUDENT.expand(1, 4, 3, 3), TEACHER.expand(1, 4, 3, 3), MASK), one)
    none = torch.zeros(1, 1, 3, 3)
    both = loss(torch.cat([STUDENT, none]), torch.cat([TEACHER, none]), MASK.expand(2, 3))
    torch.testing.assert_close(both, one / 2)
    assert float(loss(TEACHER, TEACHER, MASK)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("loss", [score_mse, map_mse, map_kl])
def test_padding_gets_no_gradient(loss):
    scores = STUDENT.clone().requires_grad_()
    loss(scores, TEACHER, MASK).backward()
    assert scores.grad[..., 2].abs().max() == 0
    assert scores.grad[..., 2, :].abs().max() == 0
    assert scores.grad[..., :2, :2].abs().max() > 0
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("loss", [score_mse, map_mse, map_kl])
def test_other_shapes_are_refused(loss):
    with pytest.raises(ValueError, match="differ"):
        loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 1, 3, 3), MASK)


def test_scores_are_scaled_dot_products_of_each_head():
    query = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]]])  # (1, 2, 4)
    key = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [2.0, 2.0, 1.0, 1.0]]])
    root = math.sqrt(2)
    expected = torch.tensor([[[[1, 6], [0, 2]], [[4, 7], [1, 1]]]]) / root
    torch.testing.assert_close(attention_scores(query, key, 2), expected)
    torch.testing.assert_close(attention_scores(query, key, 1)[0, 0, 0], torch.tensor([5.0, 13.0]) / 2)


def test_autocast_does_not_round_scores():
    query, key = torch.randn(2, 1, 5, 8).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        scores = attention_scores(query, key, 2)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, attention_scores(query.float(), key.float(), 2))


def test_relations_fit_any_two_widths_and_heads():
    ours, theirs = torch.randn(2, 5, 16), torch.randn(2, 5, 24)
    a, b = attention_scores(ours, ours, 4), attention_scores(theirs, theirs, 4)
    assert a.shape == b.shape == (2, 4, 5, 5)
    assert float(map_kl(a, b, torch.ones(2, 5))) > 0
    with pytest.raises(ValueError, match="5 heads do not divide a width of 16"):
        attention_scores(ours, ours, 5)
