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
from kdlab.data.examples import Examples, clip
from kdlab.data.label_map import LabelMap
from kdlab.data.ood.specs import AnswerableSet, OODSpec
from kdlab.data.readers.hub import hub_cached, load_hub
from kdlab.data.readers.tables import read_rows
from kdlab.data.reading import Collector
from kdlab.data.sources import Hub, Source
from kdlab.data.tasks import DEV
from kdlab.errors import KdlabError
from kdlab.system.files import file_digest
from kdlab.system.foreign import door


@dataclass(frozen=True)
class OODSet:
    """An out-of-domain set with its examples.

    Attributes:
        spec: The set.
        label_map: From the model's labels to the set's.
        source: Where its examples come from.
        examples: The examples; labels are indices into the set's labels.
        groups: Group of each example, or None where the set has no groups.
    """

    spec: OODSpec
    label_map: LabelMap
    source: Source
    examples: Examples
    groups: tuple[str, ...] | None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of its examples."""
        return self.examples.fingerprint()


def find_set(spec: OODSpec, folder: str | None, on_embedded: bool, hub: Hub) -> Source:
    """Finds where a set can be read from, without reading it.

    Args:
        spec: The set.
        folder: ``--ood-dir``, or None.
        on_embedded: Whether the model was trained on the embedded corpus; then its grammar writes the set.
        hub: Contacted, for at most 2 s, only where neither of these decides.

    Raises:
        KdlabError: The set is not available.
    """
    if folder is not None:
        return Source("local", str(_file(spec, folder)))
    if on_embedded:
        return Source("embedded", f"challenge sets {embedded.CHALLENGES}")
    first = spec.file_names[0]
    if spec.task.hub is None:
        raise KdlabError(f"{spec.name} is not on the hub: give --ood-dir DIR, a folder with {first}.")
    name = " ".join(spec.task.hub)
    if hub_cached(spec.task):
        return Source("hub", f"{name} (cached)")
    if hub.online:
        return Source("hub", name)
    raise KdlabError(
        f"{spec.name} needs {name} from the hub, which is not in its cache and can't be reached: connect once, or give "
        f"--ood-dir DIR, a folder with {first}."
    )


def read_set(asked: AnswerableSet, source: Source, hub: Hub) -> OODSet:
    """Reads a set.

    Args:
        asked: The set and the map of the model's labels.
        source: From ``find_set``.
        hub: Whether it answers.

    Raises:
        KdlabError: A file, column, row or label is invalid; the message names file and line.
    """
    spec, label_map = asked.spec, asked.label_map
    if source.kind == "embedded":
        return OODSet(spec, label_map, source, *embedded.challenge(spec.name))
    if source.kind == "local":
        return OODSet(spec, label_map, source, *_read(spec, Path(source.where)))
    try:
        examples = load_hub(spec.task, offline=not hub.online).splits[DEV]
        return OODSet(spec, label_map, source, examples, _hub_groups(spec, hub))
    except KdlabError as e:  # such as a dataset that is a script, which the library no longer runs
        raise KdlabError(
            f"{spec.name} can't be had from the hub: give --ood-dir DIR, a folder with {spec.file_names[0]} ({e})"
        ) from e


def source_digest(source: Source) -> str | None:
    """SHA-256 of the file that a set is read from; None where it is not read from a file."""
    return file_digest(Path(source.where)) if source.kind == "local" else None


def read_sets(asked: Sequence[AnswerableSet], folder: str | None, on_embedded: bool, hub: Hub) -> tuple[OODSet, ...]:
    """Finds and reads several sets, so that errors in any of them come before any work."""
    sources = [find_set(answerable.spec, folder, on_embedded, hub) for answerable in asked]
    return tuple(read_set(answerable, source, hub) for answerable, source in zip(asked, sources, strict=True))


def _file(spec: OODSpec, folder: str) -> Path:
    """The set's file below ``--ood-dir``."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise KdlabError(f"There is no folder {folder}: --ood-dir is a folder with {spec.file_names[0]} in it.")
    for name in spec.file_names:
        if (root / name).is_file():
            return root / name
    raise KdlabError(
        f"{folder} holds no {' or '.join(spec.file_names)}, the file of {spec.name}: put it there, or leave out "
        "--ood-dir to ask the hub."
    )


def _read(spec: OODSpec, path: Path) -> tuple[Examples, tuple[str, ...] | None]:
    """The examples of a file, and their groups."""
    columns = spec.task.file_columns
    collector = Collector(spec.task, DEV, str(path), columns)
    for position, (line, text, pair, label) in enumerate(read_rows(path, columns, labelled=True)):
        if spec.literals:
            text = _literal(path, line, columns[0], text)
            pair = None if pair is None else _literal(path, line, str(columns[1]), pair)
        collector.add(line, position, text, pair, label)
    examples = collector.finish()
    if spec.group is None:
        return examples, None
    groups = []
    for line, group, _, _ in read_rows(path, (spec.group, None, columns[2]), labelled=False):
        if group not in spec.groups:
            raise KdlabError(
                f"{path}:{line}: {clip(group)} in column {spec.group!r} is none of {', '.join(spec.groups)}: "
                "correct it."
            )
        groups.append(group)
    return examples, tuple(groups)


def _literal(path: Path, line: int, column: str, value: str) -> str:
    """The text of a bytes literal; other texts are returned unchanged."""
    if value[:2] not in ("b'", 'b"'):
        return value
    where = f"{path}:{line}: column {column!r} holds {clip(value)}, which starts like a b'…' literal"
    with door(where, "mend the quotes", "and is none"):
        return str(ast.literal_eval(value).decode("utf-8"))


def _hub_groups(spec: OODSpec, hub: Hub) -> tuple[str, ...] | None:
    """Group of each example on the hub: reads the set again with the group column as its text."""
    if spec.group is None:
        return None
    task = replace(spec.task, text=spec.group, text_pair=None)
    return load_hub(task, offline=not hub.online).splits[DEV].text


def count_truncated(examples: Examples, split: EncodedSplit, tokenizer: Any, max_length: int) -> int:
    """How many of the examples are longer than ``max_length``.

    Args:
        examples: N examples.
        split: The same, tokenised and cut.
        tokenizer: The tokenizer of the split.
        max_length: Longest input in tokens.
    """
    longest = [i for i, length in enumerate(split.lengths) if length >= max_length]  # cut, or exactly that long
    if not longest:
        return 0
    texts = examples.take(longest)
    ids = tokenizer(list(texts.text), None if texts.text_pair is None else list(texts.text_pair), verbose=False)
    return sum(len(row) > max_length for row in ids["input_ids"])
