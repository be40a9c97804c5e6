"""Mixup on embeddings (MixKD, Eq. 1, 2 and 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MixPlan:
    """Who is mixed with whom; the same plan serves teacher and student.

    Attributes:
        lam: Weight of x_i, ``(B,)`` float32 in [0, 1].
        partner: Position j of each example's partner, ``(B,)`` int64.
        rows: Position i of each example, ``(B,)`` int64, where a process mixes only its rows of a global batch; None
            where they are the whole batch, in order.
    """

    lam: Tensor
    partner: Tensor
    rows: Tensor | None = None

    def own(self, values: Tensor) -> Tensor:
        """The values of each x_i."""
        return values if self.rows is None else values[self.rows]

    def other(self, values: Tensor) -> Tensor:
        """The values of each x_j."""
        return values[self.partner]


def draw_mix(
    batch_size: int,
    alpha: float,
    device: torch.device,
    per_sample: bool = True,
    generator: torch.Generator | None = None,
    rows: Tensor | None = None,
) -> MixPlan:
    """Draws λ ~ Beta(α, α) and a random permutation of the batch (MixKD, section 4.1: α = 0.4).

    Args:
        batch_size: B, of the global batch.
        alpha: Shape of the Beta distribution, > 0.
        device: Where the plan lives.
        per_sample: One λ for each example; otherwise one for the batch.
        generator: On the CPU; processes that share a batch must draw the same plan.
        rows: Which examples this process mixes; None mixes all.
    """
    # Beta(a, a) as a ratio of gammas, in float64 because gamma(0.4) underflows float32 at times
    shape = torch.full((2, batch_size if per_sample else 1), alpha, dtype=torch.float64)
    gamma = torch._standard_gamma(shape, generator=generator).clamp_min(torch.finfo(torch.float64).tiny)  # (2, B)
    lam = (gamma[0] / gamma.sum(0)).float().expand(batch_size)  # (B,)
    partner = torch.randperm(batch_size, generator=generator)
    if rows is not None:
        lam, partner = lam[rows.cpu()], partner[rows.cpu()]
    return MixPlan(lam.to(device, non_blocking=True), partner.to(device, non_blocking=True), rows)


def mix_embeddings(embeddings: Tensor, mask: Tensor, plan: MixPlan) -> Tensor:
    """``x' = λ x_i + (1-λ) x_j`` with padding as zeros (MixKD, Eq. 5 and the paragraph after it).

    Args:
        embeddings: Word plus token-type embeddings, ``(B, T, D)``; positions are common and need no mixing.
        mask: 1 for tokens and 0 for padding, ``(B, T)``.
        plan: λ and partners.

    Returns:
        Mixed embeddings, ``(B, T, D)``.
    """
    clean = embeddings * mask.unsqueeze(-1).to(embeddings.dtype)  # pad positions are zero before mixing
    lam = plan.lam.to(embeddings.dtype).view(-1, 1, 1)  # (B, 1, 1)
    return lam * plan.own(clean) + (1 - lam) * plan.other(clean)


def mix_mask(mask: Tensor, plan: MixPlan) -> Tensor:
    """The union of both examples' attention masks, ``(B, T)``."""
    return torch.maximum(plan.own(mask), plan.other(mask))
