"""Attention scores and relations, from the projections of one layer."""

from __future__ import annotations

import torch
from torch import Tensor


def split_heads(states: Tensor, heads: int) -> Tensor:
    """``(B, T, D)`` as ``(B, H, T, D/H)``.

    Raises:
        ValueError: H does not divide D.
    """
    size, longest, width = states.shape
    if width % heads:
        raise ValueError(f"{heads} heads do not divide a width of {width}")
    return states.view(size, longest, heads, width // heads).transpose(1, 2)


def attention_scores(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """Attention before the softmax, ``q·kᵀ/√d`` (Vaswani et al. 2017, Eq. 1), padding still included.

    With queries for keys, keys for keys or values for values these are MiniLMv2's relations (Wang et al. 2021,
    arXiv:2012.15828, Eq. 5), for any number of heads that divides the width.

    Args:
        query: ``(B, T, D)``.
        key: ``(B, T, D)``.
        heads: H.

    Returns:
        ``(B, H, T, T)`` float32: row i holds what token i looks at.
    """
    a, b = split_heads(query.float(), heads), split_heads(key.float(), heads)  # (B, H, T, d)
    with torch.autocast(query.device.type, enabled=False):  # it would round the product
        scores: Tensor = a @ b.transpose(2, 3) / float(a.shape[-1]) ** 0.5
    return scores
