"""Plain fine-tuning: the baseline of every table, and how teachers are made."""

from __future__ import annotations

from typing import ClassVar

from kdlab.losses.soft_targets import supervised
from kdlab.methods.base import DistillModule
from kdlab.types import Batch, LossTerms


class FineTune(DistillModule):
    """``L = CE(S(x), y)``; mean squared error for regression (MixKD, Eq. 3)."""

    name: ClassVar[str] = "finetune"

    def compute_loss(self, batch: Batch) -> LossTerms:
        """Cross-entropy with the gold label."""
        loss = supervised(self.student.classify(batch), batch.gold(), self.task.regression)
        return LossTerms(loss, {"ce": loss})
