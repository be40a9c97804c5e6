"""Amazon's reviews with the votes of their readers, for predicting how helpful they are.

The score is helpful votes / votes. Reviews of few votes are left out, for a share of two votes says little. L2A follows
Chen et al. 2018 (aclanthology.org/N18-2095) in this; how many votes theirs need isn't known here, and five is kdlab's
choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kdlab.data.examples import Loaded, clip
from kdlab.data.readers.parts import find_file, folders_below, old_lines, three_parts
from kdlab.data.readers.tables import json_rows, json_text, kind_of, read_cells
from kdlab.data.reading import Collector
from kdlab.data.tasks import TRAIN, TaskSpec
from kdlab.errors import KdlabError

VOTES = 5
"""Votes that a review needs."""

FEWEST = 200
"""Where fewer reviews than these have as many votes, one vote is enough, and a note says so."""

_NAMES = {"watches": "Watches", "electronics": "Electronics", "home": "Home_and_Kitchen"}
_FOLDERS = ("amazon", "domain/amazon", "reviews")
_FRACTION = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*")
_COUNT = re.compile(r"[0-9]{1,9}(\.0)?")
_TEXT, _HELPFUL = "reviewText", "helpful"


@dataclass(frozen=True)
class Review:
    """A review as it stands in a file: its line, text, helpful votes, and votes."""

    line: int
    text: str
    helpful: int
    votes: int


@dataclass
class _Sieve:
    """Lets reviews of a number of votes through, and counts the others."""

    votes: int
    kept: list[Review] = field(default_factory=list)
    blank: int = 0
    odd: int = 0
    again: int = 0
    texts: set[str] = field(default_factory=set)

    def add(self, review: Review) -> None:
        """Takes one of enough votes."""
        if not review.text.strip():
            self.blank += 1
        elif review.helpful > review.votes:
            self.odd += 1
        elif review.text in self.texts:
            self.again += 1
        else:
            self.texts.add(review.text)
            self.kept.append(review)


def review_files(spec: TaskSpec) -> str:
    """The names of a domain's file, for messages."""
    name = _NAMES[spec.name]
    return f"reviews_{name}.json.gz, {name}.txt.gz or {spec.name}.csv"


def load_reviews(spec: TaskSpec, root: Path, seed: int) -> Loaded:
    """Read the reviews of a domain, and carve parts out of them.

    The file has one JSON object a line (``reviews_Watches*.json``, ``"helpful": [3, 4]``), or is the text of McAuley
    and Leskovec 2013 (``Watches.txt``, ``review/helpfulness: 3/4``), both plain or in a ``.gz``, or a table
    (``watches.csv`` with columns reviewText, helpful_yes and total_vote).

    Args:
        spec: The task.
        root: The folder with the file, or with a folder ``amazon`` or ``domain/amazon``.
        seed: Draws the parts.

    Raises:
        KdlabError: There is no such file, a row is broken, or too few reviews have votes.
    """
    name = _NAMES[spec.name]
    texts = (f"{name}.txt", f"{name}.txt.gz", f"{name.replace('_and_', '_&_')}.txt*")
    plain = tuple(f"{stem}{end}" for stem in (name, spec.name) for end in (".json*", ".csv"))
    patterns = (f"reviews_{name}*.json*", *texts, *plain)
    for folder in folders_below(root, _FOLDERS):
        path = find_file(folder, patterns)
        if path is not None:
            return _load(spec, path, seed)
    raise KdlabError(
        f"{root} holds no {review_files(spec)} for task {spec.name}, nor does a folder {' or '.join(_FOLDERS)} in it: "
        "put the file there, or give the folder that holds it."
    )


def _load(spec: TaskSpec, path: Path, seed: int) -> Loaded:
    enough, few = _Sieve(VOTES), _Sieve(1)
    total = without = below = 0
    for review in _reviews(path):
        total += 1
        below += review.votes < VOTES
        without += review.votes < 1
        if review.votes >= VOTES:
            enough.add(review)
        if review.votes >= 1 and len(enough.kept) < FEWEST:
            few.add(review)
    taken, left = (enough, below) if len(enough.kept) >= FEWEST else (few, without)
    collector = Collector(spec, TRAIN, str(path), (_TEXT, None, _HELPFUL))
    for position, review in enumerate(taken.kept):
        collector.add(review.line, position, review.text, None, repr(review.helpful / review.votes))
    if not total or not taken.kept:
        what = f"none of {total:,} reviews has votes" if total else "no reviews"
        raise KdlabError(f"{path}: {what}: check that it is the right file and is complete.")
    loaded = three_parts(spec, collector.finish(), str(path), seed, "the set has no parts of its own")
    return Loaded(loaded.splits, (*_notes(path, total, left, taken, len(enough.kept)), *loaded.notes))


def _notes(path: Path, total: int, left: int, taken: _Sieve, enough: int) -> list[str]:
    """What was left out, and of how many."""
    counts = {
        "have no votes" if taken.votes < VOTES else f"have fewer than {VOTES} votes": left,
        "have no text": taken.blank,
        "have more helpful votes than votes": taken.odd,
        "repeat a text": taken.again,
    }
    causes = ", ".join(f"{count:,} {cause}" for cause, count in counts.items() if count) or "none is left out"
    notes = [f"{path.name}: of {total:,} reviews, {causes}; {len(taken.kept):,} remain"]
    if taken.votes < VOTES:
        notes.append(f"{path.name}: only {enough} reviews have {VOTES} votes or more, so one vote is enough here")
    return notes


def _reviews(path: Path) -> Iterator[Review]:
    """Every review of a file."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "csv":
        for line, cells in read_cells(path, (_TEXT, "helpful_yes", "total_vote")):
            helpful, votes = (_count(path, line, name, cells[name]) for name in ("helpful_yes", "total_vote"))
            yield Review(line, cells[_TEXT] or "", helpful, votes)
    elif kind == "txt":
        yield from _blocks(path)
    else:
        for line, row in json_rows(path, (_TEXT, _HELPFUL)):
            pair = row[_HELPFUL]
            if not isinstance(pair, list) or len(pair) != 2:
                found = f"{len(pair)} values" if isinstance(pair, list) else kind_of(pair)
                raise KdlabError(
                    f"{path}:{line}: field '{_HELPFUL}' is {found} where helpful votes and votes are needed, such as "
                    "[3, 4]: correct it."
                )
            text = json_text(path, line, _TEXT, row[_TEXT], label=False)
            helpful, votes = (_count(path, line, _HELPFUL, value) for value in pair)
            yield Review(line, text or "", helpful, votes)


def _count(path: Path, line: int, name: str, value: object) -> int:
    """A number of votes."""
    if not isinstance(value, str) or not _COUNT.fullmatch(value.strip()):
        shown = clip(value) if isinstance(value, str) else kind_of(value)
        raise KdlabError(f"{path}:{line}: '{name}' holds {shown} where a number of votes is needed: correct it.")
    return int(value.strip().removesuffix(".0"))


def _blocks(path: Path) -> Iterator[Review]:
    """The reviews of a file with a ``field: value`` a line and a blank line between reviews."""
    votes: tuple[int, int] | None = None
    for line, text in old_lines(path):
        key, _, value = text.partition(": ")
        if key == "review/helpfulness":
            match = _FRACTION.fullmatch(value)
            if match is None:
                raise KdlabError(
                    f"{path}:{line}: '{key}' is {clip(value)} where helpful votes and votes are needed, such as 3/4: "
                    "correct it."
                )
            votes = int(match[1]), int(match[2])
        elif key == "review/text":
            if votes is None:
                raise KdlabError(f"{path}:{line}: no 'review/helpfulness' stands before this text: mend the review.")
            yield Review(line, value, *votes)
            votes = None
