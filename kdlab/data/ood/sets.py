"""The examples of an out-of-domain set: from files, from the hub, or written by the embedded corpus's grammar."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from kdlab.data import embedded
from kdlab.data.batches import EncodedSplit
from kdlab.data.examples import Collector, Examples, clip
from kdlab.data.ood.specs import Merge, OODSpec
from kdlab.data.readers.glue_folder import read_rows
from kdlab.data.readers.hub import hub_cached, load_hub
from kdlab.data.sources import Hub, Source
from kdlab.data.tasks import DEV
from kdlab.errors import KdlabError
from kdlab.system.files import file_digest


@dataclass(frozen=True)
class ForeignSet:
    """An out-of-domain set that is ready to be answered.

    Attributes:
        merge: The set, and how the model's labels become its own.
        source: Where its examples come from.
        examples: The examples; labels are indices into the set's own.
        groups: What each example is about, or None where the set does not say.
    """

    merge: Merge
    source: Source
    examples: Examples
    groups: tuple[str, ...] | None

    @property
    def out(self) -> OODSpec:
        """What the set is."""
        return self.merge.out

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of its examples."""
        return self.examples.fingerprint()


def find_set(out: OODSpec, folder: str | None, on_embedded: bool, hub: Hub) -> Source:
    """Where a set is to be read from; looks for it and reads nothing.

    Args:
        out: The set.
        folder: ``--ood-dir``; None leaves the choice to what there is.
        on_embedded: Whether the model was trained on the embedded corpus; then its grammar writes the set.
        hub: Asked, for at most 2 s, only where neither of these says.

    Raises:
        KdlabError: It can't be had.
    """
    if folder is not None:
        return Source("local", str(_file(out, folder)))
    if on_embedded:
        return Source("embedded", f"challenge sets {embedded.CHALLENGES}")
    first = out.file_names[0]
    if out.task.hub is None:
        raise KdlabError(f"{out.name} is not on the hub: give --ood-dir DIR, a folder with {first}.")
    name = " ".join(out.task.hub)
    if hub_cached(out.task):
        return Source("hub", f"{name} (cached)")
    if hub.online:
        return Source("hub", name)
    raise KdlabError(
        f"{out.name} needs {name} from the hub, which is not in its cache and can't be reached: connect once, or give "
        f"--ood-dir DIR, a folder with {first}."
    )


def read_set(merge: Merge, source: Source, hub: Hub) -> ForeignSet:
    """Reads a set.

    Args:
        merge: The set, and how the model's labels become its own.
        source: From ``find_set``.
        hub: Whether it answers.

    Raises:
        KdlabError: A file, column, row or label is not what it must be; the message names file and line.
    """
    out = merge.out
    if source.kind == "embedded":
        return ForeignSet(merge, source, *embedded.challenge(out.name))
    if source.kind == "local":
        return ForeignSet(merge, source, *_read(out, Path(source.where)))
    try:
        examples = load_hub(out.task, offline=not hub.online).splits[DEV]
        return ForeignSet(merge, source, examples, _hub_groups(out, hub))
    except KdlabError as e:  # a dataset that is a script, which the library no longer runs, among others
        raise KdlabError(
            f"{out.name} can't be had from the hub: give --ood-dir DIR, a folder with {out.file_names[0]} ({e})"
        ) from e


def source_digest(source: Source) -> str | None:
    """SHA-256 of the file a set is read from; None where it is no file."""
    return file_digest(Path(source.where)) if source.kind == "local" else None


def read_sets(merges: Sequence[Merge], folder: str | None, on_embedded: bool, hub: Hub) -> tuple[ForeignSet, ...]:
    """Finds and reads several sets, so that what is wrong with one is said before any work."""
    found = [(merge, find_set(merge.out, folder, on_embedded, hub)) for merge in merges]
    return tuple(read_set(merge, source, hub) for merge, source in found)


def _file(out: OODSpec, folder: str) -> Path:
    """The set's file below ``--ood-dir``."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise KdlabError(f"There is no folder {folder}: --ood-dir is a folder with {out.file_names[0]} in it.")
    for name in out.file_names:
        if (root / name).is_file():
            return root / name
    raise KdlabError(
        f"{folder} holds no {' or '.join(out.file_names)}, the file of {out.name}: put it there, or leave out "
        "--ood-dir to ask the hub."
    )


def _read(out: OODSpec, path: Path) -> tuple[Examples, tuple[str, ...] | None]:
    """The examples of a file, and what they are about."""
    columns = out.task.file_columns
    collector = Collector(out.task, DEV, str(path), columns)
    for position, (line, text, pair, label) in enumerate(read_rows(path, columns, labelled=True)):
        if out.literals:
            text = _literal(path, line, columns[0], text)
            pair = None if pair is None else _literal(path, line, str(columns[1]), pair)
        collector.add(line, position, text, pair, label)
    examples = collector.finish()
    if out.group is None:
        return examples, None
    groups = []
    for line, group, _, _ in read_rows(path, (out.group, None, columns[2]), labelled=False):
        if group not in out.groups:
            raise KdlabError(
                f"{path}:{line}: {clip(group)} in column {out.group!r} is none of {', '.join(out.groups)}: correct it."
            )
        groups.append(group)
    return examples, tuple(groups)


def _literal(path: Path, line: int, column: str, value: str) -> str:
    """The text of a bytes literal; a text that is written plainly stays as it is."""
    if value[:2] not in ("b'", 'b"'):
        return value
    try:
        found = ast.literal_eval(value)
        return str(found.decode("utf-8"))
    except (ValueError, SyntaxError, AttributeError, MemoryError, RecursionError) as e:
        raise KdlabError(
            f"{path}:{line}: column {column!r} holds {clip(value)}, which starts like a b'…' literal and is none: "
            "mend the quotes."
        ) from e


def _hub_groups(out: OODSpec, hub: Hub) -> tuple[str, ...] | None:
    """What each example on the hub is about: the set read once more, with that column in the place of its text."""
    if out.group is None:
        return None
    task = replace(out.task, text=out.group, text_pair=None)
    return load_hub(task, offline=not hub.online).splits[DEV].text


def count_cut(examples: Examples, split: EncodedSplit, tokenizer: Any, max_length: int) -> int:
    """How many of the examples are longer than the model reads.

    Args:
        examples: N examples.
        split: The same, tokenised and cut.
        tokenizer: The tokenizer that did it.
        max_length: Longest input in tokens.
    """
    full = [i for i, length in enumerate(split.lengths) if length >= max_length]  # cut, or of just this length
    if not full:
        return 0
    whole = examples.take(full)
    ids = tokenizer(list(whole.text), None if whole.text_pair is None else list(whole.text_pair), verbose=False)
    return sum(len(row) > max_length for row in ids["input_ids"])
