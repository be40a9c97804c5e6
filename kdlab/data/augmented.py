"""Augmented examples in a file: what ``kdlab augment`` writes, and what a run trains on besides its own rows.

A Parquet file with a row for each new example; its metadata holds the manifest, which says of which data the examples
are, what made them, and how often the teacher still says the label.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdlab.data.examples import Examples
from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.system.files import file_digest, sync_folder, writing
from kdlab.system.foreign import check_regular, door

FORMAT = 1
_KEY = b"kdlab"
_ADVICE = "give a file that kdlab augment wrote"


@dataclass(frozen=True)
class Row:
    """A new example.

    Attributes:
        source: Id of the example that it was made of.
        texts: Its one or two texts.
        label: Name of its label, or its score.
        augmenter: What made it.
        seed: Of all choices.
        edits: Side, position, old and new of each change, as ``kdlab.transformations.words.Edit`` has them.
        log_prob: Natural logarithm of the probability with which it is made; None where that is not known.
        label_prob: The teacher's probability of the label; None where it was not asked, or the task has scores.
    """

    source: int
    texts: tuple[str, ...]
    label: str | float | None
    augmenter: str
    seed: int
    edits: tuple[tuple[int, int, str, str], ...]
    log_prob: float | None = None
    label_prob: float | None = None


@dataclass(frozen=True)
class AugmentedFile:
    """A file that was read.

    Attributes:
        path: Where.
        sha256: Of its bytes.
        manifest: What it says of itself.
        examples: Its rows as examples of the task.
        sources: Id of the row that each was made of.
    """

    path: Path
    sha256: str
    manifest: dict[str, Any]
    examples: Examples
    sources: tuple[int, ...]

    @property
    def part(self) -> str:
        """Of how many of the training rows it was made, in words; empty where it was of all."""
        taken, total = self.manifest.get("sources", 0), self.manifest.get("training_rows", 0)
        return f" of {taken:,} of {total:,} rows" if taken < total else ""

    @property
    def substituted(self) -> tuple[str, ...]:
        """What stood in for a resource, in sentences."""
        return tuple(str(sentence) for sentence in self.manifest.get("substituted", ()))


def table_of(rows: Sequence[Row], paired: bool, scored: bool) -> Any:
    """New examples as a table.

    Args:
        rows: The examples.
        paired: Whether examples have two texts.
        scored: Whether labels are scores.
    """
    import pyarrow as pa

    edit = pa.struct([("side", pa.int8()), ("position", pa.int32()), ("old", pa.string()), ("new", pa.string())])
    edits = [
        [{"side": s, "position": p, "old": _writable(o), "new": _writable(n)} for s, p, o, n in row.edits]
        for row in rows
    ]
    columns: dict[str, tuple[Any, list[Any]]] = {
        "source": (pa.int64(), [row.source for row in rows]),
        "text": (pa.string(), [_writable(row.texts[0]) for row in rows]),
        **({"text_pair": (pa.string(), [_writable(row.texts[1]) for row in rows])} if paired else {}),
        "label": (pa.float64() if scored else pa.string(), [row.label for row in rows]),
        "augmenter": (pa.string(), [row.augmenter for row in rows]),
        "seed": (pa.int64(), [row.seed for row in rows]),
        "edits": (pa.list_(edit), edits),
        "log_prob": (pa.float64(), [row.log_prob for row in rows]),
        "label_prob": (pa.float32(), [row.label_prob for row in rows]),
    }
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


def write_tables(path: Path, tables: Iterable[Any], manifest: dict[str, Any]) -> None:
    """Writes a file, completely or not at all; equal tables and manifests make equal bytes.

    Args:
        path: Where.
        tables: From ``table_of``, one after the other, at least one.
        manifest: What the file says of itself.

    Raises:
        KdlabError: It can't be written.
    """
    import pyarrow.parquet as pq

    text = json.dumps({"format": FORMAT, **manifest}, sort_keys=True, ensure_ascii=False)
    metadata = {_KEY: text.encode("utf-8", "backslashreplace")}
    part = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = None
        try:
            for table in tables:
                if writer is None:
                    writer = pq.ParquetWriter(part, table.schema.with_metadata(metadata), compression="zstd")
                writer.write_table(table.replace_schema_metadata(metadata))
            if writer is not None:
                writer.close()
                with part.open("rb") as f:
                    os.fsync(f.fileno())
                part.replace(path)
                sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


def read_table(path: Path, columns: Sequence[str] | None = None) -> tuple[Any, dict[str, Any]]:
    """The table of a file, or some of its columns, and its manifest.

    Raises:
        KdlabError: It is no file of augmented examples.
    """
    import pyarrow.parquet as pq

    check_regular(path)
    with door(path, _ADVICE):
        manifest = json.loads((pq.read_schema(path).metadata or {}).get(_KEY, b"{}"))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise KdlabError(f"{path} holds no augmented examples of this version of kdlab: {_ADVICE}.")
    with door(path, _ADVICE):
        table = pq.read_table(path, columns=None if columns is None else list(columns))
    return table, manifest


def is_whole(path: Path) -> bool:
    """Whether a file of augmented examples is there, and not cut short."""
    try:
        read_table(path, ["source"])
    except KdlabError:
        return False
    return True


def read_augmented(path: Path, spec: TaskSpec, data: str) -> AugmentedFile:
    """The new examples of a task's training rows.

    Args:
        path: The file.
        spec: The task.
        data: Fingerprint of the training rows; the file must be made of them.

    Raises:
        KdlabError: The file can't be read, is of other rows, or has a label that the task doesn't have.
    """
    wanted = ["source", "text", "label", *(["text_pair"] if spec.text_pair is not None else [])]
    table, manifest = read_table(path, wanted)
    if manifest.get("data") != data:
        made = manifest.get("of", "other data")
        raise KdlabError(
            f"{path} was made of other training rows ({made}) than this run has of {spec.name}: augment these with the "
            "same --limit-train or --target-per-class, data.split_seed, data.labelled, data.selection and "
            "data.holdout, or leave augment= out."
        )
    columns = table.to_pydict()
    names = {name: i for i, name in enumerate(spec.labels)}
    labels: list[Any] = []
    for number, label in enumerate(columns["label"], 1):
        if not spec.regression and label not in names:
            raise KdlabError(f"{path}, row {number}: label '{str(label)[:60]}' is none of {', '.join(names)}.")
        labels.append(float(label) if spec.regression else names[label])
    if not labels:
        raise KdlabError(f"{path} holds no examples: make it with more copies, or without a filter.")
    examples = Examples(
        ids=tuple(-1 - i for i in range(len(labels))),
        text=tuple(columns["text"]),
        text_pair=None if spec.text_pair is None else tuple(columns["text_pair"]),
        labels=tuple(labels),
        augmented=(True,) * len(labels),
    )
    return AugmentedFile(path, file_digest(path), manifest, examples, tuple(columns["source"]))


def _writable(text: str) -> str:
    """Half characters, which Parquet can't hold, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
