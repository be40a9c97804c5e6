"""L2A's candidates: texts drawn around the training rows, kept in the cache, and tokenised as a split to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kdlab.augmentation.base import Source, Tools
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
from kdlab.transformations.words import Edit, edited_share

_FORMAT = 1  # raised when candidates are drawn or kept in another way
_FILE = "candidates.parquet"


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
    texts: list[tuple[str, ...]]
    edits: list[tuple[Edit, ...]]
    origin: NDArray[np.int64]
    log_prob: NDArray[np.float64]
    edited: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)


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
        texts = zip(rows.text, *([rows.text_pair] if rows.text_pair is not None else []), strict=True)
        sources = [Source(i, text, tuple(range(len(text)))) for i, text in enumerate(texts)]
        copies = [asked.source if number else asked.target for number in domain]
        augmenter = EditPrior(asked.prior, Tools(filler=filler()))
        made = draw_pool(augmenter, sources, copies, asked.seed, asked.keep_original, progress)
        table = [
            Row(
                i,
                z.texts,
                None,
                "p_s",
                asked.seed,
                tuple((e.side, e.position, e.old, e.new) for e in z.edits),
                z.log_prob,
            )
            for i, z in made
        ]
        write_tables(folder / _FILE, [table_of(table, paired, scored)], {})

    def load(folder: Path) -> list[dict[str, object]]:
        return read_table(folder / _FILE)[0].to_pylist()  # type: ignore[no-any-return]

    about = {"task": data.task.name, "examples": len(rows), "draws": asked.target}
    return _as_pool(data.cache.get_or_make("pool", key, build, about, load=load), data, rows, domain)


def _as_pool(table: list[dict[str, object]], data: TextDataModule, rows: Examples, domain: tuple[int, ...]) -> Pool:
    columns = ["text", *(["text_pair"] if rows.text_pair is not None else [])]
    texts = [tuple(str(row[name]) for name in columns) for row in table]
    origin = [int(row["source"]) for row in table]  # type: ignore[call-overload]
    edits = [tuple(Edit(**edit) for edit in row["edits"]) for row in table]  # type: ignore[attr-defined]
    whole = [tuple(column[i] for column in (rows.text, rows.text_pair) if column is not None) for i in range(len(rows))]
    labels = rows.labels
    examples = Examples(
        ids=tuple(rows.ids[i] for i in origin),
        text=tuple(text[0] for text in texts),
        text_pair=tuple(text[1] for text in texts) if rows.text_pair is not None else None,
        labels=None if labels is None else tuple(labels[i] for i in origin),
        domain=tuple(domain[i] for i in origin),
    )
    return Pool(
        split=encode(examples, data.tokenizer, data.tokenizer_fingerprint, data.max_length, data.cache),
        texts=texts,
        edits=edits,
        origin=np.asarray(origin, dtype=np.int64),
        log_prob=np.asarray([row["log_prob"] for row in table], dtype=np.float64),
        edited=np.asarray([edited_share(whole[i], e) for i, e in zip(origin, edits, strict=True)], dtype=np.float32),
    )


def _weights_digest(model: nn.Module) -> str:
    """SHA-256 of a model's weights, by name."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
