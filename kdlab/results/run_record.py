"""``metrics.json`` as a typed value: a run's figures, written and read in one place."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from kdlab import __version__
from kdlab.errors import KdlabError
from kdlab.system.foreign import read_json
from kdlab.system.shown import clipped, listed, shown

METRICS = "metrics.json"
FORMAT = 4  # raised when the layout of records changes; 1 had no `format`, and `generator` in place of `resources`
Scores = dict[str, dict[str, float]]
"""Split to metric to value."""
T = TypeVar("T")


@dataclass(frozen=True)
class SourceRecord:
    """Where the data came from: ``kind``, ``where``, ``reason``, and whether it is the embedded corpus."""

    kind: str
    where: str
    embedded: bool
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """What chose the checkpoint: split, metric, its value there, and the epoch from 1.

    ``rule`` is the setting ``data.select_by``, as far as it could be followed; ``ties`` are the other epochs in which
    the metric was the same.
    """

    split: str
    metric: str
    value: float
    epoch: int
    rule: str = "metric"
    ties: int = 0


@dataclass(frozen=True)
class TrainingRecord:
    """The student's optimiser steps, the configured epochs, wall time in seconds, and its metrics on training rows.

    The metrics are those of the finished student on ``examples`` rows, a seeded sample of train.
    """

    steps: int
    epochs: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    examples: int = 0


@dataclass(frozen=True)
class ClassScores:
    """What a metric hides of a split: F1 by label, the confusion matrix, and the calibration error (15 bins).

    ``confusion`` has a row for each right label, in the task's order, and in it the number of each predicted one.
    """

    f1: dict[str, float]
    confusion: list[list[int]]
    ece: float


@dataclass(frozen=True)
class TeacherRecord:
    """The teacher: where it came from, how it was obtained, its size, speed, metrics and classes by split.

    The speed is NaN where its answers were computed on other hardware; ``answers_from_cache`` names the splits on which
    they were there already. ``domain`` says which rows it is made of where there is a source domain.
    """

    source: str
    status: str
    parameters: int
    samples_per_second: float
    metrics: Scores
    answers_from_cache: list[str] = field(default_factory=list)
    classes: dict[str, ClassScores] = field(default_factory=dict)
    domain: str | None = None


@dataclass(frozen=True)
class StudentRecord:
    """The student: what it was made of, its size, speed, metrics and classes by split."""

    made_of: str
    parameters: int
    samples_per_second: float
    metrics: Scores
    classes: dict[str, ClassScores] = field(default_factory=dict)


@dataclass(frozen=True)
class Fingerprints:
    """SHA-256 of run, data, teacher (None without one), tokenizer, of what all seeds share, and of each split."""

    run: str
    data: str
    teacher: str | None
    tokenizer: str
    experiment: str = ""
    splits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """The figures of a finished run.

    Attributes:
        kdlab: Version that wrote it.
        method: The method's name.
        task: The task's name.
        profile: Where data and encoders were allowed to come from.
        seed: The student's.
        teacher_seed: The teacher's.
        split_seed: Drew the limited subset and the hold-out.
        source: Where the data came from.
        substituted: Replacements for what was not available, in sentences.
        selection: What chose the checkpoint.
        max_length: Longest input in tokens.
        training: Steps, epochs, seconds.
        teacher: None where no teacher was needed.
        student: The student.
        retained: The student's share of the teacher's metrics, in percent.
        fingerprints: What it depends on.
        aliases: Other spellings of the task's labels; None in records that don't list them.
        resources: Models besides student and teacher, by name.
        constant: Metrics of a constant prediction; empty in records that don't say them.
        divergence: Distance from the teacher by split (``kl`` in nats, ``mse``); None without a teacher and in records
            that don't say it.
        cost: ``seconds`` of wall time and ``cpu_seconds`` of ``teacher`` (its training) and ``answers`` (the teacher's
            that were used), whenever that was, and of ``training`` and ``evaluation``; NaN where it isn't known.
        memory: Largest memory in MiB: ``process``, and ``gpu`` where there is one.
        augmented: The file of augmented examples that were trained on (``file``, ``sha256``, ``rows``, ``augmenters``);
            empty without one.
        format: Version of the layout, ``FORMAT``.
    """

    kdlab: str
    method: str
    task: str
    profile: str
    seed: int
    teacher_seed: int
    split_seed: int
    source: SourceRecord
    substituted: list[str]
    selection: Selection
    max_length: int
    training: TrainingRecord
    teacher: TeacherRecord | None
    student: StudentRecord
    retained: Scores
    fingerprints: Fingerprints
    aliases: dict[str, str] | None = None
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    constant: Scores = field(default_factory=dict)
    divergence: Scores | None = None
    cost: Scores = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    augmented: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """As ``metrics.json`` holds it; a figure that is NaN or infinite is null."""
        return _without_nan(asdict(self))  # type: ignore[no-any-return]

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Reads a ``metrics.json``.

        Raises:
            KdlabError: It can't be read, a newer kdlab wrote it, or a field is missing or unknown.
        """
        if not path.exists():
            raise KdlabError(f"{path.parent} is no finished run, for it has no {path.name}: give the folder of one.")
        return cls.from_json(read_json(path, f"{path.parent} is no finished run, so give the folder of one"), path)

    @classmethod
    def from_json(cls, content: Any, path: Path) -> RunRecord:
        """The content of ``metrics.json``, checked.

        Args:
            content: The parsed JSON.
            path: The file, for messages.

        Raises:
            KdlabError: A newer kdlab wrote it, or a field is missing or unknown.
        """
        if not isinstance(content, dict):
            raise KdlabError(f"{path} is no record of kdlab's: it holds a {type(content).__name__}, not fields.")
        version = content.get("format", 1)
        if not isinstance(version, int) or isinstance(version, bool):
            raise KdlabError(f"{path}: field 'format' holds {version!r:.60}, which is no int: it was changed by hand.")
        if version > FORMAT:
            raise KdlabError(
                f"{path} was written by kdlab {content.get('kdlab', '(no version)')} in format {version}, and this "
                f"kdlab {__version__} reads formats up to {FORMAT}: update kdlab to read it."
            )
        content = dict(content)
        if "generator" in content:  # format 1
            content["resources"] = {"generator": content.pop("generator")}
        record = _typed(cls, content, path, "")
        _check_whole(record, path)
        return record


def _without_nan(value: Any) -> Any:
    """A nested value with None for numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_whole(record: RunRecord, path: Path) -> None:
    """Raises ``KdlabError`` where figures that stand beside each other in tables are not those of the same metrics."""
    ours = {(split, name) for split, values in record.student.metrics.items() for name in values}
    others = {"constant": record.constant}
    if record.teacher is not None:
        others["teacher.metrics"] = record.teacher.metrics
    for field_name, scores in others.items():
        theirs = {(split, name) for split, values in scores.items() for name in values}
        if scores and not ours <= theirs:
            raise KdlabError(
                f"{path}: field '{field_name}' lacks {listed(map(' '.join, sorted(ours - theirs)))}: it was "
                "changed by hand; run it again with --fresh."
            )
    if record.retained and set(record.retained) != set(record.student.metrics):
        raise KdlabError(f"{path}: field 'retained' is not that of the student's splits: run it again with --fresh.")
    for name, least in (("max_length", 1), ("training.steps", 0), ("student.parameters", 1)):
        value: Any = record
        for part in name.split("."):
            value = getattr(value, part)
        if value < least:
            raise KdlabError(f"{path}: field '{name}' holds {value}, less than {least}: run it again with --fresh.")


def _typed(kind: type[T], content: dict[str, Any], path: Path, where: str) -> T:
    """A dataclass from a mapping, with nested dataclasses."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for name in content:
        if name not in known:
            raise KdlabError(
                f"{path} has a field '{where}{clipped(shown(str(name)), 60)}' that kdlab {__version__} does not "
                "write: it was changed by hand, or is another program's; take it out, or run it again with --fresh."
            )
    hints = get_type_hints(kind)
    values = {}
    for name, f in known.items():
        if name in content:
            values[name] = _value(hints[name], content[name], path, f"{where}{name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise KdlabError(
                f"{path} has no field '{where}{name}', which every record of kdlab's has: it was changed by hand or is "
                "no record; run it again with --fresh."
            )
    return kind(**values)


def _value(hint: Any, value: Any, path: Path, where: str) -> Any:
    """One field's value, checked against its type."""
    if hint is Any:
        return value
    kinds = get_args(hint) if type(None) in get_args(hint) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = next(k for k in kinds if k is not type(None))
    if hasattr(kind, "__dataclass_fields__") and isinstance(value, dict):
        return _typed(kind, value, path, f"{where}.")
    base: Any = getattr(kind, "__origin__", kind)
    if value is None and base is float:
        return math.nan
    accepted = (int, float) if base is float else base
    if not isinstance(value, accepted) or (isinstance(value, bool) and base is not bool):
        raise KdlabError(
            f"{path}: field '{where}' holds {value!r:.60}, which is no {getattr(base, '__name__', base)}: it was "
            "changed by hand; run it again with --fresh."
        )
    inner, content = get_args(kind), cast(Any, value)
    if base is dict:
        return {str(key): _value(inner[1], item, path, f"{where}.{key}") for key, item in content.items()}
    if base is list:
        return [_value(inner[0], item, path, f"{where}[{i}]") for i, item in enumerate(content)]
    return value
