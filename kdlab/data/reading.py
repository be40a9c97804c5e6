"""The reading and checking of a file's lines and rows, which become the examples of a split."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kdlab.data.examples import Examples, clip
from kdlab.data.tasks import TRAIN, UNLABELLED, TaskSpec
from kdlab.errors import KdlabError
from kdlab.system.foreign import MIB, door, unpacked
from kdlab.system.shown import listed

LONGEST = 64 * MIB
"""Bytes of a line of a table."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, with or without byte-order mark, with their numbers from 1; those inside a ``.gz``.

    A line feed ends a line, and nothing else that Unicode counts as a line end, because sentences may contain that; a
    file without any line feed has carriage returns instead. Blank lines at the end of the file are left out. A line
    keeps its line end.

    Raises:
        KdlabError: The file cannot be read, or a line is not UTF-8; the message names the line and the byte.
    """
    blank: list[tuple[int, str]] = []
    with unpacked(path) as file, door(path, "check the disk"):
        for number, raw in enumerate(_raw_lines(file, path), start=1):
            line = _decode(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw, path, number)
            if line.strip("\r\n"):
                yield from blank
                blank.clear()
                yield number, line
            else:
                blank.append((number, line))


def _raw_lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The lines of a file, of bounded length each."""
    first = file.readline(LONGEST + 1)
    old = len(first) <= LONGEST and b"\r" in first.rstrip(b"\r\n") and not first.endswith(b"\n")  # as of Mac OS 9
    if old:
        yield from (line for line in first.splitlines(keepends=True))
        return
    number, line = 1, first
    while line:
        if len(line) > LONGEST:
            raise KdlabError(
                f"{path}:{number}: a line of more than {LONGEST:,} bytes: check that it is the right file."
            )
        yield line
        number, line = number + 1, file.readline(LONGEST + 1)


def normal(name: str) -> str:
    """A label or column in Unicode's normal form C, in which é is one character however it was written."""
    return unicodedata.normalize("NFC", name)


def _decode(raw: bytes, path: Path, number: int) -> str:
    """The line as text, or an error that names the first byte that is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise KdlabError(
            f"{path}:{number}: byte {error.start + 1} of the line (0x{raw[error.start]:02x}) is not UTF-8: "
            f"save the file as UTF-8."
        ) from error


def find_columns(path: Path, header: list[str], wanted: tuple[str, ...]) -> list[int]:
    """Positions of the wanted columns in a header.

    Raises:
        KdlabError: A column is missing or occurs twice; the message lists the columns of the file.
    """
    header, wanted = [normal(name) for name in header], tuple(normal(name) for name in wanted)
    for name in wanted:
        if header.count(name) != 1:
            number = "no column" if name not in header else "more than one column"
            raise KdlabError(
                f"{path}:1: {number} {name!r}; the columns there are {listed(header)}: correct the header."
            )
    return [header.index(name) for name in wanted]


def split_tabs(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and tab-separated fields of a file, without quoting."""
    for number, line in read_lines(path):
        yield number, line.rstrip("\r\n").split("\t")


def check_width(path: Path, line: int, fields: list[str], header: list[str]) -> None:
    """Raise KdlabError where a row has another number of columns than the header."""
    if len(fields) != len(header):
        number = f"{len(fields)} column{'s' * (len(fields) != 1)}"
        raise KdlabError(
            f"{path}:{line}: {number} where {len(header)} are expected ({listed(header)}): mend the row, "
            f"which a tab, comma or line break inside a text may have broken."
        )


class Collector:
    """Collects the rows of one split into ``Examples`` and checks every value.

    Args:
        spec: The task.
        split: Name of the split; labels of an unlabelled split are never read.
        source: The file, or the dataset and split on the hub, as messages name it.
        columns: Names of the columns of text, second text and label in the source, as messages name them.
        row: Separator between the source and a row's number in messages.
        blanks: True where blank texts are accepted.
    """

    def __init__(
        self,
        spec: TaskSpec,
        split: str,
        source: str,
        columns: tuple[str, str | None, str],
        row: str = ":",
        blanks: bool = False,
    ) -> None:
        self._spec, self._split, self._source, self._columns = spec, split, source, columns
        self._row, self._blanks = row, blanks
        self._labelled = split not in (*spec.unlabelled_splits, UNLABELLED)
        index = {name: i for i, name in enumerate(spec.labels)}
        index |= {other: index[name] for other, name in spec.aliases.items()}
        self._index = {normal(name): i for name, i in index.items()}
        self._ids: list[int] = []
        self._text: list[str] = []
        self._pair: list[str] = []
        self._labels: list[int] = []
        self._scores: list[float] = []

    def add(self, line: int, row_id: int, text: str, pair: str | None, label: str | None) -> None:
        """Add one row.

        Args:
            line: The row's number in its source, for messages.
            row_id: The example's id.
            text: First or only sentence.
            pair: Second sentence; ignored for single-sentence tasks.
            label: Label name or score as text; ignored for unlabelled splits.

        Raises:
            KdlabError: A blank text, a label that the task does not have, or a score out of range.
        """
        for value, column in ((text, self._columns[0]), (pair, self._columns[1])):
            if column is not None and not self._blanks and not (value or "").strip():
                raise self._error(line, f"column {column!r} is blank: write the text or remove the row")
        if self._labelled and self._spec.regression:
            self._scores.append(self._score(line, label))
        elif self._labelled:
            self._labels.append(self._label(line, label))
        self._ids.append(row_id)
        self._text.append(text)
        self._pair.append(pair or "")

    def finish(self) -> Examples:
        """The split's examples.

        Raises:
            KdlabError: No rows, a training split of one label, or scores that are all the same.
        """
        if not self._text:
            raise KdlabError(f"{self._source} holds no examples: check that it is the right file and is complete.")
        is_train = self._split == TRAIN
        if is_train and len(set(self._labels)) == 1:
            raise KdlabError(
                f"{self._source}: all {len(self)} examples have the label {self._spec.labels[self._labels[0]]!r} in "
                f"column {self._columns[2]!r}; training needs examples of at least two labels."
            )
        if len(set(self._scores)) == 1:
            raise KdlabError(
                f"{self._source}: all {len(self)} examples have the score {self._scores[0]:g} in column "
                f"{self._columns[2]!r}; a correlation needs at least two different scores."
            )
        values = tuple(self._scores) if self._spec.regression else tuple(self._labels)
        return Examples(
            ids=tuple(self._ids),
            text=tuple(self._text),
            text_pair=None if self._spec.text_pair is None else tuple(self._pair),
            labels=values if self._labelled else None,
        )

    def missing_labels(self) -> tuple[str, ...]:
        """Names of the labels that no row of a labelled split has."""
        present = set(self._labels)
        return tuple(name for i, name in enumerate(self._spec.labels) if self._labelled and i not in present)

    def __len__(self) -> int:
        return len(self._text)

    def _error(self, line: int, what: str) -> KdlabError:
        return KdlabError(f"{self._source}{self._row}{line}: {what}.")

    def _label(self, line: int, value: str | None) -> int:
        """Index of a label by its name or other spelling."""
        name = normal((value or "").strip())
        if name not in self._index:
            known = listed(self._spec.labels)
            aliases = [k for k in self._spec.aliases if k not in self._spec.labels]
            other = listed(aliases) if aliases else ""
            raise self._error(
                line,
                f"label {clip(name)} in column {self._columns[2]!r} is none of {known}"
                f"{f' (written {other})' if other else ''}: correct it, or check that this is a file of "
                f"task {self._spec.name}",
            )
        return self._index[name]

    def _score(self, line: int, value: str | None) -> float:
        """A score inside the task's range."""
        low, high = self._spec.score_range or (-math.inf, math.inf)
        try:
            score = float(value or "")
        except ValueError:
            score = math.nan
        if not low <= score <= high:  # also true for NaN
            raise self._error(
                line,
                f"score {clip(value or '')} in column {self._columns[2]!r} is no number from {low:g} to {high:g}: "
                f"correct it or remove the row",
            )
        return score
