"""Losses on labels and logits, by arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from kdlab.losses.soft_targets import logit_mse, mixed_supervised, soft_cross_entropy, supervised


def logits(seed: int, size: int = 5, classes: int = 3) -> torch.Tensor:
    return torch.randn(size, classes, generator=torch.Generator().manual_seed(seed))


def gradient(loss, student, *rest, **settings) -> torch.Tensor:
    student = student.clone().requires_grad_()
    return torch.autograd.grad(loss(student, *rest, **settings), student)[0]


def test_equal_logits_have_no_divergence_at_any_temperature():
    z = logits(0)
    for t in (0.5, 1.0, 4.0):
        assert soft_cross_entropy(z, z + 7.0, t).abs() < 1e-6  # softmax ignores a common shift
        assert gradient(soft_cross_entropy, z, z, temperature=t).abs().max() < 1e-6


def test_divergence_of_two_coins_by_hand():
    teacher = torch.tensor([[math.log(3.0), 0.0]])  # (3/4, 1/4)
    student = torch.tensor([[0.0, 0.0]])  # (1/2, 1/2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert soft_cross_entropy(student, teacher).item() == pytest.approx(expected, rel=1e-6)
    both = soft_cross_entropy(torch.cat([student, teacher]), torch.cat([teacher, teacher]))
    assert both.item() == pytest.approx(expected / 2, rel=1e-6)  # the mean over the batch, the sum over classes


def test_temperature_by_hand():
    teacher, student = torch.tensor([[2 * math.log(3.0), 0.0]]), torch.zeros(1, 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert soft_cross_entropy(student, teacher, 2.0).item() == pytest.approx(4 * expected, rel=1e-6)
    assert soft_cross_entropy(student, teacher, 2.0, scale_t2=False).item() == pytest.approx(expected, rel=1e-6)


def test_the_divergence_is_from_teacher_to_student():
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    forward, backward = soft_cross_entropy(student, teacher).item(), soft_cross_entropy(teacher, student).item()
    assert forward == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-6)
    assert backward == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25), rel=1e-6)
    assert abs(forward - backward) > 0.01


def test_t_squared_keeps_the_size_of_the_gradient():
    student, teacher = logits(1), logits(2)
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    limit = centred / student.numel()  # Hinton et al. 2015, Eq. 4, times t²
    at_100 = gradient(soft_cross_entropy, student, teacher, temperature=100.0)
    torch.testing.assert_close(at_100, limit, atol=3e-3, rtol=0)
    sizes = [gradient(soft_cross_entropy, student, teacher, temperature=t).norm() for t in (1.0, 4.0, 100.0)]
    assert max(sizes) / min(sizes) < 2
    bare = gradient(soft_cross_entropy, student, teacher, temperature=100.0, scale_t2=False)
    torch.testing.assert_close(bare * 1e4, at_100, atol=1e-5, rtol=1e-3)


def test_a_step_against_the_gradient_brings_the_student_nearer():
    student, teacher = logits(3), logits(4)
    for loss in (soft_cross_entropy, logit_mse):
        before = loss(student, teacher)
        assert before > 0
        assert loss(student - 0.5 * gradient(loss, student, teacher), teacher) < before
        assert loss(student + 0.5 * (teacher - student), teacher) < before


def test_regression_is_a_squared_error_without_temperature():
    student, teacher = torch.tensor([[1.0], [4.0]]), torch.tensor([[3.0], [1.0]])
    assert soft_cross_entropy(student, teacher, 7.0, regression=True).item() == pytest.approx((4 + 9) / 2)
    assert supervised(student, torch.tensor([3.0, 1.0]), regression=True).item() == pytest.approx((4 + 9) / 2)


def test_cross_entropy_by_hand():
    z = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    expected = -(math.log(0.25) + math.log(0.5)) / 2
    assert supervised(z, torch.tensor([1, 0])).item() == pytest.approx(expected, rel=1e-6)


def test_half_precision_logits_are_summed_in_single():
    student, teacher = logits(5), logits(6)
    for loss in (soft_cross_entropy, logit_mse):
        value = loss(student.bfloat16(), teacher.bfloat16())
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, loss(student.bfloat16().float(), teacher.bfloat16().float()))


@pytest.mark.parametrize("loss", [soft_cross_entropy, logit_mse])
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4, 3\)"):
        loss(torch.zeros(4, 1), torch.zeros(4, 3))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="must be positive"):
        soft_cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2), temperature)


def test_the_mixed_loss_is_the_cross_entropy_with_the_mixed_label():
    z, lam = logits(7), torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    labels, partners = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 1, 0, 2, 0])
    target = lam[:, None] * F.one_hot(labels, 3) + (1 - lam)[:, None] * F.one_hot(partners, 3)
    expected = -(target * z.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(mixed_supervised(z, labels, partners, lam), expected)


def test_the_mixed_loss_at_one_is_the_plain_loss_and_at_zero_the_partners():
    z, labels, partners = logits(8), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 0, 0, 2, 2])
    torch.testing.assert_close(mixed_supervised(z, labels, partners, torch.ones(5)), supervised(z, labels))
    torch.testing.assert_close(mixed_supervised(z, labels, partners, torch.zeros(5)), supervised(z, partners))


def test_the_mixed_regression_target_is_the_mixed_score():
    z, lam = torch.tensor([[1.0], [2.0]]), torch.tensor([0.25, 1.0])
    value = mixed_supervised(z, torch.tensor([4.0, 3.0]), torch.tensor([0.0, 5.0]), lam, regression=True)
    assert value.item() == pytest.approx((0.0 + 1.0) / 2)  # targets 1 and 3
