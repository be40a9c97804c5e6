"""GLUE tasks in the original folder layout, with its quirks.

Fields of a TSV file are separated by tabs and never quoted. Labels are mapped by name. Ids are GLUE's ``index`` column
where it holds distinct integers, else the row's position in its file, counting skipped rows, as the hub does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kdlab.data.examples import Examples, Loaded
from kdlab.data.reading import Collector, check_width, find_columns, split_tabs
from kdlab.data.tasks import DEV, TASKS, TEST, TRAIN, TaskSpec, owner_of
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
        The splits whose files exist; test splits may be missing.

    Raises:
        KdlabError: A folder, a train or dev file or a column is missing, or a row is broken (file and line are named).
    """
    splits: dict[str, Examples] = {}
    notes: list[str] = []
    for split in spec.splits:
        owner = owner_of(spec, split)
        folders = _folders(owner, root)
        path = _find(folders, _file_names(owner, split))
        keep, drop = _msr_pairs(folders, split, path) if owner.name == "mrpc" else (None, None)
        if path is None and keep is not None:
            path = _find(folders, (_MSR_TRAIN,))
        if path is not None:
            splits[split], split_notes = _read_split(owner, split, path, keep, drop)
            notes.extend(split_notes)
        elif split not in spec.unlabelled_splits or spec.train_task:  # AX consists of its test set
            names = " or ".join(_file_names(owner, split))
            raise KdlabError(
                f"{folders[0]} holds no {names}, the {split} split of task {spec.name}: put the file there."
            )
    for split, name in spec.further.items():
        owner = TASKS[name]
        path = _find(_folders(owner, root), _file_names(owner, TEST))
        if path is not None:
            splits[split], split_notes = _read_split(owner, TEST, path, None, None)
            notes.extend(split_notes)
    return Loaded(splits, tuple(notes))


def _plain(name: str) -> str:
    """A folder name without case and punctuation: SST-2, sst2 and sst_2 are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _file_names(spec: TaskSpec, split: str) -> tuple[str, ...]:
    return (spec.files[split], *spec.other_files.get(split, ()))


def _folders(spec: TaskSpec, root: Path) -> list[Path]:
    """The folders that may hold a task's files, the likeliest first.

    Raises:
        KdlabError: There is none.
    """
    names = (spec.folder or spec.name, spec.name, *spec.other_folders)
    try:
        children = sorted(child for child in root.iterdir() if child.is_dir())
    except (OSError, ValueError) as error:
        raise KdlabError(f"The data folder {root} cannot be opened ({error}): give an existing folder.") from error
    if spec.train_task or spec.name == "mnli":  # AX's own folder lies beside MNLI's
        children += _siblings(root)
    plain_names = list(dict.fromkeys(_plain(name) for name in names))
    folders = [child for name in plain_names for child in children if _plain(child.name) == name]
    folders.sort(key=lambda f: (plain_names.index(_plain(f.name)), f.parent != root, f.name != spec.folder))
    root_is_task_folder = _plain(root.resolve().name) in plain_names or any(
        _is_file(root / name) for split in spec.splits for name in _file_names(spec, split)
    )
    if folders and folders[0].parent == root:
        return folders
    if root_is_task_folder:
        return [root, *folders]
    if folders:
        return folders
    raise KdlabError(
        f"{root} holds neither a folder {' or '.join(dict.fromkeys(names))} nor {spec.files[TRAIN]}: give the folder "
        f"that holds the GLUE tasks, or task {spec.name}'s own."
    )


def _find(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    """The first of the files that exists."""
    candidates = (folder / name for folder in folders for name in names)
    return next((path for path in candidates if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """True for an existing file, False where access fails."""
    try:
        return path.is_file()
    except OSError:
        return False


def _siblings(root: Path) -> list[Path]:
    """The folders beside ``root``, none where they cannot be listed."""
    try:
        return sorted(child for child in root.resolve().parent.iterdir() if child.is_dir())
    except OSError:
        return []


def _msr_pairs(folders: list[Path], split: str, path: Path | None) -> tuple[_Pairs | None, _Pairs | None]:
    """The sentence pairs of MSR's own training file to keep and to drop, because it also holds GLUE's dev pairs."""
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
    test = split in spec.unlabelled_splits
    text, pair, label = spec.file_columns
    rows, header = _open(spec, path)
    names = tuple(name for name in (text, pair, None if test else label) if name is not None)
    column = dict(zip(names, find_columns(path, header, names), strict=True))
    index = header.index("index") if "index" in header else None
    msr = find_columns(path, header, _MSR_IDS) if keep is not None or drop is not None else None
    lenient = spec.skip_malformed
    collector = Collector(spec, split, str(path), spec.file_columns, blanks=lenient and test)
    indices: list[str] = []
    broken = position = left_out = 0
    for position, (line, fields) in enumerate(rows):
        if not lenient:
            check_width(path, line, fields, header)
        bad = len(fields) != len(header) or not (test or all(fields[column[name]].strip() for name in names))
        if lenient and bad:
            broken += 1
            continue
        if msr is not None and ((fields[msr[0]], fields[msr[1]]) in (keep or drop or ())) != (keep is not None):
            left_out += 1
            continue
        indices.append("" if index is None else fields[index])
        second = None if pair is None else fields[column[pair]]
        collector.add(line, position, fields[column[text]], second, None if test else fields[column[label]])
    if broken > len(collector):
        raise KdlabError(
            f"{path}: {broken} of {position + 1} rows do not have {len(header)} columns with text in them: check that "
            f"it is the right file and is complete."
        )
    name = f"{path.parent.name}/{path.name}"
    notes = [f"{name}: {broken} broken row{'s' * (broken != 1)} skipped"] if broken else []
    if left_out and drop is not None:
        notes.append(f"{name}: {left_out} row{'s' * (left_out != 1)} of the dev split left out of train")
    return _number(collector.finish(), indices), notes


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
