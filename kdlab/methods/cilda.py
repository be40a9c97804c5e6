"""CILDA: contrastive layers and adversarial text (Haidar et al. 2022, arXiv:2204.07674)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.losses.contrastive import info_nce, info_nce_bounds
from kdlab.methods.adversarial_text import GENERATOR, AdversarialText, AdversarialTextConfig
from kdlab.methods.base import MethodConfig, PhaseContext, TrainingConfig
from kdlab.methods.shared.projection import Projection
from kdlab.methods.shared.settings import ROBERTA_PAIR, at_least, check_weights, positive
from kdlab.models.encoder import TextEncoder
from kdlab.system.distributed import gather_rows
from kdlab.types import Batch, EncoderOutput, Taps


@dataclass
class CILDAConfig(AdversarialTextConfig):
    """Settings of ``cilda``: those of ``AdversarialTextConfig``, and of the contrastive term.

    Attributes:
        adv_weight: Weight of the soft loss on generated text.
        crd_weight: Weight of the contrastive loss on generated text in min steps.
        alpha1: Weight of the divergence in max steps.
        alpha2: Weight of the contrastive loss in max steps.
        crd_temperature: τ2 of the contrastive loss.
        width: Width of the projected features.
    """

    adv_weight: float = 2 / 9
    crd_weight: float = 1 / 9
    alpha1: float = 1.0
    alpha2: float = 1.0
    crd_temperature: float = 2.0
    width: int = 128

    @property
    def generated_weight(self) -> float:
        """Weight of everything on generated text in the student's loss."""
        return self.adv_weight + self.crd_weight

    @property
    def contrasts(self) -> bool:
        """Whether there is a contrastive term anywhere."""
        return self.crd_weight > 0

    def validate(self) -> None:
        """Checks ranges."""
        super().validate()
        section = self.section
        check_weights(self, "crd_weight", "alpha1", "alpha2")
        if not (self.alpha1 or self.alpha2):
            raise KdlabError(f"{section}.alpha1 and alpha2 are both 0: the generator would have nothing to maximise.")
        if self.alpha2 and not self.crd_weight:
            raise KdlabError(
                f"{section}.crd_weight is 0, which leaves the projections untrained: the generator's contrast would be "
                f"noise, so set {section}.alpha2=0 as well."
            )
        positive(self, "crd_temperature")
        at_least(self, 1, "width")


class CILDA(AdversarialText):
    """Max: ``α1·KL(T ‖ S)(x') + α2·CRD(x')`` (Eq. 1); min: ``⅓ CE + ⅓ KD(x) + 2/9 KD(x') + 1/9 CRD(x')`` (Eq. 3).

    CRD is InfoNCE over the (global) batch between the projected, L2-normalised, concatenated ``[CLS]`` states of all
    layers of teacher and student (Eq. 2), the teacher's state the anchor and other examples' student states the
    negatives. The projections belong to the student: they train in min steps only. Logged besides: ``crd_low`` and
    ``crd_high``, between which ``crd`` can move. A last batch of one example has no negatives and a ``crd`` of 0. For
    regression every divergence is a squared error. Departures from the paper's letter as in ``mate_kd``.
    """

    name: ClassVar[str] = "cilda"
    Config: ClassVar[type[MethodConfig]] = CILDAConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"training.learning_rate": 2e-5, **ROBERTA_PAIR},
        # a generator this small attacks only so; experiments/cilda/attack.py
        "embedded": {"cilda.generator_learning_rate": 1e-3, "cilda.gumbel_temperature": 2.0},
    }
    config: CILDAConfig

    def __init__(self, config: CILDAConfig, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__(config, student, teacher, task)
        self.project: nn.ModuleDict | None = None
        if config.contrasts:
            both = {"theirs": self.frozen_teacher, "ours": student}
            widths = {who: encoder.depth * int(encoder.config.hidden_size) for who, encoder in both.items()}
            self.project = nn.ModuleDict({who: Projection(n, config.width) for who, n in widths.items()})

    @classmethod
    def taps_of(cls, config: CILDAConfig) -> str:
        """Every layer's states, as far as they are contrasted."""
        without = "which cilda.crd_weight=0 and cilda.alpha2=0 leave out"
        return f"[CLS] states of all layers ({without})" if config.contrasts else ""

    @classmethod
    def check_training(cls, config: CILDAConfig, training: TrainingConfig, task: TaskSpec) -> None:
        """A contrastive loss needs negatives."""
        super().check_training(config, training, task)
        if config.contrasts and training.batch_size < 2:
            raise KdlabError(
                f"training.batch_size=1 leaves {cls.name}'s contrastive loss no negatives: take 2 or more, or set "
                f"{cls.name}.crd_weight=0 and {cls.name}.alpha2=0."
            )

    def begin_phase(self, context: PhaseContext) -> None:
        """Draws the projections, the same whatever was drawn before."""
        super().begin_phase(context)
        draw = torch.Generator().manual_seed(context.seed)
        for projection in self.project.values() if self.project is not None else ():
            projection.draw(draw)  # type: ignore[operator]

    @property
    def teacher_taps(self) -> Taps | None:
        """Every layer's states."""
        return None if self.project is None else Taps(tuple(range(1, self.frozen_teacher.depth + 1)))

    @property
    def student_taps(self) -> Taps | None:
        """Every layer's states."""
        return None if self.project is None else Taps(tuple(range(1, self.student.depth + 1)))

    def reward(
        self, batch: Batch, ours: EncoderOutput, theirs: EncoderOutput, divergence: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Divergence and distance of layers."""
        c = self.config
        if not c.alpha2:
            return c.alpha1 * divergence, {}
        crd = self.contrast(batch, ours, theirs)
        return c.alpha1 * divergence + c.alpha2 * crd, {f"{GENERATOR}_crd": crd}

    def penalty(
        self, batch: Batch, ours: EncoderOutput, theirs: EncoderOutput
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The contrastive loss, and its bounds."""
        c = self.config
        if not c.crd_weight:
            return None, {}
        crd = self.contrast(batch, ours, theirs)
        low, high = info_nce_bounds(len(batch.whole or batch), c.crd_temperature)
        return c.crd_weight * crd, {"crd": crd, "crd_low": crd.new_tensor(low), "crd_high": crd.new_tensor(high)}

    def contrast(self, batch: Batch, ours: EncoderOutput, theirs: EncoderOutput) -> Tensor:
        """``info_nce`` of this process's examples among the global batch's; a scalar."""
        if self.project is None:
            raise ValueError("nothing is contrasted: crd_weight and alpha2 are 0")
        anchors = self.project["theirs"](_cls_of_all(theirs))  # (b, U)
        candidates = self.project["ours"](_cls_of_all(ours))  # (b, U)
        candidates = gather_rows(candidates, batch.rows, len(batch.whole or batch))  # (B, U)
        return info_nce(anchors, candidates, batch.rows, self.config.crd_temperature)


def _cls_of_all(out: EncoderOutput) -> Tensor:
    """The first token's states of all layers side by side, ``(B, L·D)``."""
    return torch.cat([out.hidden[n][:, 0] for n in sorted(out.hidden)], dim=-1)
