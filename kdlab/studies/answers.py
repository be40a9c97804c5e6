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
from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import wilson
from kdlab.results.ood import read_ood
from kdlab.results.record import RunFolder
from kdlab.results.run_record import RunRecord
from kdlab.studies.attacked import attack_figure, attack_interval, read_attacked
from kdlab.studies.columns import ACCURACY, COSTS, HOURS, KL, MINUTES, PARAMETERS, SPEED, TRAINING, Column
from kdlab.studies.pairs import Pairs
from kdlab.studies.schema import Claim
from kdlab.system.foreign import door, read_text

_ADVICE = "run it again with --fresh"


def figure(column: Column, record: RunRecord, folder: Path) -> float | None:
    """What a record says: a fraction, or in the column's own unit; None where it says nothing.

    Args:
        column: Which figure.
        record: Of a run.
        folder: Of the run, where its figures out of domain and under attack lie.
    """
    if column.recipes:
        return attack_figure(column, folder)
    if column.ood:
        entry = read_ood(RunFolder(folder)).get(column.split, {})
        value = entry.get("student", {}).get(column.metric)
        return None if value is None else float(value["value"])
    if column.metric == PARAMETERS:
        return float(record.student.parameters)
    if column.metric == SPEED:
        return _known(record.student.samples_per_second)
    if column.metric in (HOURS, MINUTES):
        return _known(record.training.seconds / (3600 if column.metric == HOURS else 60))
    if column.split == TRAINING:
        return record.training.metrics.get(column.metric)
    if column.metric == KL:
        return (record.divergence or {}).get(column.split, {}).get(KL)
    return record.student.metrics.get(column.split, {}).get(column.metric)


def interval(column: Column, record: RunRecord, folder: Path) -> tuple[float, float] | None:
    """The 95 % interval (Wilson) of a figure that is a share of examples, of one run; None for others.

    Args:
        column: Which figure.
        record: Of the run.
        folder: Of the run.
    """
    if column.recipes:
        return attack_interval(column, folder)
    classes = record.student.classes.get(column.split)
    if column.metric != ACCURACY or classes is None:
        return None
    confusion = classes.confusion
    return wilson(sum(row[i] for i, row in enumerate(confusion)), sum(map(sum, confusion)))


def pair(
    claim: Claim,
    rows: tuple[str, str],
    column: Column,
    spec: TaskSpec,
    better: Sequence[tuple[RunRecord, Path]],
    than: Sequence[tuple[RunRecord, Path]],
) -> Pairs | None:
    """The answers that a claim is about, of runs with the same seeds.

    Args:
        claim: The claim.
        rows: The better row, and the one that it is better than.
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
    seeds, over = sorted(ours.keys() & theirs.keys()), claim.tested_over(column)
    if not seeds:
        return None
    if column.metric in COSTS or column.split == TRAINING:
        measured = [(figure(column, *ours[seed]), figure(column, *theirs[seed])) for seed in seeds]
        known = np.array([both for both in measured if None not in both], dtype=float)
        return Pairs(known[:, :1], known[:, 1:], np.zeros(1), "mean", claim.lower) if len(known) else None
    read = [[_answers(runs[seed], column, spec) for seed in seeds] for runs in (ours, theirs)]
    first = read[0][0]
    for runs, answered in zip((ours, theirs), read, strict=True):
        for seed, each in zip(seeds, answered, strict=True):
            if each.ids != first.ids or not np.array_equal(each.gold, first.gold):
                raise KdlabError(
                    f"{runs[seed][1]} and {ours[seeds[0]][1]} answer different questions, so the claim "
                    f"'{claim.text[:80]}' can't be judged: run both on the same data."
                )
    one, other = (np.stack([each.said for each in answered]) for answered in read)
    if not column.recipes:
        metric = "mean" if column.metric == KL else column.metric
        return Pairs(one, other, first.gold, metric, claim.lower, over, rows)
    both = ~np.isnan(one).any(0) & ~np.isnan(other).any(0)  # what all of these students were attacked on
    if not both.any():
        return None
    yes_or_no = bool(np.isin([one[:, both], other[:, both]], (0, 1)).all())
    metric = ACCURACY if yes_or_no else "mean"  # a share is the accuracy of answers that ought to be 1
    return Pairs(one[:, both], other[:, both], np.ones(int(both.sum())), metric, claim.lower, over, rows)


def _answers(run: tuple[RunRecord, Path], column: Column, spec: TaskSpec) -> Answers:
    """A student's answers, or what became of each example under attack."""
    if not column.recipes:
        return read_answers(run[1], column, spec)
    ids, figures = read_attacked(run[1], column)
    return Answers(ids, np.zeros(len(figures)), figures)


@dataclass(frozen=True)
class Answers:
    """A student's answers to the examples of a split.

    Attributes:
        ids: What tells the examples apart.
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
