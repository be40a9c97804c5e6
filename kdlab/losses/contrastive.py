"""Contrastive losses between features of teacher and student."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(anchors: Tensor, candidates: Tensor, positive: Tensor | None = None, temperature: float = 2.0) -> Tensor:
    """``-log exp(<h_k, g_k>/τ) / Σ_j exp(<h_k, g_j>/τ)``, <·,·> the cosine (CILDA, Eq. 2, where τ is called τ2).

    With K negatives it is log(K+1) where all features are equal and log(1 + K·e^(-1/τ)) where they are orthonormal.

    Args:
        anchors: The teacher's features, ``(A, U)``.
        candidates: The student's features, ``(B, U)``; of the global batch where several processes share it.
        positive: Which candidate belongs to each anchor, ``(A,)``; None where they are in the same order.
        temperature: τ > 0.

    Returns:
        Mean over the anchors, a scalar; 0 for one candidate, which has no negatives.

    Raises:
        ValueError: Widths differ, or the temperature is not positive.
    """
    if anchors.shape[-1] != candidates.shape[-1]:
        raise ValueError(f"anchors {tuple(anchors.shape)} and candidates {tuple(candidates.shape)} differ in width")
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}: it must be positive")
    if positive is None:
        positive = torch.arange(len(anchors), device=anchors.device)
    with torch.autocast(anchors.device.type, enabled=False):
        a, b = F.normalize(anchors.float(), dim=-1), F.normalize(candidates.float(), dim=-1)
        cosines = a @ b.T  # (A, B)
    return F.cross_entropy(cosines / temperature, positive)


def info_nce_bounds(candidates: int, temperature: float = 2.0) -> tuple[float, float]:
    """The smallest and the largest value that ``info_nce`` can take: log(1 + K·e^(∓2/τ)), K = candidates - 1.

    At τ = 2 and 32 candidates they are 2.52 and 4.45; chance is log 32 = 3.47.
    """
    if candidates == 1:
        return 0.0, 0.0
    low, high = (math.log(candidates - 1) + sign * 2 / temperature for sign in (-1, 1))
    return _softplus(low), _softplus(high)


def _softplus(x: float) -> float:
    """log(1 + e^x), without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
