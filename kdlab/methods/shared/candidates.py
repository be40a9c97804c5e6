"""L2A's candidates: texts drawn around the training rows, kept in the cache, and tokenised as a split to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kdlab.augmentation.base import Made, Source, Tools
from kdlab.augmentation.p_s import EditPrior, EditPriorSettings
from kdlab.augmentation.pool import draw_pool
from kdlab.data.augmented import Row, read_table, table_of, write_tables
from kdlab.data.batches import EncodedSplit
from kdlab.data.encoding import encode
from kdlab.data.examples import Examples
from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TRAIN
from kdlab.system.files import fingerprint
from kdlab.transformations.masked_lm import Filler
from kdlab.transformations.words import Edit, Words
from kdlab.types import Batch

_FORMAT = 1  # raised when candidates are drawn or kept in another way
_FILE = "candidates.parquet"
_AT_ONCE = 4096  # rows that are objects at a time

T = TypeVar("T")


class Rows(Sequence[T], Generic[T]):
    """The rows of a table, made objects where they are asked for: as columns they take a twentieth of the memory.

    Args:
        table: N rows.
        make: Makes an object of each row of a batch of rows.
    """

    def __init__(self, table: Any, make: Callable[[Any], Iterable[T]]) -> None:
        self._table, self._make = table, make

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> T | list[T]:
        places = range(len(self))[at]
        if isinstance(places, range):
            return [self[i] for i in places]
        (row,) = [row for part in self._table.slice(places, 1).to_batches() for row in self._make(part)]
        return row

    def __iter__(self) -> Iterator[T]:
        for part in self._table.to_batches(max_chunksize=_AT_ONCE):
            yield from self._make(part)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and bool(self._table.equals(other._table))

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Asked:
    """What a pool is drawn of.

    Attributes:
        target: Draws around each row of the target.
        source: Draws around each row of a source domain.
        prior: P_s.
        keep_original: Whether the first draw of a row is the row itself.
        seed: Of all choices.
    """

    target: int
    source: int
    prior: EditPriorSettings
    keep_original: bool
    seed: int


@dataclass(frozen=True)
class Pool:
    """Candidates, in the order of the rows that they were made of.

    Attributes:
        split: As they are tokenised; its ``domain`` is 0 for the target's and 1 for a source domain's.
        texts: One or two texts of each.
        edits: What makes them of their rows.
        origin: Position in train of the row of each, ``(N,)``.
        log_prob: ``log P_s(z|x)`` of each, ``(N,)``.
        edited: Share of the row's words that were replaced, ``(N,)``.
    """

    split: EncodedSplit
    texts: Sequence[tuple[str, ...]]
    edits: Sequence[tuple[Edit, ...]]
    origin: NDArray[np.int64]
    log_prob: NDArray[np.float64]
    edited: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)

    def counts(self, batch: Batch, kept: Tensor) -> dict[str, Tensor]:
        """What part of a batch's candidates was kept, by domain where there are two, and how much of them was edited.

        Args:
            batch: B candidates.
            kept: ``(B,)`` bool.
        """
        terms: dict[str, Tensor] = {}
        if batch.domain is not None and self.split.domain is not None and self.split.domain.any():
            for number, domain in enumerate(("target", "source")):
                if bool((batch.domain == number).any()):
                    terms[f"kept_{domain}"] = kept[batch.domain == number].float().mean()
        edited = torch.from_numpy(self.edited[batch.index[kept].cpu().numpy()])
        return {**terms, "edited": edited.mean().to(kept.device)}


def obtain_pool(
    data: TextDataModule,
    asked: Asked,
    masked_lm: nn.Module,
    filler: Callable[[], Filler],
    progress: Callable[[int, int], None],
) -> Pool:
    """The candidates around the rows of train, drawn once and kept in the cache; every process must ask.

    Args:
        data: Whose training rows.
        asked: What is drawn.
        masked_lm: What fills places in; its weights are part of the pool's fingerprint.
        filler: Gives it ready to be asked, where something must be drawn.
        progress: Told how many draws are done, and of how many.
    """
    rows = data.examples[TRAIN]
    domain = rows.domain or (0,) * len(rows)
    paired, scored = rows.text_pair is not None, data.task.regression
    key = fingerprint(
        "pool",
        _FORMAT,
        rows.fingerprint(),
        _weights_digest(masked_lm),
        [data.tokenizer_fingerprint, data.max_length],
        [asked.target, asked.source, vars(asked.prior), asked.keep_original, asked.seed],
    )

    def build(folder: Path) -> None:
        texts = zip(*_texts_of(rows).values(), strict=True)
        sources = [Source(i, text, tuple(range(len(text)))) for i, text in enumerate(texts)]
        copies = [asked.source if number else asked.target for number in domain]
        augmenter = EditPrior(asked.prior, Tools(filler=filler()))
        made = draw_pool(augmenter, sources, copies, asked.seed, asked.keep_original, progress)
        parts = iter(lambda: [_row(i, z, asked.seed) for i, z in islice(made, _AT_ONCE)], [])
        write_tables(folder / _FILE, (table_of(part, paired, scored) for part in parts), {})

    def load(folder: Path) -> Any:
        return read_table(folder / _FILE, [*_texts_of(rows), "source", "edits", "log_prob"])[0]

    about = {"task": data.task.name, "examples": len(rows), "draws": asked.target}
    return _as_pool(data.cache.get_or_make("pool", key, build, about, load=load), data, rows, domain)


def _row(origin: int, made: Made, seed: int) -> Row:
    edits = tuple((edit.side, edit.position, edit.old, edit.new) for edit in made.edits)
    return Row(origin, made.texts, None, "p_s", seed, edits, made.log_prob)


def _edits(part: Any) -> Iterator[tuple[Edit, ...]]:
    """The edits of each of some candidates."""
    (column,) = part.columns
    fields = column.flatten().flatten()  # side, position, old and new of all of them, one behind the other
    every = map(Edit, *(field.to_pylist() for field in fields))
    return (tuple(islice(every, count)) for count in column.value_lengths().to_pylist())


def _texts_of(rows: Examples) -> dict[str, tuple[str, ...]]:
    """The columns of texts, by their names in a file of candidates."""
    return {"text": rows.text} | ({} if rows.text_pair is None else {"text_pair": rows.text_pair})


def _as_pool(table: Any, data: TextDataModule, rows: Examples, domain: tuple[int, ...]) -> Pool:
    import pyarrow.compute as pc

    origin = np.array(table["source"].to_numpy())
    of = origin.tolist()
    examples = Examples(
        ids=tuple(rows.ids[i] for i in of),
        text=tuple(table["text"].to_pylist()),
        text_pair=tuple(table["text_pair"].to_pylist()) if rows.text_pair is not None else None,
        labels=None if rows.labels is None else tuple(rows.labels[i] for i in of),
        domain=tuple(domain[i] for i in of),
    )
    own = _texts_of(rows)
    words = np.array([sum(len(Words(text)) for text in texts) for texts in zip(*own.values(), strict=True)])
    edits = pc.list_value_length(table["edits"]).to_numpy()  # of words, each of another one
    return Pool(
        split=encode(examples, data.tokenizer, data.tokenizer_fingerprint, data.max_length, data.cache),
        texts=Rows(table.select(list(own)), lambda part: zip(*(c.to_pylist() for c in part.columns), strict=True)),
        edits=Rows(table.select(["edits"]), _edits),
        origin=origin,
        log_prob=np.array(table["log_prob"].to_numpy()),
        edited=(edits / np.maximum(words, 1)[origin]).astype(np.float32),
    )


def _weights_digest(model: nn.Module) -> str:
    """SHA-256 of a model's weights, by name."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
