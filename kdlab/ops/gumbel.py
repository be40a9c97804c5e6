"""Masked positions, filled in by straight-through Gumbel-softmax (Jang et al. 2016, arXiv:1611.01144).

Everything of the vocabulary's size exists at masked positions only: M of them in a batch, V words.
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
        ``(B, T)`` bool. Rows of nothing but special tokens have none.
    """
    may = (attention_mask == 1) & ~torch.isin(ids, special)  # (B, T)
    drawn = torch.rand(ids.shape, generator=generator).to(ids.device, non_blocking=True)
    lowest = torch.where(may, drawn, 2.0).argmin(1, keepdim=True)  # (B, 1)
    first = torch.zeros_like(may).scatter_(1, lowest, True)
    return may & ((drawn < p) | first)


def draw_uniform(
    counts: Sequence[int],
    *shape: int,
    rows: Collection[int] | None = None,
    device: torch.device,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Numbers in [0, 1), each as likely, for every masked position of a batch; example by example.

    Args:
        counts: Masked positions of each example of the batch that processes share.
        shape: Numbers a position: none for words without a gradient, V for words with one.
        rows: Examples whose numbers are kept; the others' are drawn all the same, one example at a time, so that no
            process holds more than its own. None keeps all.
        device: Where they are drawn: a vocabulary's worth a token is too much to carry over.
        generator: On the CPU; processes that share a batch must draw the same.

    Returns:
        ``(M, *shape)`` float32, M the positions kept, in the order of examples.
    """
    source = on_device(generator, device)
    kept = [torch.empty(0, *shape, device=device)]
    for row, count in enumerate(counts):
        drawn = torch.rand(count, *shape, device=device, generator=source)
        if rows is None or row in rows:
            kept.append(drawn)
    return torch.cat(kept)


def straight_through(logits: Tensor, uniform: Tensor, temperature: float = 1.0) -> Tensor:
    """One-hot rows whose gradient is the Gumbel-softmax's, as ``hard + soft - detach(soft)`` has it.

    Args:
        logits: ``(M, V)``.
        uniform: ``(M, V)`` in [0, 1), one number a word.
        temperature: Gumbel's τ > 0; it shapes the gradient, never the choice, which is a sample of ``softmax(logits)``.

    Returns:
        ``(M, V)`` float32, exactly one-hot.
    """
    gumbel = uniform.clamp_min(torch.finfo(torch.float32).tiny).log_().neg_().log_().neg_()  # of M × V, so in place
    drawn = logits.float() + gumbel
    rows: Tensor = _OneHot.apply(F.softmax(drawn / temperature, dim=-1), drawn.argmax(-1))  # type: ignore[no-untyped-call]
    return rows


def sample_words(logits: Tensor, uniform: Tensor) -> Tensor:
    """A sample of ``softmax(logits)`` where no gradient is wanted: one number a row, not one a word.

    Args:
        logits: ``(M, V)``.
        uniform: ``(M,)`` in [0, 1): the first word at which the words' summed probability exceeds it is taken.

    Returns:
        Ids ``(M,)``; never a word of probability 0.
    """
    return first_beyond(F.softmax(logits.float(), dim=-1), uniform)


def first_beyond(soft: Tensor, uniform: Tensor) -> Tensor:
    """The first word at which a row's summed probability exceeds its number: ``(M, V)`` and ``(M,)`` to ``(M,)``."""
    # which block of words, then which word of it: nothing of the vocabulary's size is made besides; and in 64 bits a
    # sum's rounding is far finer than the numbers drawn, so that it moves no word
    exact, vocabulary = torch.float64, soft.shape[-1]
    width = int(vocabulary**0.5)
    count = vocabulary // width
    blocks = soft[:, : count * width].view(len(soft), count, width).sum(-1, dtype=exact)
    rest = soft[:, count * width :].sum(-1, keepdim=True, dtype=exact)
    summed = torch.cat([blocks, rest], 1).cumsum(1)  # (M, blocks)
    reached = uniform[:, None] * summed[:, -1:]
    block = torch.searchsorted(summed, reached, right=True).clamp_max(count)  # rows of NaN exceed nothing
    at = block * width + torch.arange(width, device=soft.device)  # (M, words of a block)
    part = soft.gather(1, at.clamp_max(vocabulary - 1)).masked_fill(at >= vocabulary, 0.0).cumsum(1, dtype=exact)
    left = reached - F.pad(summed, (1, 0)).gather(1, block)
    words = block * width + torch.searchsorted(part, left, right=True)
    return words.squeeze(1).clamp_max(vocabulary - 1)


def fill_ids(ids: Tensor, masked: Tensor, words: Tensor) -> Tensor:
    """Ids with other words at masked positions.

    Args:
        ids: ``(B, T)``.
        masked: ``(B, T)`` bool, M of them.
        words: ``(M,)``, in the order of rows, then of positions.

    Returns:
        ``(B, T)``.
    """
    return ids.masked_scatter(masked, words)


def fill_embeddings(embeddings: Tensor, masked: Tensor, one_hot: Tensor, table: Tensor) -> Tensor:
    """Word embeddings with ``one_hot @ table`` at masked positions, so that gradients reach who chose the words.

    Args:
        embeddings: A network's own look-up of the original words, ``(B, T, D)``.
        masked: ``(B, T)`` bool, M of them.
        one_hot: ``(M, V)``.
        table: The same network's word embeddings, ``(V, D)``; it takes no gradient.

    Returns:
        ``(B, T, D)``.
    """
    made: Tensor = _Rows.apply(one_hot, table)  # type: ignore[no-untyped-call]
    return embeddings.masked_scatter(masked.unsqueeze(-1), made.to(embeddings.dtype))


class _OneHot(torch.autograd.Function):
    """Rows with a 1 at the words, exactly; their gradient goes to the soft rows as it is."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, words: Tensor) -> Tensor:
        """``(M, V)`` and ``(M,)`` to ``(M, V)``."""
        return torch.zeros_like(soft).scatter_(1, words.unsqueeze(1), 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """``(M, V)`` to itself."""
        return gradients[0], None


class _Rows(torch.autograd.Function):
    """``one_hot @ table``: a look-up on the way forward, exact under autocast too; on the way back the product."""

    @staticmethod
    def forward(ctx: Any, one_hot: Tensor, table: Tensor) -> Tensor:
        """``(M, V)`` and ``(V, D)`` to ``(M, D)``."""
        ctx.save_for_backward(table)
        kind = table.device.type
        ctx.arithmetic = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else table.dtype
        return table[one_hot.argmax(-1)]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """``(M, D)`` to ``(M, V)``; the table takes none."""
        (table,) = ctx.saved_tensors
        product = gradients[0].to(ctx.arithmetic) @ table.to(ctx.arithmetic).T
        return product.to(torch.float32), None
