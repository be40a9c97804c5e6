"""Patient knowledge distillation (Sun et al. 2019, arXiv:1908.09355)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.losses.soft_targets import soft_cross_entropy, supervised
from kdlab.methods.base import DistillModule, MethodConfig, PhaseContext
from kdlab.methods.shared.layer_match import LayerMatch
from kdlab.methods.shared.settings import check_weights, fraction, positive
from kdlab.models.encoder import TextEncoder
from kdlab.models.layer_maps import WORDS, LayerMap, parse_layer_map
from kdlab.types import Batch, LossTerms, Need


@dataclass
class PKDConfig(MethodConfig):
    """Settings of ``pkd``; the paper searches α in {.2, .5, .7}, t in {5, 10, 20} and β in {10, 100, 500, 1000}.

    Attributes:
        alpha: Weight of the soft loss; 1 - alpha is the gold label's.
        temperature: t > 0; plays no part in regression.
        beta: Weight of the hidden states' loss.
        layer_map: ``skip`` or ``last`` as in the paper, ``bottom``, or pairs [[teacher, student], …]. A map given by a
            word leaves the student's last layer out.
    """

    alpha: float = 0.5
    temperature: float = 5.0
    beta: float = 100.0
    layer_map: Any = "skip"

    def validate(self) -> None:
        """Checks ranges."""
        fraction(self, "alpha")
        positive(self, "temperature")
        check_weights(self, "beta")


class PKD(DistillModule):
    """``L = (1-α)·CE(S(x), y) + α·t²·KL(T(x) ‖ S(x)) + β·Σ MSE(ĥ_T, ĥ_S)`` (Eq. 8) on L2-normalised ``[CLS]`` states.

    One pass of the teacher gives its states and its logits. Where widths differ, one projection brings the student's
    states to the teacher's width; the paper's pairs are of one width and have none.
    """

    name: ClassVar[str] = "pkd"
    Config: ClassVar[type[MethodConfig]] = PKDConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS, Need.TEACHER})
    config: PKDConfig

    def __init__(self, config: PKDConfig, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__(config, student, teacher, task)
        self.match: LayerMatch | None = None
        if config.beta:
            theirs = self.frozen_teacher.config
            self.match = LayerMatch(theirs, student.config, _pairs(config, theirs, student.config))

    @classmethod
    def needs_of(cls, config: PKDConfig) -> frozenset[Need]:
        """Without hidden states the cached logits are enough."""
        return frozenset({Need.TEACHER if config.beta else Need.LOGITS})

    @classmethod
    def taps_of(cls, config: PKDConfig) -> str:
        """Hidden states, as far as they have a weight."""
        return "[CLS] states of mapped layers (which pkd.beta=0 leaves out)" if config.beta else ""

    @classmethod
    def check_pair(cls, config: PKDConfig, teacher: Any, student: Any) -> None:
        """The mapped layers must be there."""
        if config.beta:
            _pairs(config, teacher, student)

    def begin_phase(self, context: PhaseContext) -> None:
        """Draws the projection."""
        super().begin_phase(context)
        if self.match is not None:
            self.match.draw(context.seed)

    def compute_loss(self, batch: Batch) -> LossTerms:
        """Gold-label, soft-target and hidden-state loss on the clean batch."""
        c = self.config
        if self.match is None:
            ours, theirs, target = self.student.read(batch), None, batch.soft_labels()
        else:
            with torch.no_grad():
                theirs = self.frozen_teacher.read(batch, self.match.teacher_taps)
            ours, target = self.student.read(batch, self.match.student_taps), theirs.logits
        ce = supervised(ours.logits, batch.gold(), self.task.regression)
        soft = soft_cross_entropy(ours.logits, target, c.temperature, True, self.task.regression)
        total, terms = (1 - c.alpha) * ce + c.alpha * soft, {"ce": ce, "kd": soft}
        if self.match is not None and theirs is not None:
            terms["pt"] = self.match.cls_loss(ours, theirs)
            total = total + c.beta * terms["pt"]
        return LossTerms(total, terms)


def _pairs(config: PKDConfig, teacher: Any, student: Any) -> LayerMap:
    """The mapped layers; by a word, all but the student's last: 12 to 6 skips to 2, 4, …, 10 or takes 7, …, 11."""
    depth = int(student.num_hidden_layers)
    pairs = parse_layer_map(config.layer_map, int(teacher.num_hidden_layers), depth, f"{config.section}.layer_map")
    if config.layer_map not in WORDS:
        return pairs
    without_last = tuple(pair for pair in pairs if pair[1] < depth)
    if not without_last:
        raise KdlabError(
            f"{config.section}.layer_map={config.layer_map} leaves the student's last layer out, and it has no other: "
            f"take a student of two layers or more, give pairs, or set {config.section}.beta=0."
        )
    return without_last
