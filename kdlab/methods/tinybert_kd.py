"""TinyBERT's task-specific distillation: layers first, then predictions (Jiao et al. 2020, arXiv:1909.10351)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.losses.soft_targets import soft_cross_entropy
from kdlab.methods.base import DistillModule, MethodConfig, Phase, PhaseContext
from kdlab.methods.shared.layer_match import RELATIONS, LayerMatch, check_attention
from kdlab.methods.shared.settings import check_weights, one_of, positive
from kdlab.models.encoder import TextEncoder
from kdlab.models.layer_maps import LayerMap, parse_layer_map
from kdlab.types import Batch, LossTerms, Need

LAYERS = "layers"


@dataclass
class TinyBERTKDConfig(MethodConfig):
    """Settings of ``tinybert_kd``.

    Attributes:
        layer_map: ``uniform`` as in the paper, ``last``, ``bottom``, or pairs [[teacher, student], …]; the embeddings
            are mapped besides.
        attention: ``scores`` before the softmax as in the paper, or ``relations`` (MiniLMv2), for any heads and widths.
        relation_heads: Heads of the relations; None takes the most that divide both encoders' numbers of heads.
        hidden_weight: Weight of the hidden states' loss.
        attention_weight: Weight of the attention loss.
        temperature: Of the predictions; plays no part in regression.
        layer_epochs: Epochs of the first phase; None takes ``training.epochs``.
        layer_learning_rate: Peak learning rate of the first phase; None takes ``training.learning_rate``.
    """

    layer_map: Any = "uniform"
    attention: str = "scores"
    relation_heads: int | None = None
    hidden_weight: float = 1.0
    attention_weight: float = 1.0
    temperature: float = 1.0
    layer_epochs: int | None = None  # the paper's code: 20 (10 for the large tasks), then 3 of predictions
    layer_learning_rate: float | None = None  # the paper's code: 5e-5, then 3e-5

    def validate(self) -> None:
        """Checks ranges."""
        one_of(self, "attention", ("scores", RELATIONS))
        check_weights(self, "hidden_weight", "attention_weight")
        if not (self.hidden_weight or self.attention_weight):
            raise KdlabError(
                f"{self.section}.hidden_weight and attention_weight are both 0: that is kd with kd.alpha=1."
            )
        positive(self, "temperature", "layer_epochs", "layer_learning_rate", "relation_heads")


class TinyBERTKD(DistillModule):
    """Phase 1: ``Σ MSE(scores) + Σ MSE(H_S·W, H_T)`` (Eq. 7–9), embeddings included; phase 2: soft CE (Eq. 10).

    The same W serves every layer, and there is none where widths are equal. The soft cross-entropy stands as
    ``t²·KL(T ‖ S)``, which has t² times its gradient; the gold label plays no part, as in the paper. The second phase
    starts from the first one's last weights, whose accuracy says nothing yet, and reads cached logits.
    """

    name: ClassVar[str] = "tinybert_kd"
    Config: ClassVar[type[MethodConfig]] = TinyBERTKDConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS, Need.TEACHER})
    config: TinyBERTKDConfig

    def __init__(
        self, config: TinyBERTKDConfig, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec
    ) -> None:
        super().__init__(config, student, teacher, task)
        theirs = self.frozen_teacher.config
        self.check_pair(config, theirs, student.config)
        pairs = _pairs(config, theirs, student.config)
        self.match = LayerMatch(
            theirs,
            student.config,
            hidden=((0, 0), *pairs) if config.hidden_weight else (),
            attention=pairs if config.attention_weight else (),
            kind=config.attention,
            distance="scores",
            relation_heads=config.relation_heads,
        )

    @classmethod
    def taps_of(cls, config: TinyBERTKDConfig) -> str:
        """Hidden states and attention."""
        return "attention and hidden states of mapped layers"

    @classmethod
    def check_pair(cls, config: TinyBERTKDConfig, teacher: Any, student: Any) -> None:
        """The mapped layers must be there, and their attention comparable."""
        pairs = _pairs(config, teacher, student)
        if config.attention_weight:
            check_attention(config.section, config.attention, config.relation_heads, pairs, teacher, student)

    @classmethod
    def phases_of(cls, config: TinyBERTKDConfig) -> list[Phase]:
        """Layers, then predictions."""
        return [Phase(LAYERS, config.layer_epochs, config.layer_learning_rate, choose=False), Phase("prediction")]

    def begin_phase(self, context: PhaseContext) -> None:
        """Draws the projection before the first phase."""
        super().begin_phase(context)
        self.match.draw(context.seed)

    def compute_loss(self, batch: Batch) -> LossTerms:
        """The phase's objective on the clean batch."""
        c = self.config
        if self.context.phase.name != LAYERS:
            logits = self.student.classify(batch)  # (B, C)
            soft = soft_cross_entropy(logits, batch.soft_labels(), c.temperature, True, self.task.regression)
            return LossTerms(soft, {"kd": soft})
        with torch.no_grad():
            theirs = self.frozen_teacher.read(batch, self.match.teacher_taps)
        ours = self.student.read(batch, self.match.student_taps)
        total, terms = torch.zeros((), device=ours.logits.device), {}
        if c.hidden_weight:
            terms["hidden"] = self.match.hidden_loss(ours, theirs, batch.attention_mask)
            total = total + c.hidden_weight * terms["hidden"]
        if c.attention_weight:
            terms["attention"] = self.match.attention_loss(ours, theirs, batch.attention_mask)
            total = total + c.attention_weight * terms["attention"]
        return LossTerms(total, terms)


def _pairs(config: TinyBERTKDConfig, teacher: Any, student: Any) -> LayerMap:
    """The mapped layers without the embeddings, which are mapped anyway."""
    depths = int(teacher.num_hidden_layers), int(student.num_hidden_layers)
    return tuple(p for p in parse_layer_map(config.layer_map, *depths, f"{config.section}.layer_map") if p != (0, 0))
