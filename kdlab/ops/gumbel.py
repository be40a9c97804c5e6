"""Fills masked positions by straight-through Gumbel-softmax (Jang et al. 2016, arXiv:1611.01144).

Tensors as wide as the vocabulary exist for masked positions only: M of them in a batch, V words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.ops.randomness import on_device


def draw_mask(
    ids: Tensor, attention_mask: Tensor, special: Tensor, p: float, generator: torch.Generator | None = None
) -> Tensor:
    """Which tokens are masked: each with probability p, at least one in every example that has one to mask.

    Args:
        ids: ``(B, T)``.
        attention_mask: 1 for tokens and 0 for padding, ``(B, T)``.
        special: Ids that are never masked, ``(S,)``.
        p: Probability, in (0, 1).
        generator: On the CPU; processes that share a batch must draw the same.

    Returns:
        ``(B, T)`` bool. Rows with only special tokens have none.
    """
    maskable = (attention_mask == 1) & ~torch.isin(ids, special)  # (B, T)
    drawn = torch.rand(ids.shape, generator=generator).to(ids.device, non_blocking=True)
    lowest = torch.where(maskable, drawn, 2.0).argmin(1, keepdim=True)  # (B, 1)
    forced = torch.zeros_like(maskable).scatter_(1, lowest, True)
    return maskable & ((drawn < p) | forced)


def draw_uniform(
    counts: Sequence[int],
    *shape: int,
    rows: Collection[int] | None = None,
    device: torch.device,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Uniform numbers in [0, 1) for every masked position of a batch, drawn example by example.

    Args:
        counts: Masked positions of each example of the batch that processes share.
        shape: Numbers per position: none for words without a gradient, V for words with one.
        rows: Examples whose numbers are kept. Those of the others are drawn too, one example at a time, and dropped, so
            that no process stores more than its own. None keeps all.
        device: Where they are drawn; V numbers per position are too many to copy from the CPU.
        generator: On the CPU; processes that share a batch must draw the same.

    Returns:
        ``(M, *shape)`` float32, M the kept positions, in the order of examples.
    """
    source = on_device(generator, device)
    parts = [torch.empty(0, *shape, device=device)]
    for row, count in enumerate(counts):
        uniform = torch.rand(count, *shape, device=device, generator=source)
        if rows is None or row in rows:
            parts.append(uniform)
    return torch.cat(parts)


def straight_through(logits: Tensor, uniform: Tensor, temperature: float = 1.0) -> Tensor:
    """One-hot rows whose gradient is the Gumbel-softmax's, as in ``hard + soft - detach(soft)``.

    Args:
        logits: ``(M, V)``.
        uniform: ``(M, V)`` in [0, 1), one number per word.
        temperature: Gumbel's τ > 0. It changes the gradient but not the choice, a sample of ``softmax(logits)``.

    Returns:
        ``(M, V)`` float32, exactly one-hot.
    """
    gumbel = uniform.clamp_min(torch.finfo(torch.float32).tiny).log_().neg_().log_().neg_()  # (M, V), so in place
    perturbed = logits.float() + gumbel
    rows: Tensor = _OneHot.apply(F.softmax(perturbed / temperature, dim=-1), perturbed.argmax(-1))  # type: ignore[no-untyped-call]
    return rows


def sample_words(logits: Tensor, uniform: Tensor) -> Tensor:
    """A sample of ``softmax(logits)`` without gradient; it needs one number per row instead of one per word.

    Args:
        logits: ``(M, V)``.
        uniform: ``(M,)`` in [0, 1); the first word whose cumulative probability exceeds it is chosen.

    Returns:
        Ids ``(M,)``; never a word of probability 0.
    """
    return first_beyond(F.softmax(logits.float(), dim=-1), uniform)


def first_beyond(soft: Tensor, uniform: Tensor) -> Tensor:
    """The first word whose cumulative probability exceeds the row's number: ``(M, V)`` and ``(M,)`` to ``(M,)``."""
    # first the block of words, then the word in it, so that no second (M, V) tensor is allocated; in 64 bits the
    # rounding of sums is far finer than the drawn numbers, so it changes no choice
    dtype, vocabulary = torch.float64, soft.shape[-1]
    width = int(vocabulary**0.5)
    count = vocabulary // width
    blocks = soft[:, : count * width].view(len(soft), count, width).sum(-1, dtype=dtype)
    rest = soft[:, count * width :].sum(-1, keepdim=True, dtype=dtype)
    summed = torch.cat([blocks, rest], 1).cumsum(1)  # (M, blocks)
    targets = uniform[:, None] * summed[:, -1:]
    block = torch.searchsorted(summed, targets, right=True).clamp_max(count)  # NaN rows exceed nothing
    ids = block * width + torch.arange(width, device=soft.device)  # (M, words of a block)
    within = soft.gather(1, ids.clamp_max(vocabulary - 1)).masked_fill(ids >= vocabulary, 0.0).cumsum(1, dtype=dtype)
    remainder = targets - F.pad(summed, (1, 0)).gather(1, block)
    words = block * width + torch.searchsorted(within, remainder, right=True)
    return words.squeeze(1).clamp_max(vocabulary - 1)


def fill_ids(ids: Tensor, masked: Tensor, words: Tensor) -> Tensor:
    """Ids with ``words`` at masked positions.

    Args:
        ids: ``(B, T)``.
        masked: ``(B, T)`` bool, M of them.
        words: ``(M,)``, in the order of rows, then of positions.

    Returns:
        ``(B, T)``.
    """
    return ids.masked_scatter(masked, words)


def fill_embeddings(embeddings: Tensor, masked: Tensor, one_hot: Tensor, table: Tensor) -> Tensor:
    """Word embeddings with ``one_hot @ table`` at masked positions, so that gradients reach whatever chose the words.

    Args:
        embeddings: The reading network's embeddings of the original words, ``(B, T, D)``.
        masked: ``(B, T)`` bool, M of them.
        one_hot: ``(M, V)``.
        table: The same network's word embeddings, ``(V, D)``; it gets no gradient.

    Returns:
        ``(B, T, D)``.
    """
    chosen: Tensor = _LookUp.apply(one_hot, table)  # type: ignore[no-untyped-call]
    return embeddings.masked_scatter(masked.unsqueeze(-1), chosen.to(embeddings.dtype))


class _OneHot(torch.autograd.Function):
    """Exact one-hot rows at the words; their gradient goes to the soft rows unchanged."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, words: Tensor) -> Tensor:
        """``(M, V)`` and ``(M,)`` to ``(M, V)``."""
        return torch.zeros_like(soft).scatter_(1, words.unsqueeze(1), 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """``(M, V)``, unchanged."""
        return gradients[0], None


class _LookUp(torch.autograd.Function):
    """``one_hot @ table``: a look-up in the forward pass, exact under autocast; the product in the backward pass."""

    @staticmethod
    def forward(ctx: Any, one_hot: Tensor, table: Tensor) -> Tensor:
        """``(M, V)`` and ``(V, D)`` to ``(M, D)``."""
        ctx.save_for_backward(table)
        device = table.device.type
        ctx.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else table.dtype
        return table[one_hot.argmax(-1)]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """``(M, D)`` to ``(M, V)``; the table gets none."""
        (table,) = ctx.saved_tensors
        product = gradients[0].to(ctx.dtype) @ table.to(ctx.dtype).T
        return product.to(torch.float32), None
