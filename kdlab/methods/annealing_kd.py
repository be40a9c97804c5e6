"""Annealing-KD: the teacher's logits grow from a whisper to their full size (Jafari et al. 2021, arXiv:2104.07163)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kdlab.losses.soft_targets import logit_mse, supervised
from kdlab.methods.base import DistillModule, MethodConfig, Phase
from kdlab.methods.shared.settings import ROBERTA_PAIR, at_least, positive
from kdlab.types import Batch, LossTerms, Need

ANNEALING = "annealing"


@dataclass
class AnnealingKDConfig(MethodConfig):
    """Settings of ``annealing_kd``; the defaults are the paper's.

    Attributes:
        tau: τ, the highest temperature, which falls by 1 to 1.
        epochs_each: Epochs at each temperature.
        annealing_learning_rate: Peak learning rate of the first phase; None takes ``training.learning_rate``. The
            second phase trains ``training.epochs`` at ``training.learning_rate``.
    """

    tau: int = 7
    epochs_each: int = 2
    annealing_learning_rate: float | None = None

    def validate(self) -> None:
        """Checks ranges."""
        at_least(self, 1, "tau", "epochs_each")
        positive(self, "annealing_learning_rate")


class AnnealingKD(DistillModule):
    """Phase 1: ``MSE(z_S, Φ(T)·z_T)``, ``Φ(T) = 1-(T-1)/τ`` for T = τ … 1 (section 3); phase 2: CE alone.

    Each phase has its own optimiser and schedule. The second starts from the first one's last weights, the only ones
    that have seen the teacher's logits at full size. T falls in τ equal stretches of the phase's steps, which are
    ``epochs_each`` epochs each where ``training.max_steps`` doesn't shorten it; ``phi`` is logged. For regression the
    logits are scores, annealed alike.
    """

    name: ClassVar[str] = "annealing_kd"
    Config: ClassVar[type[MethodConfig]] = AnnealingKDConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "*": {"training.epochs": 4, "training.learning_rate": 2e-5},
        "paper": ROBERTA_PAIR,
    }
    config: AnnealingKDConfig

    @classmethod
    def phases_of(cls, config: AnnealingKDConfig) -> list[Phase]:
        """Annealing, then the gold label."""
        epochs = config.tau * config.epochs_each
        return [Phase(ANNEALING, epochs, config.annealing_learning_rate, choose=False), Phase("gold")]

    @property
    def phi(self) -> float:
        """Φ of this step."""
        tau = self.config.tau
        temperature = max(tau - self.student_step * tau // self.context.total_steps, 1)
        return 1 - (temperature - 1) / tau

    def compute_loss(self, batch: Batch) -> LossTerms:
        """The phase's objective on the clean batch."""
        logits = self.student.classify(batch)  # (B, C)
        if self.context.phase.name != ANNEALING:
            ce = supervised(logits, batch.gold(), self.task.regression)
            return LossTerms(ce, {"ce": ce})
        loss = logit_mse(logits, self.phi * batch.soft_labels())
        return LossTerms(loss, {"annealing": loss, "phi": loss.new_tensor(self.phi)})
