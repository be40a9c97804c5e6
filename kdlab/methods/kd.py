"""Knowledge distillation on clean logits (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kdlab.losses.soft_targets import soft_cross_entropy
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.methods.shared.labelled import gold_loss
from kdlab.methods.shared.settings import fraction, positive
from kdlab.types import Batch, LossTerms, Need


@dataclass
class KDConfig(MethodConfig):
    """Settings of ``kd``.

    Attributes:
        alpha: Weight of the soft loss; 1 - alpha is the gold label's.
        temperature: t > 0; plays no part in regression.
        scale_t2: Whether the soft loss carries t², which keeps its gradient's size (Hinton et al. 2015, section 2).
    """

    alpha: float = 0.5
    temperature: float = 4.0  # the robustness study's; AD² takes 1
    scale_t2: bool = True  # the robustness study prints its loss without it

    def validate(self) -> None:
        """Checks ranges."""
        fraction(self, "alpha")
        positive(self, "temperature")


class KD(DistillModule):
    """``L = (1-α)·CE(S(x), y) + α·t²·KL(softmax(T(x)/t) ‖ softmax(S(x)/t))``.

    The teacher's clean logits are computed once and come with the batch. For regression both parts are mean squared
    errors on the scalar. Of rows without labels (``data.labelled``, ``data.unlabelled``) there is the soft part alone,
    and CE is the mean over those of the batch's rows that have one.
    """

    name: ClassVar[str] = "kd"
    Config: ClassVar[type[MethodConfig]] = KDConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS})
    takes_unlabelled: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    config: KDConfig

    def compute_loss(self, batch: Batch) -> LossTerms:
        """Gold-label and soft-target loss on the clean batch."""
        logits = self.student.classify(batch)  # (B, C)
        c = self.config
        ce = gold_loss(logits, batch, self.task.regression)
        soft = soft_cross_entropy(logits, batch.soft_labels(), c.temperature, c.scale_t2, self.task.regression)
        return LossTerms((1 - c.alpha) * ce + c.alpha * soft, {"ce": ce, "kd": soft})
