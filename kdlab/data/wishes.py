"""Splits that a method asks for besides the task's own."""

from __future__ import annotations

from dataclasses import replace

from kdlab.data.examples import Examples
from kdlab.data.label_map import merge_labels
from kdlab.data.sources import Hub, Source, choose_source, file_of, find_task, naming, read_source
from kdlab.data.subset import carve, limit
from kdlab.data.tasks import DEV, TASKS, TEST, TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.system.shown import listed
from kdlab.system.spelling import plain
from kdlab.types import CarvedRows, LeftoverRows, OtherTaskRows, SplitWish, ValidationRows


def grant(
    name: str,
    wish: SplitWish,
    splits: dict[str, Examples],
    leftover: Examples,
    spec: TaskSpec,
    source: Source,
    hub: Hub,
    seed: int,
) -> tuple[Examples, str]:
    """A split that a method wants, and where it comes from; a carved one is taken out of train where it stands.

    Args:
        name: Of the split.
        wish: What the method wants.
        splits: The task's splits.
        leftover: Training rows that ``--limit-train`` leaves out.
        spec: The task.
        source: Where its examples come from.
        hub: Whether it answers.
        seed: The split seed.

    Raises:
        KdlabError: There are no such rows.
        ValueError: The method can't ask for this.
    """
    if name in splits or name.startswith((DEV, TEST, f"{TRAIN}/")):
        raise ValueError(
            f"a method's split can't be called {name}: there is one already, or it would be reported or trained on"
        )
    if isinstance(wish, LeftoverRows):
        if not len(leftover):
            raise KdlabError(
                f"The method wants unlabelled rows, and --limit-train leaves none over of {spec.name}: give a part of "
                "the training data, such as --limit-train 10%."
            )
        return replace(leftover, labels=None), "left over by --limit-train, without their labels"
    if isinstance(wish, ValidationRows):
        if DEV in splits and DEV not in spec.reported_splits:
            return _validation_rows(name, wish, splits[DEV], spec, seed)
        if not wish.fraction:
            raise KdlabError(
                f"The method wants rows of {spec.name}'s validation part as its {name} part, and {spec.name} has none "
                f"but those that are reported: {wish.otherwise}."
            )
        wish = CarvedRows(wish.fraction)
    if isinstance(wish, CarvedRows):
        with naming(file_of(spec, source)):
            splits[TRAIN], carved = carve(splits[TRAIN], wish.fraction, seed, labels=spec.labels)
        _check_labels(name, carved, "carved out of train", spec)
        return carved, "carved out of train"
    if isinstance(wish, OtherTaskRows):
        return rows_of_other(wish, spec, source, hub)
    raise ValueError(f"kdlab knows no rows of kind {type(wish).__name__}")


def _validation_rows(
    name: str, wish: ValidationRows, rows: Examples, spec: TaskSpec, seed: int
) -> tuple[Examples, str]:
    """Rows of a validation part, and where they come from."""
    some = limit(rows, str(wish.at_most), seed, spec.labels, f"{name}_rows") if wish.at_most else rows
    origin = f"{len(some):,} of the {len(rows):,} of {DEV}, which is not reported"
    _check_labels(name, some, origin, spec)
    return some, origin


def _check_labels(name: str, rows: Examples, origin: str, spec: TaskSpec) -> None:
    """Refuses rows on which every answer scores alike."""
    if len(set(rows.labels or ())) < 2:
        kind = "score" if spec.regression else "label"
        raise KdlabError(
            f"The method's {name} part ({origin}) has {len(rows)} rows of {spec.name}, all of one {kind}, so no score "
            f"could tell a better student there: give more training data, or a larger part."
        )


def rows_of_other(wish: OtherTaskRows, spec: TaskSpec, source: Source, hub: Hub) -> tuple[Examples, str]:
    """The training rows of another task, with the indices of this task's labels, and where they come from.

    Args:
        wish: Which task.
        spec: This task.
        source: Where its examples come from.
        hub: Whether it answers.

    Raises:
        KdlabError: There are no such rows, or their labels are not this task's.
    """
    other, base = find_task(wish.task, hub)
    named = base is None and other.name in TASKS  # task files and sets of the hub say where they lie
    beside = source.where if named and source.kind == "local" else None
    profile = "embedded" if source.embedded else "auto"
    own = choose_source(other, base, profile, wish.data_dir or beside, hub, wish.dir_setting or "its folder")
    if own.embedded and not source.embedded:
        give = f"give its folder by {wish.dir_setting}, or name" if wish.dir_setting else "name"
        raise KdlabError(
            f"{wish.setting}={wish.task}: its data is not on this machine and the hub can't be reached, and rows of "
            f"the embedded corpus don't go into a run on real data: {give} a task file."
        )
    rows = read_source(other, own, hub, 0).splits[TRAIN]
    origin = f"of {other.name} ({own.kind}: {own.where})"
    if (other.text_pair is None) != (spec.text_pair is None):
        raise KdlabError(
            f"{wish.setting}={wish.task}: one of {other.name} and {spec.name} has pairs and the other single texts: "
            "name another task."
        )
    if spec.score_range is not None and other.score_range is not None:
        if other.score_range != spec.score_range:
            raise KdlabError(
                f"{wish.setting}={wish.task}: its scores go {_range(other.score_range)} and those of {spec.name} "
                f"{_range(spec.score_range)}, and scores are joined as they are: bring the files of one to the range "
                "of the other, and give them as a task file with that score_range."
            )
        return rows, origin
    meaning = {plain(a): name for a, name in _worded(spec).items()} | {plain(name): name for name in spec.labels}
    label_map = merge_labels(spec.labels, meaning, other.labels, _worded(other))
    if label_map is None or rows.labels is None:
        raise KdlabError(
            f"{wish.setting}={wish.task}: its labels ({_names(other)}) are not those of "
            f"{spec.name} ({_names(spec)}); other spellings can stand in a task file, as aliases."
        )
    return replace(rows, labels=tuple(label_map.to[int(label)] for label in rows.labels)), origin


def _names(spec: TaskSpec) -> str:
    return listed(spec.labels) if spec.labels else "scores"


def _range(scores: tuple[float, float]) -> str:
    return f"from {scores[0]:g} to {scores[1]:g}"


def _worded(spec: TaskSpec) -> dict[str, str]:
    """A task's other spellings of labels without numbers, which mean something else in another task."""
    return {alias: name for alias, name in spec.aliases.items() if not alias.strip().lstrip("+-").isdigit()}
