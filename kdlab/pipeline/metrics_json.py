"""The figures of a run: what ``metrics.json`` says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from kdlab import __version__
from kdlab.evaluation.metrics import divergence, evaluate, trivial
from kdlab.evaluation.predict import Prediction
from kdlab.planning.plan import Plan
from kdlab.training.fit import Fitted


def figures(
    plan: Plan,
    seed: int,
    fitted: Fitted,
    student: dict[str, Prediction],
    teacher: dict[str, Prediction],
) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        plan: What was decided.
        seed: The student's.
        fitted: How training ended.
        student: The student's logits on each dev and test split.
        teacher: The teacher's, or empty without one.
    """
    main = plan.task.dev_splits[0]
    ours = _scores(plan, student)
    theirs = _scores(plan, teacher) if teacher else None
    retained = {}
    if theirs is not None:
        for split, values in ours.items():
            positive = {n: 100 * v / theirs[split][n] for n, v in values.items() if theirs[split][n] > 0}
            retained[split] = positive
    return {
        "kdlab": __version__,
        "method": plan.method.name,
        "task": plan.task.spec.name,
        "aliases": plan.task.spec.aliases,
        "profile": plan.config.profile,
        "seed": seed,
        "teacher_seed": plan.config.teacher.seed,
        "split_seed": plan.config.data.split_seed,
        "source": {**asdict(plan.task.source), "embedded": plan.task.source.embedded},
        "substituted": list(plan.substituted),
        "selection": {
            "split": plan.task.select_on,
            "metric": fitted.metric,
            "value": fitted.value,
            "epoch": fitted.epoch,
        },
        "max_length": plan.max_length,
        "training": {"steps": fitted.steps, "epochs": plan.config.training.epochs, "seconds": round(fitted.seconds, 2)},
        "teacher": None
        if theirs is None or plan.teacher is None
        else {
            "source": plan.teacher.checkpoint.source,
            "status": plan.teacher.status,
            "parameters": plan.teacher_parameters,
            "samples_per_second": teacher[main].samples_per_second,
            "metrics": theirs,
        },
        "student": {
            "made_of": plan.student.made_of,
            "parameters": plan.student.parameters,
            "samples_per_second": student[main].samples_per_second,
            "metrics": ours,
        },
        **({"generator": plan.generator.about()} if plan.generator else {}),
        "retained": retained,
        "constant": _constant(plan),
        "divergence": _divergence(plan, student, teacher) if teacher else None,
        "fingerprints": _fingerprints(plan, seed),
    }


def _fingerprints(plan: Plan, seed: int) -> dict[str, Any]:
    return {
        "run": plan.identity(seed),
        "experiment": plan.identity(None),
        "data": plan.task.fingerprint,
        "splits": plan.task.fingerprints,
        "teacher": plan.teacher.key if plan.teacher else None,
        "tokenizer": plan.text.tokenizer_fingerprint,
    }


def _scores(plan: Plan, predictions: dict[str, Prediction]) -> dict[str, dict[str, float]]:
    spec = plan.task.spec
    return {
        split: evaluate(
            predictions[split].logits, torch.tensor(plan.task.splits[split].labels), spec.metrics, spec.regression
        )
        for split in plan.task.dev_splits
    }


def _constant(plan: Plan) -> dict[str, dict[str, float]]:
    """What one answer to everything reaches, the most frequent label: near it nothing was learned."""
    spec, splits = plan.task.spec, plan.task.splits
    return {
        split: {m: trivial(torch.tensor(splits[split].labels), m, spec.regression) for m in spec.metrics}
        for split in plan.task.dev_splits
    }


def _divergence(
    plan: Plan, student: dict[str, Prediction], teacher: dict[str, Prediction]
) -> dict[str, dict[str, float]]:
    """How far the student is from the teacher on each dev split."""
    scored = plan.task.spec.regression
    return {split: divergence(student[split].logits, teacher[split].logits, scored) for split in plan.task.dev_splits}
