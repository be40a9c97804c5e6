"""MixKD: distillation on mixed embeddings (Liang et al. 2021, arXiv:2011.00593)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from kdlab.losses.soft_targets import logit_mse, mixed_supervised, supervised
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.methods.shared.settings import at_least, check_weights, positive
from kdlab.models.encoder import TextEncoder
from kdlab.ops.mixup import MixPlan, draw_mix, mix_embeddings, mix_mask
from kdlab.types import Batch, LossTerms, Need


@dataclass
class MixKDConfig(MethodConfig):
    """Settings of ``mixkd``; the defaults are the paper's (section 4.1).

    Attributes:
        alpha_sm: Weight of the student's loss on mixed labels; 0 is the paper's TMKD variant.
        alpha_tmkd: Weight of the distance to the teacher's logits on mixed inputs.
        beta: λ is drawn from Beta(beta, beta).
        ratio: Mixed samples for each original one (the sensitivity study takes 1, 2, 3).
        per_sample: One λ for each sample; otherwise one for the batch.
    """

    alpha_sm: float = 1.0
    alpha_tmkd: float = 1.0
    beta: float = 0.4
    ratio: int = 1
    per_sample: bool = True  # the paper indexes λ with the sample; its letter does not say whether it is shared

    def validate(self) -> None:
        """Checks ranges."""
        check_weights(self, "alpha_sm", "alpha_tmkd")
        positive(self, "beta")
        at_least(self, 1, "ratio", counts="mixed samples for each original one")


class MixKD(DistillModule):
    """``L = CE(S(x), y) + α_SM·CE(S(x'), y') + α_TMKD·MSE(T(x'), S(x'))`` (Eq. 8).

    ``x' = λ x_i + (1-λ) x_j`` on word plus token-type embeddings, padding as zeros, masks united; teacher and student
    mix their *own* embeddings with the same λ and partners. Departures from the paper's letter: Eq. 7 prints the
    teacher inside the second cross-entropy, a constant; it is the student's here.
    """

    name: ClassVar[str] = "mixkd"
    Config: ClassVar[type[MethodConfig]] = MixKDConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TEACHER})
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    config: MixKDConfig

    def compute_loss(self, batch: Batch) -> LossTerms:
        """The three losses; no pass is made whose weight is zero."""
        c = self.config
        ce = supervised(self.student.classify(batch), batch.gold(), self.task.regression)
        terms = {"ce": ce}
        if not (c.alpha_sm or c.alpha_tmkd):
            return LossTerms(ce, terms)
        mixed = [self._mixed_losses(batch) for _ in range(c.ratio)]
        for name in mixed[0]:
            terms[name] = torch.stack([losses[name] for losses in mixed]).mean()
        total = ce
        if "sm" in terms:
            total = total + c.alpha_sm * terms["sm"]
        if "tmkd" in terms:
            total = total + c.alpha_tmkd * terms["tmkd"]
        return LossTerms(total, terms)

    def _mixed_losses(self, batch: Batch) -> dict[str, Tensor]:
        c, whole = self.config, batch.whole or batch
        labels, device = whole.gold(), batch.input_ids.device
        plan = draw_mix(len(whole), c.beta, device, c.per_sample, self.shared_rng, batch.rows)
        student = mixed_logits(self.student, whole, plan)  # (B, C)
        losses = {}
        if c.alpha_sm:
            losses["sm"] = mixed_supervised(
                student, plan.own(labels), plan.other(labels), plan.lam, self.task.regression
            )
        if c.alpha_tmkd:
            with torch.no_grad():
                teacher = mixed_logits(self.frozen_teacher, whole, plan)
            losses["tmkd"] = logit_mse(student, teacher)
        return losses


def mixed_logits(encoder: TextEncoder, batch: Batch, plan: MixPlan) -> Tensor:
    """An encoder's logits on its own embeddings of the (global) batch, mixed by the plan, ``(B, C)``."""
    embeddings = encoder.embed(batch.input_ids, batch.token_type_ids)  # (B, T, D)
    mixed = mix_embeddings(embeddings, batch.attention_mask, plan)
    out = encoder(attention_mask=mix_mask(batch.attention_mask, plan), embeddings=mixed)
    return out.logits  # type: ignore[no-any-return]
