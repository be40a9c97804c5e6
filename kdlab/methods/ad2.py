"""AD²: distillation on adversarial embeddings (Zhang, Naresh and He 2022, ``Adversarial Data Augmentation …``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import exact_kl
from kdlab.losses.soft_targets import soft_cross_entropy, supervised
from kdlab.methods.base import DistillModule, MethodConfig, PhaseContext
from kdlab.methods.shared.layer_match import RELATIONS, LayerMatch, check_attention
from kdlab.methods.shared.settings import at_least, check_weights, one_of, positive
from kdlab.models.encoder import TextEncoder
from kdlab.models.layer_maps import LayerMap, parse_layer_map
from kdlab.ops.ascent import NORMS, Ball, ascend, climb, norm_of, random_like, random_start
from kdlab.ops.randomness import random_state, set_random_state
from kdlab.types import Batch, EncoderOutput, LossTerms, Need

ATTACKS: dict[str, dict[str, Any]] = {
    # the paper's letter: a ball of 1e-5 in which nothing measurable changes
    "paper": {"steps": 1, "step_size": 1e-3, "epsilon": 1e-5, "norm": "l2", "init_std": 0.0},
    # to the edge of a ball in which a student that has learned anything changes its answer: experiments/ad2/gap.py
    "effective": {"steps": 1, "step_size": 0.1, "epsilon": 0.1, "norm": "l2", "init_std": 0.0},
}
"""What ``ad2.preset`` sets where a key of its own does not."""


@dataclass
class AD2Config(MethodConfig):
    """Settings of ``ad2``.

    Attributes:
        preset: Which numbers the five settings after it take where they are left open: ``effective`` or ``paper``.
        steps: K, steps of ascent.
        step_size: Length of a step in the norm; the factor of the gradient where ``raw``.
        epsilon: Radius of the ball around the clean embeddings.
        norm: ``l2`` of a whole example, ``l2_token`` of each token, or ``linf``.
        init_std: Standard deviation of the perturbation that the ascent starts from; at 0 with one step the ascent
            shares the clean pass (2.33 times the cost of fine-tuning, otherwise 2.67).
        raw: Follow the gradient as long as it is, rather than brought to length 1 per example.
        alpha: Weight of everything on the adversarial input.
        temperature: t > 0; plays no part in regression.
        kd: Learn from the teacher; off is the paper's -KD: adversarial fine-tuning on the gold label.
        adversarial: Perturb at all; off together with ``kd`` is the paper's -AD, plain fine-tuning.
        deep_kd: Learn from the teacher's feature and attention maps as well; off is the paper's -DKD, and so is ``kd``
            off.
        feature_weight: Weight of the feature maps' loss (MSE, mean over mapped layers).
        attention_weight: Weight of the attention loss (mean over mapped layers).
        layer_map: ``uniform``, ``last``, ``bottom``, or pairs [[teacher, student], …].
        attention: ``maps``, or ``relations`` (MiniLMv2), which need no equal heads.
        attention_loss: ``kl`` or ``mse`` between maps; relations take ``kl``.
        relation_heads: Heads of the relations; None takes the most that divide both encoders' numbers of heads.
        measure_random: Log the gap of a random perturbation of equal norm as well, for one more forward pass.
    """

    preset: str = "effective"  # the paper's own numbers change nothing measurable
    steps: int | None = None
    step_size: float | None = None
    epsilon: float | None = None
    norm: str | None = None
    init_std: float | None = None
    raw: bool = False  # a raw gradient of 1e-4 times a step of 1e-3 moves δ by 1e-7
    alpha: float = 1.0
    temperature: float = 1.0
    kd: bool = True
    adversarial: bool = True
    deep_kd: bool = True
    feature_weight: float = 0.1  # the paper gives no weights; at 1 these losses drown the others on the embedded corpus
    attention_weight: float = 0.1
    layer_map: Any = "uniform"
    attention: str = "maps"
    attention_loss: str = "kl"
    relation_heads: int | None = None
    measure_random: bool = False

    def __post_init__(self) -> None:
        """Fills in what the preset says, so that records show numbers."""
        for key, value in ATTACKS.get(self.preset, {}).items():
            if getattr(self, key) is None:
                setattr(self, key, value)
        self.deep_kd = self.deep_kd and self.kd and bool(self.feature_weight or self.attention_weight)

    @property
    def ball(self) -> Ball:
        """The ascent, with every number in place."""
        return Ball(self.steps or 0, self.step_size or 0.0, self.epsilon or 0.0, self.norm or "l2", self.raw)

    @property
    def start_std(self) -> float:
        """``init_std``, with its number in place."""
        return self.init_std or 0.0

    @property
    def attacks(self) -> bool:
        """Whether there is an adversarial part that counts."""
        return self.adversarial and self.alpha > 0

    @property
    def shares_clean_pass(self) -> bool:
        """Whether the gradient at δ = 0 comes from the clean pass."""
        return self.attacks and self.ball.steps == 1 and self.start_std == 0

    def validate(self) -> None:
        """Checks words and ranges."""
        one_of(self, "preset", ATTACKS)
        one_of(self, "norm", NORMS)
        one_of(self, "attention", ("maps", RELATIONS))
        one_of(self, "attention_loss", ("kl", "mse"))
        section = self.section
        if self.attention == RELATIONS and self.attention_loss != "kl":
            raise KdlabError(f"{section}.attention_loss={self.attention_loss} compares maps: relations take kl.")
        check_weights(self, "alpha", "feature_weight", "attention_weight")
        ball = self.ball
        at_least(self, 0, "steps", counts="steps of ascent")
        at_least(self, 0, "init_std")
        if self.attacks and (ball.steps or self.start_std) and ball.epsilon <= 0:
            raise KdlabError(
                f"{section}.epsilon is {ball.epsilon}: the ball needs a positive radius ({section}.adversarial=false "
                "has none)."
            )
        if self.attacks and ball.steps and ball.step_size <= 0:
            raise KdlabError(f"{section}.step_size is {ball.step_size}: the ascent needs a positive step.")
        positive(self, "temperature", "relation_heads")


class AD2(DistillModule):
    """``L = CE(S(x), y) + t²·KL(T(x) ‖ S(x)) + α·t²·KL(T(x) ‖ S(x+δ))`` (Eq. 3, Algorithm 1), deep KD on both inputs.

    δ enters at the sum of token, position and segment embedding, none at padding, and comes from K steps of projected
    gradient ascent on the last divergence (Eq. 2). For regression every divergence is a squared error. Departures from
    the paper's letter: the gradient is brought to length 1 per example (``raw`` keeps it), and the default ball is one
    in which the student's answer changes (``preset=paper`` keeps theirs). All passes of a step draw the same dropout,
    so that their difference is δ's alone (Zhu et al. 2020, arXiv:1909.11764, section 3.3). Logged besides the losses:
    ``gap`` = KL(S(x) ‖ S(x+δ)), ``delta_norm`` = mean ‖δ‖, and ``gain``, by how much the ascent raised its loss. Logits
    rounded to bf16 hide a gap below 1e-6, such as that of ``preset=paper``: measure it in fp32.
    """

    name: ClassVar[str] = "ad2"
    Config: ClassVar[type[MethodConfig]] = AD2Config
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS, Need.TEACHER})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "ad2.preset": "paper",
            "training.epochs": 6,
            "training.warmup": 0.1,
            "training.clip": 1.0,
            "data.max_length": 512,
        }
    }
    config: AD2Config

    def __init__(self, config: AD2Config, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__(config, student, teacher, task)
        self.match: LayerMatch | None = None
        if config.deep_kd:
            theirs, ours = self.frozen_teacher.config, student.config
            self.check_pair(config, theirs, ours)
            pairs = _pairs(config, theirs, ours)
            self.match = LayerMatch(
                theirs,
                ours,
                hidden=pairs if config.feature_weight else (),
                attention=pairs if config.attention_weight else (),
                kind=config.attention,
                distance=config.attention_loss,
                relation_heads=config.relation_heads,
            )

    @classmethod
    def needs_of(cls, config: AD2Config) -> frozenset[Need]:
        """Cached logits without deep KD, nothing without KD; with deep KD one pass of the teacher gives all."""
        if config.deep_kd:
            return frozenset({Need.TEACHER})
        return frozenset({Need.LOGITS} if config.kd else ())

    @classmethod
    def taps_of(cls, config: AD2Config) -> str:
        """Hidden layers with deep KD, and the embeddings that it perturbs."""
        if config.deep_kd:
            both = " and ad2.adversarial=false leave" if config.attacks else " leaves"
            return f"features and attention of mapped layers (which ad2.deep_kd=false{both} out)"
        return "embeddings that it perturbs (which ad2.adversarial=false leaves out)" if config.attacks else ""

    @classmethod
    def check_pair(cls, config: AD2Config, teacher: Any, student: Any) -> None:
        """The mapped layers must be there, and their attention comparable."""
        if not config.deep_kd:
            return
        pairs = _pairs(config, teacher, student)
        if config.attention_weight:
            check_attention(config.section, config.attention, config.relation_heads, pairs, teacher, student)

    def begin_phase(self, context: PhaseContext) -> None:
        """Draws the projection."""
        super().begin_phase(context)
        if self.match is not None:
            self.match.draw(context.seed)

    def compute_loss(self, batch: Batch) -> LossTerms:
        """Losses on the clean and on the adversarial input."""
        c = self.config
        theirs = self._teacher_pass(batch)
        target = None
        if c.kd:
            target = batch.soft_labels() if theirs is None else theirs.logits
        start = self._start(batch) if c.attacks else None
        leaf = start.requires_grad_() if start is not None and c.shares_clean_pass else None
        drawn = random_state(batch.input_ids.device)
        if start is None or leaf is not None:
            clean = self._student_pass(batch, leaf)
        else:  # a compiled pass would draw other dropout: with a δ of 0 it is of the same kind as those that follow
            clean = self._student_pass(batch, torch.zeros_like(start))
        terms = {"ce": supervised(clean.logits, batch.gold(), self.task.regression)}
        total = terms["ce"]
        if target is not None:
            terms["kd"] = self._against(clean.logits, batch, target)
            total = total + terms["kd"]
        total = total + self._deep(clean, theirs, batch, terms, "")
        if start is None:
            return LossTerms(total, terms)

        ball, before = c.ball, terms["kd" if c.kd else "ce"]
        if leaf is not None:
            delta = ascend(leaf, before * len(batch), ball, retain_graph=True)
        else:
            delta, first = climb(start, lambda d: self._ascended(batch, d, target, drawn), ball)
            before = before if first is None else first / len(batch)
        moved = bool(ball.steps or c.start_std)  # where δ is 0 throughout, the second pass would repeat the first
        adversarial = self._student_pass(batch, delta, drawn) if moved else clean
        terms["ada"] = self._against(adversarial.logits, batch, target)
        deep = self._deep(adversarial, theirs, batch, terms, "_adv")
        total = total + c.alpha * (terms["ada"] + deep)
        with torch.no_grad():
            terms["gap"] = self._gap(clean, adversarial)
            terms["delta_norm"] = norm_of(delta, ball.norm).mean()
            terms["gain"] = terms["ada"] - before
            if c.measure_random:
                other = random_like(delta, batch.attention_mask, ball.norm)
                terms["gap_random"] = self._gap(clean, self._student_pass(batch, other, drawn))
        return LossTerms(total, terms)

    def _teacher_pass(self, batch: Batch) -> EncoderOutput | None:
        """What deep KD takes from the clean input; adversarial copies need no pass of their own."""
        if self.match is None:
            return None
        with torch.no_grad():
            return self.frozen_teacher.read(batch, self.match.teacher_taps)

    def _student_pass(self, batch: Batch, delta: Tensor | None, drawn: Tensor | None = None) -> EncoderOutput:
        """The student's pass, with the same dropout as the one before which ``drawn`` was taken."""
        if drawn is not None:
            set_random_state(drawn, batch.input_ids.device)
        return self.student.read(batch, None if self.match is None else self.match.student_taps, delta)

    def _ascended(self, batch: Batch, delta: Tensor, target: Tensor | None, drawn: Tensor) -> Tensor:
        """The loss that is climbed, summed over the batch."""
        set_random_state(drawn, batch.input_ids.device)
        return self._against(self.student.read(batch, None, delta).logits, batch, target) * len(batch)

    def _against(self, logits: Tensor, batch: Batch, target: Tensor | None) -> Tensor:
        """The divergence from the teacher, or from the gold label without one."""
        if target is None:
            return supervised(logits, batch.gold(), self.task.regression)
        return soft_cross_entropy(logits, target, self.config.temperature, True, self.task.regression)

    def _deep(
        self, ours: EncoderOutput, theirs: EncoderOutput | None, batch: Batch, terms: dict[str, Tensor], name: str
    ) -> Tensor | float:
        """The weighted losses on hidden layers, which are also put among the terms."""
        total: Tensor | float = 0.0
        if self.match is None or theirs is None:
            return total
        c, match = self.config, self.match
        if match.hidden:
            terms[f"features{name}"] = match.hidden_loss(ours, theirs, batch.attention_mask) / len(match.hidden)
            total = total + c.feature_weight * terms[f"features{name}"]
        if match.attention:
            loss = match.attention_loss(ours, theirs, batch.attention_mask) / len(match.attention)
            terms[f"attention{name}"] = loss
            total = total + c.attention_weight * loss
        return total

    def _start(self, batch: Batch) -> Tensor:
        """Where the ascent starts, ``(B, T, D)``; several processes draw it for the batch they share."""
        width = int(self.student.config.hidden_size)
        if self.config.start_std == 0:
            return torch.zeros(*batch.input_ids.shape, width, device=batch.input_ids.device)
        whole = batch.whole or batch
        noise = random_start(whole.attention_mask, width, self.config.start_std, self.config.ball, self.shared_rng)
        return noise if batch.rows is None else noise[batch.rows]

    def _gap(self, clean: EncoderOutput, other: EncoderOutput) -> Tensor:
        """``KL(S(x) ‖ S(x+δ))``; of scores their squared gap."""
        if self.task.regression:
            return (clean.logits.double() - other.logits.double()).square().mean()
        return exact_kl(clean.logits, other.logits)


def _pairs(config: AD2Config, teacher: Any, student: Any) -> LayerMap:
    """The mapped layers of two Hugging Face configurations."""
    depths = int(teacher.num_hidden_layers), int(student.num_hidden_layers)
    return parse_layer_map(config.layer_map, *depths, f"{config.section}.layer_map")
