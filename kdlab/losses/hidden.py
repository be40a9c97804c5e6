"""Losses between hidden states of teacher and student."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def pkd_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """``Σ_layers MSE(h_S/‖h_S‖, h_T/‖h_T‖)`` on ``[CLS]`` states (Sun et al. 2019, arXiv:1908.09355, Eq. 7).

    Args:
        student: ``(B, D)`` of each mapped layer.
        teacher: ``(B, D)`` of the layer it learns from.

    Returns:
        Mean over batch and width, sum over layers; a scalar. The paper sums over batch and width as well; its code and
        its β of 10 to 1,000 take the mean.

    Raises:
        ValueError: The numbers of layers or their shapes differ.
    """
    _same_layers(student, teacher)
    parts = [
        F.mse_loss(F.normalize(s.float(), dim=-1), F.normalize(t.float(), dim=-1))
        for s, t in zip(student, teacher, strict=True)
    ]
    return torch.stack(parts).sum()


def hidden_mse(student: Sequence[Tensor], teacher: Sequence[Tensor], mask: Tensor) -> Tensor:
    """``Σ_layers MSE(H_S, H_T)`` over real tokens (Jiao et al. 2020, arXiv:1909.10351, Eq. 8 and 9).

    Args:
        student: ``(B, T, D)`` of each mapped layer, projected where widths differ.
        teacher: ``(B, T, D)`` of the layer it learns from.
        mask: 1 for tokens and 0 for padding, ``(B, T)``.

    Returns:
        Mean over width and an example's tokens without padding, mean over the batch (so that several processes can
        share it), sum over layers; a scalar.

    Raises:
        ValueError: The numbers of layers or their shapes differ.
    """
    _same_layers(student, teacher)
    weights = mask.float() / mask.sum(1, keepdim=True)  # (B, T): weight of each token in its example
    gaps = [(s.float() - t.float()).square().mean(-1) for s, t in zip(student, teacher, strict=True)]  # (B, T) each
    return torch.stack([(gap * weights).sum() for gap in gaps]).sum() / len(mask)


def _same_layers(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    ours, theirs = [tuple(x.shape) for x in student], [tuple(x.shape) for x in teacher]
    if not ours or ours != theirs:
        raise ValueError(f"student states {ours} and teacher states {theirs} differ")
