"""A user's own text without labels: a table with the task's columns of text, or a text a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kdlab.data.examples import Examples
from kdlab.data.readers.tables import FORMATS, read_rows
from kdlab.data.reading import Collector, read_lines
from kdlab.data.tasks import UNLABELLED, TaskSpec
from kdlab.errors import KdlabError

LINES = ".txt"
"""The ending of a file with a text a line."""


def read_unlabelled(path: Path, spec: TaskSpec) -> Examples:
    """The texts of a file, as rows of a task without labels.

    Args:
        path: A CSV, TSV or JSONL file with the columns of text that the task's own files have; where the task has one
            text a row, also a ``.txt`` file with a text a line. A column of labels is not read.
        spec: The task.

    Raises:
        KdlabError: The file can't be read, is of another kind, holds no text, or a row is broken; the message names
            file and line.
    """
    kinds = FORMATS if spec.text_pair is not None else (*FORMATS, LINES)
    if path.suffix.lower() not in kinds:
        why = " (a .txt file has one text a line, and this task has pairs)" if path.suffix.lower() == LINES else ""
        raise KdlabError(
            f"{path}: unlabelled text of {spec.name} is read from files that end in {_listed(kinds)}{why}."
        )
    lines = path.suffix.lower() == LINES
    columns = ("the text", None, "") if lines else spec.file_columns
    collector = Collector(spec, UNLABELLED, str(path), columns)
    for position, (line, text, pair) in enumerate(_lines(path) if lines else _rows(path, spec)):
        collector.add(line, position, text, pair, None)
    return collector.finish()


def _lines(path: Path) -> Iterator[tuple[int, str, None]]:
    for line, text in read_lines(path):
        yield line, text.rstrip("\r\n"), None


def _rows(path: Path, spec: TaskSpec) -> Iterator[tuple[int, str, str | None]]:
    for line, text, pair, _ in read_rows(path, spec.file_columns, labelled=False):
        yield line, text, pair


def _listed(kinds: tuple[str, ...]) -> str:
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"
