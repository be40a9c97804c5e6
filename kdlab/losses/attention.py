"""Losses between the attention of teacher and student, from scores before the softmax.

Padding is left out as key and as query: only scores and map entries between tokens count. Every example has the same
weight, however long it is, so that several processes can share a batch.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def score_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error between scores before the softmax (Jiao et al. 2020, arXiv:1909.10351, Eq. 7).

    Args:
        student: ``(B, H, T, T)``.
        teacher: ``(B, H, T, T)``.
        mask: 1 for tokens and 0 for padding, ``(B, T)``.

    Returns:
        Mean over heads and all pairs of tokens of an example, mean over the batch; a scalar.

    Raises:
        ValueError: Shapes differ.
    """
    _same_shape(student, teacher)
    gap = (student.float() - teacher.float()).square() * _pairs(mask)  # (B, H, T, T)
    return (gap.mean(1).sum((1, 2)) / mask.sum(1).square()).mean()


def map_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error between attention maps, ``softmax`` of the scores over real tokens.

    Args:
        student: Scores, ``(B, H, T, T)``.
        teacher: Scores, ``(B, H, T, T)``.
        mask: 1 for tokens and 0 for padding, ``(B, T)``.

    Returns:
        Mean over heads and all pairs of tokens of an example, mean over the batch; a scalar.

    Raises:
        ValueError: Shapes differ.
    """
    _same_shape(student, teacher)
    return score_mse(_log_maps(student, mask).exp(), _log_maps(teacher, mask).exp(), mask)


def map_kl(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """``KL(A_T ‖ A_S)`` between attention maps or relations (Wang et al. 2020, arXiv:2002.10957, Eq. 7).

    Args:
        student: Scores, ``(B, H, T, T)``.
        teacher: Scores, ``(B, H, T, T)``.
        mask: 1 for tokens and 0 for padding, ``(B, T)``.

    Returns:
        Sum over keys, mean over heads and an example's tokens, mean over the batch, in nats; a scalar.

    Raises:
        ValueError: Shapes differ.
    """
    _same_shape(student, teacher)
    log_p, log_q = _log_maps(student, mask), _log_maps(teacher, mask)
    gap = F.kl_div(log_p, log_q, reduction="none", log_target=True) * _pairs(mask)  # (B, H, T, T)
    return (gap.mean(1).sum((1, 2)) / mask.sum(1)).mean()


def _log_maps(scores: Tensor, mask: Tensor) -> Tensor:
    """Log of the attention probabilities ``(B, H, T, T)``; a padding key gets practically none."""
    padding = mask[:, None, None, :] == 0
    return F.log_softmax(scores.float().masked_fill(padding, -1e4), dim=-1)


def _pairs(mask: Tensor) -> Tensor:
    """1 where query and key are both tokens, ``(B, 1, T, T)``."""
    keep = mask.float()
    return keep[:, None, :, None] * keep[:, None, None, :]


def _same_shape(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape:
        raise ValueError(f"student maps {tuple(student.shape)} and teacher maps {tuple(teacher.shape)} differ")
