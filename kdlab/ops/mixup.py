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
    """

    lam: Tensor
    partner: Tensor


def draw_mix(batch_size: int, alpha: float, device: torch.device, per_sample: bool = True) -> MixPlan:
    """Draws λ ~ Beta(α, α) and a random permutation of the batch (MixKD, section 4.1: α = 0.4).

    Args:
        batch_size: B.
        alpha: Shape of the Beta distribution, > 0.
        device: Where the plan lives.
        per_sample: One λ for each example; otherwise one for the batch.
    """
    # float64: Beta(0.4, 0.4) is drawn through gammas that underflow float32 at times
    concentration = torch.tensor(alpha, dtype=torch.float64, device=device)
    lam = torch.distributions.Beta(concentration, concentration).sample((batch_size if per_sample else 1,))
    lam = lam.float().expand(batch_size)  # (B,)
    return MixPlan(lam=lam, partner=torch.randperm(batch_size, device=device))


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
    return lam * clean + (1 - lam) * clean[plan.partner]


def mix_mask(mask: Tensor, plan: MixPlan) -> Tensor:
    """The union of both examples' attention masks, ``(B, T)``."""
    return torch.maximum(mask, mask[plan.partner])
