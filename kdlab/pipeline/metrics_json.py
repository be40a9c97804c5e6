"""The figures of a run that was just carried out, as its record says them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from kdlab import __version__
from kdlab.evaluation.classes import class_scores
from kdlab.evaluation.metrics import divergence, evaluate, trivial
from kdlab.evaluation.predict import Prediction
from kdlab.planning.plan import Plan
from kdlab.results.run_record import (
    ClassScores,
    Fingerprints,
    RunRecord,
    Scores,
    Selection,
    SourceRecord,
    StudentRecord,
    TeacherRecord,
    TrainingRecord,
)
from kdlab.system.cost import Cost, peak_memory
from kdlab.training.fit import Fitted


def run_record(
    plan: Plan,
    seed: int,
    fitted: Fitted,
    student: dict[str, Prediction],
    teacher: dict[str, Prediction],
    answers_from_cache: list[str],
    on_train: tuple[dict[str, float], int],
    cost: dict[str, Cost],
) -> RunRecord:
    """The figures of a run.

    Args:
        plan: What was decided.
        seed: The student's.
        fitted: How training ended.
        student: The student's logits on each reported and unlabelled split.
        teacher: The teacher's, or empty without one.
        answers_from_cache: Splits on which the teacher had answered before.
        on_train: The student's metrics on training rows, and on how many.
        cost: Of each part of the run.
    """
    main, spec = plan.task.reported_splits[0], plan.task.spec
    ours = _scores(plan, student)
    theirs = _scores(plan, teacher) if teacher else {}
    return RunRecord(
        kdlab=__version__,
        method=plan.method.name,
        task=spec.name,
        aliases=spec.aliases,
        profile=plan.config.profile,
        seed=seed,
        teacher_seed=plan.config.teacher.seed,
        split_seed=plan.config.data.split_seed,
        source=SourceRecord(**asdict(plan.task.source), embedded=plan.task.source.embedded),
        substituted=list(plan.substituted),
        selection=Selection(
            plan.task.select_on, fitted.metric, fitted.value, fitted.epoch, plan.select_by.text, fitted.ties
        ),
        max_length=plan.max_length,
        training=TrainingRecord(fitted.steps, plan.config.training.epochs, round(fitted.cost.seconds, 2), *on_train),
        teacher=_teacher_record(plan, teacher, theirs, answers_from_cache),
        student=StudentRecord(
            made_of=plan.student.made_of,
            parameters=plan.student.parameters,
            samples_per_second=student[main].samples_per_second,
            metrics=ours,
            classes=_classes(plan, student),
        ),
        resources={name: resource.about() for name, resource in plan.resources.items()},
        retained={split: _retained(values, theirs[split]) for split, values in ours.items() if split in theirs},
        constant=_constant(plan),
        divergence=_divergence(plan, student, teacher) if teacher else None,
        cost={part: spent.rounded() for part, spent in cost.items()},
        memory=peak_memory(),
        augmented=_augmented(plan),
        fingerprints=Fingerprints(
            run=plan.identity(seed),
            experiment=plan.identity(None),
            data=plan.task.fingerprint,
            splits=plan.task.fingerprints,
            teacher=plan.teacher.key if plan.teacher else None,
            tokenizer=plan.text.tokenizer_fingerprint,
        ),
    )


def _augmented(plan: Plan) -> dict[str, Any]:
    """The file of augmented examples that the student was trained on."""
    file = plan.task.augmented
    if file is None:
        return {}
    makers = list(file.manifest.get("augmenters", ()))
    return {"file": str(file.path), "sha256": file.sha256, "rows": len(file.examples), "augmenters": makers}


def _teacher_record(
    plan: Plan, answers: dict[str, Prediction], metrics: Scores, answers_from_cache: list[str]
) -> TeacherRecord | None:
    if plan.teacher is None or not answers:
        return None
    return TeacherRecord(
        source=plan.teacher.checkpoint.source,
        status=plan.teacher.status,
        parameters=plan.teacher_parameters,
        samples_per_second=answers[plan.task.reported_splits[0]].samples_per_second,
        metrics=metrics,
        answers_from_cache=answers_from_cache,
        classes=_classes(plan, answers),
        domain=plan.config.teacher.domain if plan.config.data.source and plan.teacher.order is None else None,
    )


def _scores(plan: Plan, predictions: dict[str, Prediction]) -> Scores:
    spec, splits = plan.task.spec, plan.task.splits
    scores = {}
    for split in plan.task.reported_splits:
        labels = torch.tensor(splits[split].labels)
        scores[split] = evaluate(predictions[split].logits, labels, spec.metrics, spec.regression)
    return scores


def _classes(plan: Plan, predictions: dict[str, Prediction]) -> dict[str, ClassScores]:
    """Each class on the reported splits; nothing for scores."""
    spec, splits = plan.task.spec, plan.task.splits
    if spec.regression:
        return {}
    labels = {split: torch.tensor(splits[split].labels) for split in plan.task.reported_splits}
    return {s: ClassScores(**class_scores(predictions[s].logits, gold, spec.labels)) for s, gold in labels.items()}


def _retained(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    """The student's share of the teacher's metrics in percent, where those are positive."""
    return {name: 100 * value / theirs[name] for name, value in ours.items() if theirs[name] > 0}


def _constant(plan: Plan) -> Scores:
    """What one answer to everything reaches, the most frequent label: near it nothing was learned."""
    spec, splits = plan.task.spec, plan.task.splits
    return {
        split: {m: trivial(torch.tensor(splits[split].labels), m, spec.regression) for m in spec.metrics}
        for split in plan.task.reported_splits
    }


def _divergence(plan: Plan, student: dict[str, Prediction], teacher: dict[str, Prediction]) -> Scores:
    """How far the student is from the teacher on each reported split."""
    scored = plan.task.spec.regression
    splits = plan.task.reported_splits
    return {split: divergence(student[split].logits, teacher[split].logits, scored) for split in splits}
