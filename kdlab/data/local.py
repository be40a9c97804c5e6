"""GLUE tasks from files in the original GLUE folder layout, with its quirks.

Fields are separated by tabs and never quoted. Labels are mapped by name. Ids are the ``index`` column where it holds
distinct integers, else the row's position in its file, counting skipped rows, as the hub counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kdlab.data.examples import Collector, Examples, Loaded, read_lines
from kdlab.data.tasks import DEV, TASKS, TRAIN, TaskSpec
from kdlab.errors import KdlabError

_MSR_TRAIN = "msr_paraphrase_train.txt"
_MSR_IDS = ("#1 ID", "#2 ID")
_DEV_IDS = ("dev_ids.tsv", "mrpc_dev_ids.tsv")
_INTEGER = re.compile(r"[0-9]{1,18}")

_Pairs = frozenset[tuple[str, str]]


def load_glue(spec: TaskSpec, root: Path) -> Loaded:
    """Read a GLUE task from files.

    Args:
        spec: The task, one of ``TASKS``.
        root: The folder that holds ``RTE/``, ``SST-2/`` and so on, or the task's own folder.

    Returns:
        The splits whose files are there; a test split may be missing.

    Raises:
        KdlabError: A missing folder, train or dev file or column, or a broken row; the message names file and line.
    """
    splits: dict[str, Examples] = {}
    notes: list[str] = []
    for split in spec.splits:
        owner = TASKS[spec.train_task] if spec.train_task and split not in spec.test_splits else spec
        folders = _folders(owner, root)
        path = _find(folders, _file_names(owner, split))
        keep, drop = _msr_pairs(folders, split, path) if owner.name == "mrpc" else (None, None)
        if path is None and keep is not None:
            path = _find(folders, (_MSR_TRAIN,))
        if path is not None:
            splits[split], found = _read_split(owner, split, path, keep, drop)
            notes.extend(found)
        elif split not in spec.test_splits or spec.train_task:  # a test set that borrows its training data is its task
            names = " or ".join(_file_names(owner, split))
            raise KdlabError(
                f"{folders[0]} holds no {names}, the {split} split of task {spec.name}: put the file there."
            )
    return Loaded(splits, tuple(notes))


def find_columns(path: Path, header: list[str], wanted: tuple[str, ...]) -> list[int]:
    """Positions of the wanted columns in a header.

    Raises:
        KdlabError: A column is missing or stands there twice; the message lists the columns that are there.
    """
    for name in wanted:
        if header.count(name) != 1:
            number = "no column" if name not in header else "more than one column"
            there = ", ".join(header) if header else "none"
            raise KdlabError(f"{path}:1: {number} {name!r}; the columns there are {there[:300]}: correct the header.")
    return [header.index(name) for name in wanted]


def split_tabs(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and tab-separated fields of a file, without any quoting."""
    for number, line in read_lines(path):
        yield number, line.rstrip("\r\n").split("\t")


def check_width(path: Path, line: int, fields: list[str], header: list[str]) -> None:
    """Raise KdlabError where a row has not as many columns as the header."""
    if len(fields) != len(header):
        raise KdlabError(
            f"{path}:{line}: {len(fields)} columns where {len(header)} are expected ({', '.join(header)[:300]}): mend "
            f"the row, which a tab or line break inside a text may have broken."
        )


def _plain(name: str) -> str:
    """A folder name without case and punctuation: SST-2, sst2 and sst_2 are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _file_names(spec: TaskSpec, split: str) -> tuple[str, ...]:
    return (spec.files[split], *spec.other_files.get(split, ()))


def _folders(spec: TaskSpec, root: Path) -> list[Path]:
    """The folders in which a task's files may be, the likeliest first.

    Raises:
        KdlabError: There is none.
    """
    names = (spec.folder or spec.name, spec.name, *spec.other_folders)
    try:
        children = sorted(child for child in root.iterdir() if child.is_dir())
    except (OSError, ValueError) as error:
        raise KdlabError(f"The data folder {root} cannot be opened ({error}): give an existing folder.") from error
    if spec.train_task or spec.name == "mnli":  # AX's own folder stands beside MNLI's
        children += _siblings(root)
    wanted = list(dict.fromkeys(_plain(name) for name in names))
    found = [child for plain in wanted for child in children if _plain(child.name) == plain]
    found.sort(key=lambda child: (wanted.index(_plain(child.name)), child.parent != root, child.name != spec.folder))
    own = _plain(root.resolve().name) in wanted or any(
        _is_file(root / name) for split in spec.splits for name in _file_names(spec, split)
    )
    if found and found[0].parent == root:
        return found
    if own:
        return [root, *found]
    if found:
        return found
    raise KdlabError(
        f"{root} holds neither a folder {' or '.join(dict.fromkeys(names))} nor {spec.files[TRAIN]}: give the folder "
        f"that holds the GLUE tasks, or task {spec.name}'s own."
    )


def _find(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    """The first of the files that exists."""
    candidates = (folder / name for folder in folders for name in names)
    return next((path for path in candidates if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """True for a file that is there, False where it cannot be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def _siblings(root: Path) -> list[Path]:
    """The folders beside a folder, none where they cannot be listed."""
    try:
        return sorted(child for child in root.resolve().parent.iterdir() if child.is_dir())
    except OSError:
        return []


def _msr_pairs(folders: list[Path], split: str, path: Path | None) -> tuple[_Pairs | None, _Pairs | None]:
    """Which sentence pairs of MSR's own training file to keep and to drop: it holds GLUE's dev pairs too."""
    if split == DEV and path is None:
        ids = _find(folders, _DEV_IDS)
        return (None if ids is None else _dev_ids(ids)), None
    if split == TRAIN and path is not None and path.name == _MSR_TRAIN:
        dev, ids = _find(folders, ("dev.tsv",)), _find(folders, _DEV_IDS)
        if dev is not None:
            rows = split_tabs(dev)
            first, second = find_columns(dev, next(rows, (1, []))[1], _MSR_IDS)
            return None, frozenset((f[first], f[second]) for _, f in rows if len(f) > max(first, second))
        return None, (None if ids is None else _dev_ids(ids))
    return None, None


def _dev_ids(path: Path) -> _Pairs:
    """The pairs of sentence ids of GLUE's list of dev examples, which has no header."""
    return frozenset((fields[0], fields[1]) for _, fields in split_tabs(path) if len(fields) >= 2)


def _read_split(
    spec: TaskSpec, split: str, path: Path, keep: _Pairs | None, drop: _Pairs | None
) -> tuple[Examples, list[str]]:
    """The examples of one file, and notes on what was skipped."""
    test = split in spec.test_splits
    text, pair, label = spec.file_columns
    rows, header = _open(spec, path)
    wanted = tuple(name for name in (text, pair, None if test else label) if name is not None)
    at = dict(zip(wanted, find_columns(path, header, wanted), strict=True))
    index = header.index("index") if "index" in header else None
    msr = find_columns(path, header, _MSR_IDS) if keep is not None or drop is not None else None
    lenient = spec.skip_malformed
    collector = Collector(spec, split, str(path), spec.file_columns, blanks=lenient and test)
    numbers: list[str] = []
    broken = position = left_out = 0
    for position, (line, fields) in enumerate(rows):
        if not lenient:
            check_width(path, line, fields, header)
        bad = len(fields) != len(header) or not (test or all(fields[at[name]].strip() for name in wanted))
        if lenient and bad:
            broken += 1
            continue
        if msr is not None and ((fields[msr[0]], fields[msr[1]]) in (keep or drop or ())) != (keep is not None):
            left_out += 1
            continue
        numbers.append("" if index is None else fields[index])
        second = None if pair is None else fields[at[pair]]
        collector.add(line, position, fields[at[text]], second, None if test else fields[at[label]])
    if broken > len(collector):
        raise KdlabError(
            f"{path}: {broken} of {position + 1} rows do not have {len(header)} columns with text in them: check that "
            f"it is the right file and is complete."
        )
    name = f"{path.parent.name}/{path.name}"
    notes = [f"{name}: {broken} broken row{'s' * (broken != 1)} skipped"] if broken else []
    if left_out and drop is not None:
        notes.append(f"{name}: {left_out} row{'s' * (left_out != 1)} of the dev split left out of train")
    return _number(collector.finish(), numbers), notes


def _open(spec: TaskSpec, path: Path) -> tuple[Iterator[tuple[int, list[str]]], list[str]]:
    """The rows of a file and its header, which CoLA's train and dev files do not have."""
    rows = split_tabs(path)
    first = next(rows, None)
    if first is None:
        raise KdlabError(f"{path} holds no examples: check that it is the right file and is complete.")
    if spec.file_columns[0] in first[1] or not spec.glue_header:
        return rows, first[1]
    return chain([first], rows), list(spec.glue_header)


def _number(examples: Examples, numbers: list[str]) -> Examples:
    """The examples with the ``index`` column as ids, where that holds distinct integers."""
    if len(set(numbers)) != len(numbers) or not all(_INTEGER.fullmatch(number) for number in numbers):
        return examples
    ids = tuple(int(number) for number in numbers)
    return Examples(ids, examples.text, examples.text_pair, examples.labels)
