"""Training rows without labels: a part of train whose labels are dropped, a file, or what a limit leaves over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kdlab.data.examples import Examples
from kdlab.data.readers.unlabelled import read_unlabelled
from kdlab.data.sources import Source
from kdlab.data.subset import keep_labels
from kdlab.data.tasks import TRAIN, UNLABELLED, TaskSpec
from kdlab.errors import KdlabError

REST = "rest"
"""The word for what ``--limit-train`` leaves over."""
LABELLED, TEXT = "data.labelled", "data.unlabelled"


@dataclass(frozen=True)
class Unlabelled:
    """What is asked of rows without labels.

    Attributes:
        labelled: Fraction of train that keeps its labels; None for all of it.
        text: A file, or ``rest``; None takes the file that the task file names, where it names one.
        method: Who trains on the rows, for notes.
        taken: Whether that method takes rows without labels; otherwise they are left out.
        setting: The setting that says the fraction, for messages.
    """

    labelled: float | None = None
    text: str | None = None
    method: str = ""
    taken: bool = False
    setting: str = LABELLED


ALL_LABELLED = Unlabelled()


@dataclass(frozen=True)
class Parted:
    """Training rows with and without labels.

    Attributes:
        train: Those that have one.
        unlabelled: Those that have none; empty where there are none.
        note: Where they are from, for the plan; empty where there are none.
    """

    train: Examples
    unlabelled: Examples
    note: str


def part_rows(
    asked: Unlabelled, train: Examples, leftover: Examples, spec: TaskSpec, source: Source, seed: int
) -> Parted:
    """Training rows with their labels, and those that have none.

    Args:
        asked: What is asked.
        train: Labelled rows.
        leftover: Rows that ``--limit-train`` leaves over.
        spec: The task.
        source: Where its rows come from.
        seed: The split seed, which chooses the labels that are kept.

    Raises:
        KdlabError: There are no such rows, or two things say which they are.
    """
    own_file = spec.unlabelled if source.kind == "files" else None
    settings = {asked.setting: asked.labelled, TEXT: asked.text}
    said = [f"{name}={value}" for name, value in settings.items() if value is not None]
    if own_file is not None and said:
        raise KdlabError(
            f"{said[0]}, and the task file of {spec.name} names unlabelled text ({own_file}): both say which rows "
            "have no label, so leave one of them out."
        )
    if asked.labelled is not None:
        kept, rest = keep_labels(train, asked.labelled, seed)
        drawn = f"{asked.setting}={asked.labelled:g}, seed {seed}"
        origin = f"of {len(train):,} training rows, without their labels ({drawn})"
        return _noted(asked, kept, rest, origin)
    if asked.text == REST:
        if not len(leftover):
            raise KdlabError(
                f"{TEXT}={REST} takes what --limit-train leaves over of {spec.name}, and that is nothing: give a part "
                "of the training data, such as --limit-train 10%, or a file."
            )
        return _noted(asked, train, replace(leftover, labels=None), "left over by --limit-train, without their labels")
    file = asked.text if own_file is None else str(Path(source.where) / own_file)
    if file is None:
        return Parted(train, train.take([]), "")
    if not asked.taken:
        return Parted(train, train.take([]), f"{file} is not read, for {asked.method} takes no rows without labels")
    return _noted(asked, train, read_unlabelled(Path(file).expanduser(), spec), f"of {file}")


def _noted(asked: Unlabelled, train: Examples, rows: Examples, origin: str) -> Parted:
    if not len(rows):
        return Parted(train, rows, f"all {len(train):,} training rows keep their labels ({asked.setting})")
    left_out = "" if asked.taken else f"; they are left out, for {asked.method} takes no rows without labels"
    return Parted(train, rows, f"{UNLABELLED}: {len(rows):,} rows {origin}{left_out}")


def seen_elsewhere(rows: Examples, splits: Mapping[str, Examples]) -> list[str]:
    """A note for each split that is not trained on and has texts of these rows too.

    Args:
        rows: Rows without labels.
        splits: The task's.
    """
    texts, notes = set(_texts(rows)), []
    for name, examples in splits.items():
        if name not in (TRAIN, UNLABELLED):
            again = sum(text in texts for text in _texts(examples))
            notes += [f"{name}: {again:,} of {len(examples):,} texts are in {UNLABELLED} too"] if again else []
    return notes


def _texts(examples: Examples) -> list[tuple[str, str]]:
    return list(zip(examples.text, examples.text_pair or ("",) * len(examples), strict=True))
