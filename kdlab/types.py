"""What passes between the parts of kdlab: a batch, an encoder's output, named losses, and what a method wants."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from kdlab.errors import MethodError


class Need(Enum):
    """What a method takes from the teacher; an empty set of needs means that no teacher is loaded for the loss."""

    LOGITS = "clean logits (computed once, cached, handed out in the batch)"
    TEACHER = "the teacher itself, for inputs that the method makes, or for its hidden layers"


class Resource:
    """What a method wants besides student, teacher and rows; it is planned, fingerprinted and handed in by name."""


@dataclass(frozen=True)
class MaskedLMResource(Resource):
    """A masked LM with the teacher's vocabulary.

    Attributes:
        source: A folder, a name on the hub, or ``embedded``; None takes the student's own checkpoint, or the teacher's,
            whichever comes with a masked-LM head.
        head_steps: Steps in which a head is trained on the task's text where the checkpoint has none.
        setting: The setting that names the source, for errors.
    """

    source: str | None
    head_steps: int
    setting: str


@dataclass(frozen=True)
class RecipeResource(Resource):
    """A recipe of attacks, with the lexical resources that it works with.

    Attributes:
        recipe: A name in ``kdlab.attacks.RECIPES``, or ``path/to/file.py:Class``.
        folder: Of lexical resources; None takes ``$KDLAB_RESOURCES``.
        setting: The setting that names the recipe, for errors.
    """

    recipe: str
    folder: str | None
    setting: str


class SplitWish:
    """Rows that a method wants besides train, hold-out, dev and test; they are a split of the data under a name."""


@dataclass(frozen=True)
class LeftoverRows(SplitWish):
    """What ``--limit-train`` leaves over, without its labels."""


@dataclass(frozen=True)
class CarvedRows(SplitWish):
    """A labelled part of train that the student does not train on, for rewards; a teacher of this run does.

    Attributes:
        fraction: Of train, in (0, 1).
    """

    fraction: float


@dataclass(frozen=True)
class ValidationRows(SplitWish):
    """Rows of the task's validation part, where another part is reported.

    Attributes:
        at_most: How many, a stratified subset; 0 takes all. Errors call the method's setting for it ``PART_rows``.
        fraction: Of train, in (0, 1), that is carved out where the task has no such part; 0 refuses the task.
        otherwise: What to set for a task that is refused, for errors.
    """

    at_most: int
    fraction: float = 0.0
    otherwise: str = ""


@dataclass(frozen=True)
class OtherTaskRows(SplitWish):
    """The training rows of another task, its labels brought to this task's by name.

    Attributes:
        task: Its name, or a task file.
        data_dir: Folder with its files; None looks for a task that kdlab knows by name as for the run's own data, and
            takes the files that a task file names.
        setting: The setting that names the task, for errors.
        dir_setting: The setting that names the folder, for errors; empty where there is none.
    """

    task: str
    data_dir: str | None
    setting: str
    dir_setting: str = ""


@dataclass(frozen=True)
class Batch:
    """Examples of one step, padded to the longest of them.

    Attributes:
        index: Position of each example in its split, ``(B,)`` int64.
        input_ids: Token ids, ``(B, T)`` int64.
        attention_mask: 1 for tokens and 0 for padding, ``(B, T)`` int64.
        token_type_ids: Segment of each token, ``(B, T)`` int64; zeros for families without segments.
        labels: ``(B,)`` int64 for classification, float32 for regression; None where no row is labelled.
        teacher_logits: The teacher's logits on these clean inputs, ``(B, C)`` float32, for methods that need LOGITS.
        labelled: Which rows have a label, ``(B,)`` bool; None where all rows are alike. The others' labels are 0.
        domain: Which of several joined splits a row comes from, ``(B,)`` int64; None where there is one.
        whole: The global batch that this one is a part of, where several processes share it; methods that combine
            examples (mixup) take partners from it. Its rows ``rows`` are this batch's.
        rows: Where this batch's examples stand in ``whole``, ``(B,)``; None with one process.
        pad_id: What stands in ``input_ids`` at padding.
    """

    index: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    labels: Tensor | None = None
    teacher_logits: Tensor | None = None
    labelled: Tensor | None = None
    domain: Tensor | None = None
    whole: Batch | None = None
    rows: Tensor | None = None
    pad_id: int = 0

    def __len__(self) -> int:
        return int(self.index.shape[0])

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch on a device."""
        return self._each(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, which a DataLoader asks for."""
        return self._each(lambda t: t.pin_memory())

    def _each(self, move: Callable[[Any], Any]) -> Batch:
        return replace(self, **{k: move(v) for k, v in self.__dict__.items() if isinstance(v, Tensor | Batch)})

    def take(self, rows: Tensor) -> Batch:
        """Some of the rows, as wide as they were; a part of a global batch becomes a batch of its own.

        Args:
            rows: Positions ``(b,)``, or ``(B,)`` bool.
        """
        own = {k: v for k, v in self.__dict__.items() if isinstance(v, Tensor) and k != "rows"}
        return Batch(**{k: v[rows] for k, v in own.items()}, pad_id=self.pad_id)  # type: ignore[arg-type]

    @staticmethod
    def cat(batches: Sequence[Batch]) -> Batch:
        """Batches one after the other, padded to the longest; parts of global batches become a part of those together.

        Rows of a batch without labels become unlabelled rows where another has some.

        Raises:
            ValueError: There are none, some have teacher logits and others don't, or some are parts of a global batch.
        """
        if not batches:
            raise ValueError("there is no batch to put together")
        whole, rows = None, None
        wholes = [b.whole for b in batches if b.whole is not None]
        if wholes:
            starts = [0, *itertools.accumulate(len(w) for w in wholes)]
            parts = [b.rows + start for b, start in zip(batches, starts, strict=False) if b.rows is not None]
            if len(parts) != len(batches):
                raise ValueError("parts of global batches and whole batches can't be put together")
            whole, rows = Batch.cat(wholes), torch.cat(parts)
        if len({b.teacher_logits is None for b in batches}) > 1:
            raise ValueError("some of the batches have teacher logits and others have none")
        width = max(b.input_ids.shape[1] for b in batches)
        soft = [b.teacher_logits for b in batches if b.teacher_logits is not None]
        return Batch(
            index=torch.cat([b.index for b in batches]),
            input_ids=torch.cat([_widened(b.input_ids, width, b.pad_id) for b in batches]),
            attention_mask=torch.cat([_widened(b.attention_mask, width, 0) for b in batches]),
            token_type_ids=torch.cat([_widened(b.token_type_ids, width, 0) for b in batches]),
            labels=_cat_labels(batches),
            teacher_logits=torch.cat(soft) if soft else None,
            labelled=_cat_labelled(batches),
            domain=_cat_domains(batches),
            whole=whole,
            rows=rows,
            pad_id=batches[0].pad_id,
        )

    @property
    def fraction(self) -> float:
        """This batch's part of the global batch, by number of examples."""
        return 1.0 if self.whole is None else len(self) / len(self.whole)

    def gold(self) -> Tensor:
        """The labels of a labelled batch, ``(B,)``.

        Raises:
            ValueError: A row has no label.
        """
        if self.labels is None:
            raise MethodError("this batch has no labels: it comes from an unlabelled split")
        if self.labelled is not None:
            raise MethodError("some rows of this batch have no label: labelled_rows() has the others")
        return self.labels

    def labelled_rows(self) -> Batch:
        """The rows that have a label, as a batch whose rows all have one."""
        if self.labels is None:
            none = self.take(torch.zeros_like(self.index, dtype=torch.bool))
            return replace(none, labels=none.index, labelled=None)
        return self if self.labelled is None else replace(self.take(self.labelled), labelled=None)

    def labelled_mean(self, losses: Tensor) -> Tensor:
        """The mean over the labelled rows of the batch that processes share, as the base weighs it; 0 where none is.

        A process's loss counts by all of its rows. Its own mean over labelled ones would count too much where it has
        few of them.

        Args:
            losses: One for each of ``labelled_rows``, ``(n,)``.
        """
        whole = self.whole or self
        count = torch.as_tensor(len(whole) if whole.labelled is None else whole.labelled.sum(), device=losses.device)
        return losses.sum() * len(whole) / (count.clamp(min=1) * max(len(self), 1))

    def soft_labels(self) -> Tensor:
        """The teacher's cached clean logits ``(B, C)``.

        Raises:
            ValueError: The method did not declare ``Need.LOGITS``, so none were handed out.
        """
        if self.teacher_logits is None:
            raise MethodError("this batch has no teacher logits: add Need.LOGITS to the method's `needs`")
        return self.teacher_logits


def _widened(rows: Tensor, width: int, value: int) -> Tensor:
    """``(B, T)`` with further columns of a value."""
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=value)


def _cat_labels(batches: Sequence[Batch]) -> Tensor | None:
    known = [b.labels for b in batches if b.labels is not None]
    parts = [b.labels if b.labels is not None else known[0].new_zeros(len(b)) for b in batches if known]
    return torch.cat(parts) if parts else None


def _cat_labelled(batches: Sequence[Batch]) -> Tensor | None:
    """None where all rows have a label, and where none has."""
    if all(b.labels is None for b in batches) or all(b.labels is not None and b.labelled is None for b in batches):
        return None
    parts = []
    for b in batches:
        every = torch.full_like(b.index, b.labels is not None, dtype=torch.bool)
        parts.append(every if b.labelled is None else b.labelled)
    return torch.cat(parts)


def _cat_domains(batches: Sequence[Batch]) -> Tensor | None:
    parts = [torch.zeros_like(b.index) if b.domain is None else b.domain for b in batches]
    return None if all(b.domain is None for b in batches) else torch.cat(parts)


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
