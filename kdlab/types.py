"""What passes between the parts of kdlab: a batch, an encoder's output, named losses, and what a method needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import torch
from torch import Tensor


class Need(Enum):
    """What a method takes from the teacher; an empty set of needs means that no teacher is loaded for the loss."""

    LOGITS = "clean logits (computed once, cached, handed out in the batch)"
    MODEL = "the teacher itself, for inputs that the method makes"
    HIDDEN = "hidden states of mapped layers"
    ATTENTION = "attention maps of mapped layers"


@dataclass(frozen=True)
class Batch:
    """Examples of one step, padded to the longest of them.

    Attributes:
        index: Position of each example in its split, ``(B,)`` int64.
        input_ids: Token ids, ``(B, T)`` int64.
        attention_mask: 1 for tokens and 0 for padding, ``(B, T)`` int64.
        token_type_ids: Segment of each token, ``(B, T)`` int64; zeros for families without segments.
        labels: ``(B,)`` int64 for classification, float32 for regression; None where the split is unlabelled.
        whole: The global batch that this one is a part of, where several processes share it; methods that combine
            examples (mixup) take partners from it. Its rows ``rows`` are this batch's.
        rows: Where this batch's examples stand in ``whole``, ``(B,)``; None with one process.
        teacher_logits: The teacher's logits on these clean inputs, ``(B, C)`` float32, for methods that need LOGITS.
    """

    index: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    labels: Tensor | None = None
    teacher_logits: Tensor | None = None
    whole: Batch | None = None
    rows: Tensor | None = None

    def __len__(self) -> int:
        return int(self.index.shape[0])

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch on a device."""
        return self._each(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, which a DataLoader asks for."""
        return self._each(lambda t: t.pin_memory())

    def _each(self, move: Callable[[Any], Any]) -> Batch:
        return replace(self, **{k: move(v) for k, v in self.__dict__.items() if v is not None})

    @property
    def fraction(self) -> float:
        """This batch's part of the global batch, by number of examples."""
        return 1.0 if self.whole is None else len(self) / len(self.whole)

    def gold(self) -> Tensor:
        """The labels of a labelled batch.

        Raises:
            ValueError: The batch comes from an unlabelled split.
        """
        if self.labels is None:
            raise ValueError("this batch has no labels: it comes from an unlabelled split")
        return self.labels

    def soft_labels(self) -> Tensor:
        """The teacher's cached clean logits ``(B, C)``.

        Raises:
            ValueError: The method did not declare ``Need.LOGITS``, so none were handed out.
        """
        if self.teacher_logits is None:
            raise ValueError("this batch has no teacher logits: add Need.LOGITS to the method's `needs`")
        return self.teacher_logits


@dataclass(frozen=True)
class Taps:
    """What to keep of a forward pass besides the logits: nothing that is not named here is kept or computed.

    Attributes:
        hidden: Which hidden states, counted as Hugging Face does: 0 is the embeddings' output, i the output of layer i.
        projections: Which layers' queries, keys and values, counted from 1.
    """

    hidden: tuple[int, ...] = ()
    projections: tuple[int, ...] = ()


@dataclass(frozen=True)
class Projections:
    """What a layer's attention is made of.

    Attributes:
        query: ``(B, T, D)``, the heads side by side.
        key: ``(B, T, D)``.
        value: ``(B, T, D)``.
        heads: H, which divides D.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    heads: int


@dataclass(frozen=True)
class EncoderOutput:
    """What an encoder returns.

    Attributes:
        logits: ``(B, C)``.
        hidden: The hidden states that were tapped, ``(B, T, D)``, by number.
        projections: The queries, keys and values that were tapped, by number of the layer.
    """

    logits: Tensor
    hidden: dict[int, Tensor] = field(default_factory=dict)
    projections: dict[int, Projections] = field(default_factory=dict)


@dataclass(frozen=True)
class LossTerms:
    """A step's objective and its parts.

    Attributes:
        total: The scalar to minimise.
        terms: Every part by name, *unweighted*, as it stands in the paper; logged as ``train/<name>``.
    """

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
