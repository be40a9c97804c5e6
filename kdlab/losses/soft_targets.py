"""Losses on labels and on a teacher's logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def supervised(logits: Tensor, labels: Tensor, regression: bool = False) -> Tensor:
    """Cross-entropy with the gold label; mean squared error on the scalar for regression (MixKD, Eq. 3).

    Args:
        logits: ``(B, C)``; C = 1 for regression.
        labels: ``(B,)`` int64 class indices, or float scores.
        regression: Whether labels are scores.

    Returns:
        Mean over the batch, a scalar.
    """
    if regression:
        return F.mse_loss(logits.float().squeeze(-1), labels.float())
    return F.cross_entropy(logits.float(), labels)


def mixed_supervised(logits: Tensor, labels: Tensor, partner: Tensor, lam: Tensor, regression: bool = False) -> Tensor:
    """Cross-entropy with the interpolated label ``y' = λ y_i + (1-λ) y_j`` (MixKD, Eq. 2 and 7).

    Args:
        logits: ``(B, C)``, the student's on the mixed input.
        labels: ``(B,)`` labels of x_i.
        partner: ``(B,)`` labels of x_j.
        lam: ``(B,)`` mixing weight of x_i.
        regression: Whether labels are scores; then the mean squared error to the interpolated score.

    Returns:
        Mean over the batch, a scalar.
    """
    if regression:
        target = lam * labels.float() + (1 - lam) * partner.float()  # (B,)
        return F.mse_loss(logits.float().squeeze(-1), target)
    per_label = F.cross_entropy(logits.float(), labels, reduction="none")  # (B,)
    per_partner = F.cross_entropy(logits.float(), partner, reduction="none")  # (B,)
    return (lam * per_label + (1 - lam) * per_partner).mean()


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, scale_t2: bool = True, regression: bool = False
) -> Tensor:
    """Kullback-Leibler divergence ``t² · KL(softmax(z_T / t) ‖ softmax(z_S / t))`` (Hinton et al. 2015, section 2).

    The factor t² keeps the gradient's size independent of the temperature. For regression it is the mean squared error
    between the scalars, without temperature.

    Args:
        student: Student logits z_S, ``(B, C)``.
        teacher: Teacher logits z_T, ``(B, C)``.
        temperature: t > 0.
        scale_t2: Whether to multiply by t².
        regression: Whether the outputs are scores (C = 1).

    Returns:
        Sum over classes, mean over the batch, in nats; a scalar.

    Raises:
        ValueError: Shapes differ or the temperature is not positive.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student logits {tuple(student.shape)} and teacher logits {tuple(teacher.shape)} differ")
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}: it must be positive")
    if regression:
        return logit_mse(student, teacher)
    log_p = F.log_softmax(student.float() / temperature, dim=-1)
    log_q = F.log_softmax(teacher.float() / temperature, dim=-1)
    divergence = F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)
    return divergence * temperature**2 if scale_t2 else divergence


def logit_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error between logits (MixKD, Eq. 6 with the paper's choice of d).

    Args:
        student: ``(B, C)``.
        teacher: ``(B, C)``.

    Returns:
        Mean over classes and batch, a scalar.

    Raises:
        ValueError: Shapes differ (a silent broadcast would give a wrong loss).
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student logits {tuple(student.shape)} and teacher logits {tuple(teacher.shape)} differ")
    return F.mse_loss(student.float(), teacher.float())
