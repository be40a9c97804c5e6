"""Which models a run has: teacher, student, what the method wants besides, and how long inputs may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kdlab.data.domains import TARGET
from kdlab.data.selection import parse_rule
from kdlab.data.sources import Hub
from kdlab.data.task_data import TaskData
from kdlab.data.tasks import UNLABELLED
from kdlab.errors import KdlabError
from kdlab.methods.contract import MethodContract
from kdlab.models.checkpoint import Checkpoint, labelled_config
from kdlab.models.encoder import depth_of, usable_positions
from kdlab.models.student import parse_student
from kdlab.models.tokenizer import check_as_written
from kdlab.models.vocabulary import check_one_vocabulary
from kdlab.planning.backbone import open_checkpoint
from kdlab.planning.identity import WAS
from kdlab.planning.request import Request
from kdlab.planning.resources import PlannedResource, Surroundings, plan_resources
from kdlab.planning.student import StudentPlan, count_weights, plan_student
from kdlab.planning.teacher import TeacherPlan, TeacherQuestion, plan_teacher
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint
from kdlab.types import Need, SplitWish


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Attributes:
        teacher: What is done for the teacher; None where none is needed.
        teacher_parameters: Number of the teacher's weights; 0 without one.
        student: What the student is made of.
        text: Checkpoint whose tokenizer reads the data.
        max_length: Longest input in tokens.
        resources: What is done for the models that the method wants besides, by name.
    """

    teacher: TeacherPlan | None
    teacher_parameters: int
    student: StudentPlan
    text: Checkpoint
    max_length: int
    resources: dict[str, PlannedResource]


def choose_models(request: Request, hub: Hub, cache: Cache) -> Models:
    """Finds the checkpoints that a run needs, and decides what is made of them.

    Args:
        request: What the user asked for.
        hub: Asked whether it answers only where that matters.
        cache: Looked into for a teacher, not written.

    Raises:
        KdlabError: A checkpoint can't be had or read, or two of them don't fit each other.
    """
    run, method, own, task = request.run, request.method, request.settings.method, request.task
    spec = parse_student(run.student.source)
    needs_teacher = bool(method.needs_of(own)) or spec.from_teacher
    base = open_checkpoint(request.backbone, hub) if needs_teacher or spec.reads_as_teacher else None
    taught = base if needs_teacher else None
    donor_source = spec.checkpoint or spec.donor
    donor = None if donor_source is None else open_checkpoint(donor_source, hub)
    if base is not None and donor is not None:
        why = "both read the same ids, so take a pair with one vocabulary"
        check_one_vocabulary(("Teacher", base), ("student", donor), why, task.sample)
    for checkpoint in (c for c in (base, donor) if c is not None):
        check_as_written(checkpoint.tokenizer, checkpoint.folder, task.sample)
    student = plan_student(spec, donor, base, task)
    check_taps(method, own, taught.config if taught else None, student.config)
    if taught is not None:
        method.check_pair(own, taught.config, student.config)
    text = base or donor
    if text is None:
        raise ValueError("neither teacher nor student has a tokenizer")
    max_length = _max_length(run.data.max_length, [c.config for c in (base, donor) if c], task)
    if spec.finetuned and base is not None:
        student = replace(student, finetuned=_plan_donor(request, base, max_length, cache))
    teacher, parameters = None, 0
    if taught is not None:
        parameters = count_weights(taught, labelled_config(taught.config, task.spec.labels))
        teacher = _plan_teacher(request, taught, max_length, hub, cache)
    around = Surroundings(donor, base, task, max_length, run.teacher.seed, hub, cache)
    return Models(teacher, parameters, student, text, max_length, plan_resources(method, own, around))


def check_taps(method: type[MethodContract], settings: Any, teacher: Any | None, student: Any) -> None:
    """Refuses a method that reads layers for networks that have none.

    Args:
        method: Its class.
        settings: Its settings.
        teacher: Hugging Face configuration of the teacher, where there is one.
        student: Hugging Face configuration of the student.

    Raises:
        KdlabError: One of the two is a BiLSTM.
    """
    taps, needs = method.taps_of(settings), method.needs_of(settings)
    pair = {"student": student, "teacher": teacher if Need.TEACHER in needs else None}
    for who, config in pair.items():
        if taps and config is not None and depth_of(config) == 0:
            raise KdlabError(
                f"{method.name} works on {taps}, and the {who} is a BiLSTM, which has none: take a {who} of layers, or "
                "a method that reads logits alone, such as kd."
            )


def _plan_teacher(request: Request, base: Checkpoint, max_length: int, hub: Hub, cache: Cache) -> TeacherPlan:
    run, method, settings = request.run, request.teacher_method, request.settings.teacher_method
    around = Surroundings(None, base, request.task.for_teacher, max_length, run.teacher.seed, hub, cache)
    asked = TeacherQuestion(
        spec=request.task.spec,
        config=run.teacher,
        data_fingerprint=_rows_of(request, request.task.for_teacher, method.splits_of(settings)),
        max_length=max_length,
        arithmetic=request.hardware.arithmetic,
        method=method,
        about_method=request.about_teacher_method,
        settings=settings,
        resources=plan_resources(method, settings, around),
    )
    return plan_teacher(base, asked, cache)


def _plan_donor(request: Request, base: Checkpoint, max_length: int, cache: Cache) -> TeacherPlan:
    """A donor that is made as a teacher is by ``finetune``, with the teacher's own training settings."""
    asked = TeacherQuestion(
        spec=request.task.spec,
        config=replace(request.run.teacher, domain=TARGET, labelled=None),
        data_fingerprint=_rows_of(request, request.task.for_donor, {}),
        max_length=max_length,
        arithmetic=request.hardware.arithmetic,
    )
    return plan_teacher(base, asked, cache)


def _rows_of(request: Request, task: TaskData, wishes: Mapping[str, SplitWish]) -> str:
    """Fingerprint of the rows that shape a teacher, and of what chooses among its epochs.

    They are train with and without labels, the selecting split, and what its method wants besides.
    """
    rows, rule = task.training_fingerprint, parse_rule(request.run.data.select_by).for_model(taught=False).text
    if UNLABELLED in task.splits:
        rows = fingerprint("rows without labels", rows, task.fingerprints[UNLABELLED])
    if wishes:
        rows = fingerprint("teacher's rows", rows, {name: task.fingerprints[name] for name in wishes})
    return rows if rule == WAS["select_by"] else fingerprint("chosen by", rows, rule)


def _max_length(asked: int | None, configs: list[Any], task: TaskData) -> int:
    most = min(usable_positions(config) for config in configs)
    if asked is not None and asked > most:
        raise KdlabError(f"data.max_length={asked}, but the encoder has positions for {most} tokens.")
    return asked or min(128, most)
