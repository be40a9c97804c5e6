"""Tables in files (CSV, TSV, JSONL), and GLUE tasks in the original folder layout, with its quirks.

Fields of a TSV file are separated by tabs and never quoted. Labels are mapped by name. Ids are GLUE's ``index`` column
where it holds distinct integers, else the row's position in its file, counting skipped rows, as the hub does.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kdlab.data.examples import (
    LONGEST,
    Collector,
    Examples,
    Loaded,
    check_width,
    find_columns,
    normal,
    read_lines,
    split_tabs,
)
from kdlab.data.tasks import DEV, TASKS, TEST, TRAIN, TaskSpec, owner_of
from kdlab.errors import KdlabError
from kdlab.system.foreign import once, reason
from kdlab.system.shown import listed

_MSR_TRAIN = "msr_paraphrase_train.txt"
_MSR_IDS = ("#1 ID", "#2 ID")
_DEV_IDS = ("dev_ids.tsv", "mrpc_dev_ids.tsv")
FORMATS = (".csv", ".tsv", ".jsonl")
csv.field_size_limit(LONGEST)  # a text may be a book; the library's own limit is 128 kB
_INTEGER = re.compile(r"[0-9]{1,18}")


class _Written(str):
    """A number of a JSON file as it was written there."""


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
        elif split not in spec.test_splits or spec.train_task:  # AX consists of its test set
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


def kind_of(value: object) -> str:
    """The kind of a YAML or JSON value, in words."""
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        _Written: "a number",
    }
    return "missing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def read_rows(
    path: Path, columns: tuple[str, str | None, str], labelled: bool
) -> Iterator[tuple[int, str, str | None, str | None]]:
    """The rows of a CSV, TSV or JSONL file with named columns; the ending tells the format.

    Args:
        path: The file.
        columns: Names of the columns of text, second text and label.
        labelled: False if the label column is not read and may be missing.

    Returns:
        For each row the line on which it starts, and text, second text and label as strings.

    Raises:
        KdlabError: The file or a row cannot be read; the message names file and line.
    """
    text, pair, label = columns
    names = tuple(name for name in (text, pair, label if labelled else None) if name is not None)
    rows = _objects(path, names, label) if path.suffix.lower() == ".jsonl" else _cells(path, names)
    for line, cells in rows:
        yield line, cells[text] or "", cells[pair] if pair else None, cells[label] if labelled else None


def _cells(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The names columns of a CSV or TSV file with a header."""
    rows = _csv_rows(path, names) if path.suffix.lower() == ".csv" else split_tabs(path)
    _, header = next(rows, (1, []))
    at = find_columns(path, header, names)
    for line, fields in rows:
        check_width(path, line, fields, header)
        yield line, {name: fields[i] for name, i in zip(names, at, strict=True)}


def _csv_rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Quoted, separated rows with the line on which each starts; blank lines are left out.

    Separated by commas, or by semicolons, as spreadsheets of many countries write them, where the header says so: where
    it has the columns' names with these, and not with those.
    """
    lines = (line for _, line in read_lines(path))
    first = next(lines, None)
    if first is None:
        return
    comma, semicolon = ({normal(name) for name in next(csv.reader([first], delimiter=d), [])} for d in ",;")
    wanted = {normal(name) for name in names}
    delimiter = ";" if wanted <= semicolon and not wanted <= comma else ","
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            broken = "take the carriage return out of" if "new-line" in str(error) else "mend the quotes of"
            raise KdlabError(f"{path}:{line}: not valid CSV ({error}): {broken} this row.") from error
        if fields is None:
            return
        if fields:
            yield line, fields


def _objects(path: Path, names: tuple[str, ...], label: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The names fields of a file with one JSON object a line; blank lines are left out."""
    for line, raw in read_lines(path):
        if not raw.strip():
            continue
        try:
            row = json.loads(
                raw, parse_int=_Written, parse_float=_Written, parse_constant=_Written, object_pairs_hook=once
            )
        except json.JSONDecodeError as error:
            what = f"{error.msg}, character {error.pos + 1}"
            raise KdlabError(f"{path}:{line}: not valid JSON ({what}): write one object a line.") from error
        except (ValueError, RecursionError) as error:
            raise KdlabError(f"{path}:{line}: not valid JSON ({reason(error)}): write one object a line.") from error
        row = {normal(key): value for key, value in row.items()} if isinstance(row, dict) else row
        if not isinstance(row, dict):
            raise KdlabError(f"{path}:{line}: {kind_of(row)} where a JSON object is needed: write one object a line.")
        for name in names:
            if normal(name) not in row:
                raise KdlabError(f"{path}:{line}: no field {name!r}; the fields there are {listed(row)}: add it.")
        yield line, {name: _json_text(path, line, name, row[normal(name)], name == label) for name in names}


def _json_text(path: Path, line: int, name: str, value: object, label: bool) -> str | None:
    """A JSON value as text: sentences must be strings, labels and scores may also be numbers, true or false."""
    if label and isinstance(value, bool):
        return "true" if value else "false"
    if value is None or (label and isinstance(value, _Written)):
        return None if value is None else str(value)
    if not isinstance(value, str) or isinstance(value, _Written):
        raise KdlabError(f"{path}:{line}: field {name!r} is {kind_of(value)} where a text is needed: correct it.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise KdlabError(f"{path}:{line}: field {name!r} holds half a surrogate pair, which is no text: correct it.")
    return value


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
    test = split in spec.test_splits
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
