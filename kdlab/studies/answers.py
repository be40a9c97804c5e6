"""What a record says in a column of a study's table, and what its students answered to each question."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.data.ood.specs import OOD
from kdlab.data.tasks import DEV, TEST, TaskSpec
from kdlab.errors import KdlabError
from kdlab.results.ood import read_ood
from kdlab.results.record import RunFolder
from kdlab.results.run_record import RunRecord
from kdlab.studies.schema import Claim
from kdlab.studies.verdicts import Pairs
from kdlab.system.foreign import door, read_text

PARAMETERS, SPEED, HOURS, KL = "parameters", "samples/s", "hours", "kl"
_PLAIN = (PARAMETERS, SPEED, HOURS, KL)
_ADVICE = "run it again with --fresh"


@dataclass(frozen=True)
class Column:
    """What a column of a table shows.

    Attributes:
        split: A split of the task's data, or a set out of domain; empty for what is of no split.
        metric: One of its metrics, or ``parameters``, ``samples/s``, ``hours`` (of training), ``kl`` (in nats).
        ood: Whether ``split`` is a set out of domain.
    """

    split: str
    metric: str
    ood: bool = False

    @property
    def in_points(self) -> bool:
        """Whether the figure is a share, shown in points."""
        return self.metric not in _PLAIN

    @property
    def name(self) -> str:
        """As a study's file writes it: a split is named unless it is dev, or a labelled test."""
        return self.metric if self.split in ("", DEV, TEST) else f"{self.split} {self.metric}"


def find_column(name: str, spec: TaskSpec, ood: Sequence[str] = ()) -> Column:
    """The column that a name means on a task.

    Args:
        name: A metric, ``SPLIT metric``, ``SET metric``, or what has no split; empty for the task's first metric.
        spec: The task.
        ood: Sets out of domain that the runs are evaluated on.

    Raises:
        KdlabError: There is none.
    """
    main = next(iter(spec.reported_splits), DEV)
    split, _, metric = name.rpartition(" ")
    plain = [one for one in _PLAIN if one != KL or not spec.regression]  # scores have no divergence in nats
    if not split and metric in plain:
        return Column("" if metric != KL else main, metric)
    if split in ood and metric in OOD[split].task.metrics:
        return Column(split, metric, ood=True)
    split, metric = split or main, metric or spec.metrics[0]
    if split not in spec.reported_splits or metric not in (*spec.metrics, *(one for one in plain if one == KL)):
        known = [*spec.metrics, *(f"{s} {m}" for s in spec.reported_splits[1:] for m in spec.metrics), *plain]
        known += [f"{one} {m}" for one in ood for m in OOD[one].task.metrics]
        raise KdlabError(f"There is no column '{name[:80]}' on {spec.name}. Known: {', '.join(known)}.")
    return Column(split, metric)


def figure(column: Column, record: RunRecord, folder: Path) -> float | None:
    """What a record says: a fraction, or in the column's own unit; None where it says nothing.

    Args:
        column: Which figure.
        record: Of a run.
        folder: Of the run, where its figures out of domain lie.
    """
    if column.ood:
        entry = read_ood(RunFolder(folder)).get(column.split, {})
        value = entry.get("student", {}).get(column.metric)
        return None if value is None else float(value["value"])
    if column.metric == PARAMETERS:
        return float(record.student.parameters)
    if column.metric == SPEED:
        return _known(record.student.samples_per_second)
    if column.metric == HOURS:
        return _known(record.training.seconds / 3600)
    if column.metric == KL:
        return (record.divergence or {}).get(column.split, {}).get(KL)
    return record.student.metrics.get(column.split, {}).get(column.metric)


def pair(
    claim: Claim,
    column: Column,
    spec: TaskSpec,
    better: Sequence[tuple[RunRecord, Path]],
    than: Sequence[tuple[RunRecord, Path]],
) -> Pairs | None:
    """The answers that a claim is about, of runs with the same seeds.

    Args:
        claim: The claim.
        column: What it is about; a figure of each example can be had for all but cost and size.
        spec: The task.
        better: Records of the better row, with their folders.
        than: Those of the other one.

    Returns:
        None where they have no seed in common, or nothing to compare.

    Raises:
        KdlabError: Their answers can't be read, or are not to the same questions.
    """
    ours, theirs = ({record.seed: (record, folder) for record, folder in runs} for runs in (better, than))
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    if column.metric in (PARAMETERS, SPEED, HOURS):
        measured = [(figure(column, *ours[seed]), figure(column, *theirs[seed])) for seed in seeds]
        known = np.array([both for both in measured if None not in both], dtype=float)
        return Pairs(known[:, :1], known[:, 1:], np.zeros(1), "mean", claim.lower) if len(known) else None
    read = [[read_answers(runs[seed][1], column, spec) for seed in seeds] for runs in (ours, theirs)]
    first = read[0][0]
    for runs, answered in zip((ours, theirs), read, strict=True):
        for seed, each in zip(seeds, answered, strict=True):
            if each.ids != first.ids or not np.array_equal(each.gold, first.gold):
                raise KdlabError(
                    f"{runs[seed][1]} and {ours[seeds[0]][1]} answer different questions, so the claim "
                    f"'{claim.text[:80]}' can't be judged: run both on the same data."
                )
    one, other = (np.stack([each.said for each in answered]) for answered in read)
    return Pairs(one, other, first.gold, "mean" if column.metric == KL else column.metric, claim.lower)


@dataclass(frozen=True)
class Answers:
    """A student's answers to the examples of a split.

    Attributes:
        ids: Of the examples.
        gold: Right answers, ``(N,)``: classes or scores.
        said: The student's, ``(N,)``; for ``kl`` each example's divergence from the teacher in nats.
    """

    ids: list[Any]
    gold: NDArray[Any]
    said: NDArray[Any]


def read_answers(folder: Path, column: Column, spec: TaskSpec) -> Answers:
    """The answers of a run.

    Raises:
        KdlabError: They are not there or can't be read.
    """
    path = folder / "predictions" / f"{'ood-' if column.ood else ''}{column.split}.jsonl"
    ids: list[Any] = []
    gold: list[float] = []
    said: list[float] = []
    labels = OOD[column.split].task.labels if column.ood else spec.labels
    names = {name: i for i, name in enumerate(labels)}
    text = read_text(path)
    with door(path, _ADVICE):
        for line in text.splitlines():
            example = json.loads(line)
            ids.append(example["id"])
            if column.metric == KL:
                said.append(_divergence(example["student_logits"], example["teacher_logits"]))
                gold.append(0)
            elif spec.regression:
                said.append(float(example["student"]))
                gold.append(float(example["gold"]))
            else:
                said.append(names[example["student"]])
                gold.append(names[example["gold"]])
    return Answers(ids, np.array(gold), np.array(said))


def _divergence(student: list[float], teacher: list[float]) -> float:
    """KL(teacher ‖ student) of one example."""
    ours, theirs = (np.array(logits, dtype=np.float64) for logits in (student, teacher))
    log_q, log_p = (z - z.max() - np.log(np.exp(z - z.max()).sum()) for z in (ours, theirs))
    return float((np.exp(log_p) * (log_p - log_q)).sum())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
