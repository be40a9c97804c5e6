"""L2A's loss: how far a student is from its teacher in the last layers and in the answers, on some rows of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from kdlab.losses.soft_targets import soft_cross_entropy
from kdlab.methods.l2a_settings import L2AConfig
from kdlab.methods.shared.layer_match import LayerMatch, check_attention
from kdlab.models.encoder import TextEncoder
from kdlab.models.layer_maps import LayerMap
from kdlab.types import Batch, EncoderOutput, Projections, Taps


def check_last_layers(config: L2AConfig, teacher: Any, student: Any) -> None:
    """Whether the last layers' attention can be compared, where it has a weight.

    Args:
        config: What is compared.
        teacher: Hugging Face configuration.
        student: Hugging Face configuration.

    Raises:
        KdlabError: It can't.
    """
    if config.attention_weight:
        pairs = _last_layers(teacher, student)
        check_attention(config.section, config.attention, config.relation_heads, pairs, teacher, student)


class LastLayers(nn.Module):
    """``L_KD = L_att + L_hidden + L_dark`` (Feng et al. 2021, Eq. 2 and 3), each with its weight.

    L_hidden's W brings the student's states to the teacher's width. Where both have one width there is none, and the
    states are compared as they are.

    Args:
        config: Weights, temperature, and how attention is compared.
        teacher: Hugging Face configuration of the teacher; None where no layers are read.
        student: Hugging Face configuration of the student.
        regression: Whether answers are scores.
    """

    def __init__(self, config: L2AConfig, teacher: Any, student: Any, regression: bool) -> None:
        super().__init__()
        every = {"attention": config.attention_weight, "hidden": config.hidden_weight, "dark": config.dark_weight}
        self.weights = {name: weight for name, weight in every.items() if weight}
        self.temperature, self.regression = config.temperature, regression
        self.match: LayerMatch | None = None
        if config.reads_layers:
            check_last_layers(config, teacher, student)
            pairs = _last_layers(teacher, student)
            self.match = LayerMatch(
                teacher,
                student,
                hidden=pairs if config.hidden_weight else (),
                attention=pairs if config.attention_weight else (),
                kind=config.attention,
                distance="scores" if config.attention == "scores" else "mse",
                relation_heads=config.relation_heads,
            )

    def draw(self, seed: int) -> None:
        """Draws the projection, where there is one."""
        if self.match is not None:
            self.match.draw(seed)

    @property
    def student_taps(self) -> Taps | None:
        """What is needed of the student's pass besides its logits."""
        return None if self.match is None else self.match.student_taps

    def terms(self, batch: Batch, ours: EncoderOutput, rows: Tensor, teacher: TextEncoder | None) -> dict[str, Tensor]:
        """The terms that have a weight, each a mean over the rows; zeros that keep their graph where there are none.

        Args:
            batch: B rows with the teacher's logits.
            ours: The student's pass over it, with ``student_taps``.
            rows: Which rows count, ``(R,)`` int64.
            teacher: Reads these rows, where layers are compared.
        """
        if not len(rows):  # another process has the candidates that were kept
            return {name: ours.logits.sum() * 0 for name in self.weights}
        some, student = batch.take(rows), _rows_of(ours, rows)
        terms: dict[str, Tensor] = {}
        if self.match is not None and teacher is not None:
            with torch.no_grad():
                theirs = teacher.read(some, self.match.teacher_taps)
            if "attention" in self.weights:
                terms["attention"] = self.match.attention_loss(student, theirs, some.attention_mask)
            if "hidden" in self.weights:
                terms["hidden"] = self.match.hidden_loss(student, theirs, some.attention_mask)
        if "dark" in self.weights:
            soft = some.soft_labels()
            terms["dark"] = soft_cross_entropy(student.logits, soft, self.temperature, True, self.regression)
        return terms

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of ``terms``; a scalar."""
        return torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()


def _last_layers(teacher: Any, student: Any) -> LayerMap:
    return ((int(teacher.num_hidden_layers), int(student.num_hidden_layers)),)


def _rows_of(out: EncoderOutput, rows: Tensor) -> EncoderOutput:
    """Some rows of a pass."""
    parts = {n: Projections(p.query[rows], p.key[rows], p.value[rows], p.heads) for n, p in out.projections.items()}
    return replace(out, logits=out.logits[rows], hidden={n: h[rows] for n, h in out.hidden.items()}, projections=parts)
