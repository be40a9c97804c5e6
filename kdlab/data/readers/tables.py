"""Tables with named columns: CSV, TSV and JSONL files, a row at a time, each with the line on which it starts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kdlab.data.reading import LONGEST, check_width, find_columns, normal, read_lines, split_tabs
from kdlab.errors import KdlabError
from kdlab.system.foreign import once, reason
from kdlab.system.shown import listed

FORMATS = (".csv", ".tsv", ".jsonl")
csv.field_size_limit(LONGEST)  # a text may be a book; the library's own limit is 128 kB


class _Written(str):
    """A number of a JSON file as it was written there."""


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
    rows = read_objects(path, names, label) if path.suffix.lower() == ".jsonl" else read_cells(path, names)
    for line, cells in rows:
        yield line, cells[text] or "", cells[pair] if pair else None, cells[label] if labelled else None


def read_cells(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The columns of these names of a CSV or TSV file with a header; raises ``KdlabError`` for what is broken."""
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


def read_objects(path: Path, names: tuple[str, ...], label: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The fields of these names of a file with one JSON object a line.

    Args:
        path: The file, whatever its ending.
        names: Of the fields; all are texts.
        label: The one that may be a number, or true or false.

    Raises:
        KdlabError: A line is no JSON object with these fields.
    """
    for line, row in json_rows(path, names):
        yield line, {name: json_text(path, line, name, row[normal(name)], name == label) for name in names}


def json_rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a file with one JSON object a line, with the fields of these names; blank lines are left out.

    Numbers are strings, as they are written in the file.

    Raises:
        KdlabError: A line is no JSON object with these fields.
    """
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
        yield line, row


def json_text(path: Path, line: int, name: str, value: object, label: bool) -> str | None:
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
