"""Mapped layers of teacher and student: what is tapped of them, and how far apart they are.

Shared by the methods that distil hidden layers. Only what a loss asks for is tapped; a projection is made only where
widths differ, one for all layers.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from kdlab.errors import KdlabError
from kdlab.losses.attention import map_kl, map_mse, score_mse
from kdlab.losses.hidden import hidden_mse, pkd_loss
from kdlab.methods.shared.projection import Projection
from kdlab.models.encoder import get_family
from kdlab.models.layer_maps import LayerMap
from kdlab.ops.attention import attention_scores
from kdlab.types import EncoderOutput, Taps

RELATIONS = "relations"
_DISTANCES = {"kl": map_kl, "mse": map_mse, "scores": score_mse}


def check_attention(
    section: str, kind: str, relation_heads: int | None, pairs: LayerMap, teacher: Any, student: Any
) -> None:
    """Whether the attention of two encoders can be compared.

    Args:
        section: The method's section, for errors.
        kind: ``relations``, or something that is compared head by head.
        relation_heads: Number of relation heads, where it is set.
        pairs: The layer map.
        teacher: Hugging Face configuration.
        student: Hugging Face configuration.

    Raises:
        KdlabError: One has no attention maps, the heads can't be matched, or relation heads divide no width.
    """
    if not any(0 not in pair for pair in pairs):
        raise KdlabError(
            f"{section}.layer_map maps only embeddings, which have no attention: map a layer, or set "
            f"{section}.attention_weight=0."
        )
    for who, config in (("teacher", teacher), ("student", student)):
        if get_family(config.model_type, f"The {who}").projections is None:
            raise KdlabError(
                f"The {who} is of architecture '{config.model_type}', of whose attention kdlab can get no maps: "
                f"set {section}.attention_weight=0."
            )
    theirs, ours = teacher.num_attention_heads, student.num_attention_heads
    if kind != RELATIONS and theirs != ours:
        raise KdlabError(
            f"{section}.attention={kind} compares head by head, but a layer's maps are ({theirs}, T, T) in the teacher "
            f"and ({ours}, T, T) in the student: set {section}.attention={RELATIONS}, which works for any heads and "
            "widths."
        )
    if kind == RELATIONS and relation_heads is not None:
        for who, config in (("teacher", teacher), ("student", student)):
            if config.hidden_size % relation_heads:
                raise KdlabError(
                    f"{section}.relation_heads={relation_heads} does not divide the {who}'s width "
                    f"{config.hidden_size}: give a divisor of both widths, or leave it out."
                )


class LayerMatch(nn.Module):
    """Compares the mapped layers of two passes.

    Args:
        teacher: Hugging Face configuration of the teacher.
        student: Hugging Face configuration of the student.
        hidden: Pairs of hidden states.
        attention: Pairs of layers whose attention is compared; pairs with the embeddings have none and are left out.
        kind: ``maps`` and ``scores`` compare head by head; ``relations`` compares queries with queries, keys with keys
            and values with values, in as many heads as are asked for (MiniLMv2).
        distance: ``kl`` or ``mse`` between maps; ``scores`` takes the scores before the softmax.
        relation_heads: Heads of relations; None takes the most that divide both numbers of heads.
    """

    def __init__(
        self,
        teacher: Any,
        student: Any,
        hidden: LayerMap = (),
        attention: LayerMap = (),
        kind: str = "maps",
        distance: str = "kl",
        relation_heads: int | None = None,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.attention = tuple(pair for pair in attention if 0 not in pair)
        self.kind, self.distance = kind, distance
        self.relation_heads = relation_heads or math.gcd(teacher.num_attention_heads, student.num_attention_heads)
        self.project: Projection | None = None
        if hidden and teacher.hidden_size != student.hidden_size:
            self.project = Projection(student.hidden_size, teacher.hidden_size)

    def draw(self, seed: int) -> None:
        """Draws the projection, where there is one and it is not drawn yet."""
        if self.project is not None:
            self.project.draw(torch.Generator().manual_seed(seed))

    @property
    def teacher_taps(self) -> Taps:
        """What is needed of the teacher's pass."""
        return Taps(_once(n for n, _ in self.hidden), _once(n for n, _ in self.attention))

    @property
    def student_taps(self) -> Taps:
        """What is needed of the student's pass."""
        return Taps(_once(m for _, m in self.hidden), _once(m for _, m in self.attention))

    def _projected(self, states: Tensor) -> Tensor:
        return states if self.project is None else self.project(states)

    def hidden_loss(self, student: EncoderOutput, teacher: EncoderOutput, mask: Tensor) -> Tensor:
        """Squared error of hidden states over real tokens, summed over pairs; a scalar.

        Args:
            student: A pass with ``student_taps``.
            teacher: A pass with ``teacher_taps``.
            mask: ``(B, T)``.
        """
        ours = [self._projected(student.hidden[m]) for _, m in self.hidden]
        return hidden_mse(ours, [teacher.hidden[n] for n, _ in self.hidden], mask)

    def cls_loss(self, student: EncoderOutput, teacher: EncoderOutput) -> Tensor:
        """Squared error of normalised ``[CLS]`` states, summed over pairs; a scalar."""
        ours = [self._projected(student.hidden[m][:, 0]) for _, m in self.hidden]
        return pkd_loss(ours, [teacher.hidden[n][:, 0] for n, _ in self.hidden])

    def attention_loss(self, student: EncoderOutput, teacher: EncoderOutput, mask: Tensor) -> Tensor:
        """Distance of attention, summed over pairs (and over the three relations); a scalar."""
        parts = []
        for n, m in self.attention:
            ours, theirs = student.projections[m], teacher.projections[n]
            if self.kind == RELATIONS:
                for name in ("query", "key", "value"):
                    a, b = getattr(ours, name), getattr(theirs, name)
                    relations = [attention_scores(x, x, self.relation_heads) for x in (a, b)]
                    parts.append(map_kl(relations[0], relations[1], mask))
            else:
                a = attention_scores(ours.query, ours.key, ours.heads)
                b = attention_scores(theirs.query, theirs.key, theirs.heads)
                parts.append(_DISTANCES[self.distance](a, b, mask))
        return torch.stack(parts).sum()


def _once(numbers: Any) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))
