"""What the user asked for: settings, task, data, hardware, and the encoder that all of it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kdlab.config.resolve import Draft
from kdlab.config.schema import Resolved, RunConfig, TeacherConfig
from kdlab.data.domains import SourceDomain, with_source
from kdlab.data.ood.sets import OODSet, read_sets
from kdlab.data.ood.specs import choose_sets
from kdlab.data.selection import AUTO, settle_rule
from kdlab.data.sources import Hub, Source, choose_source, find_task, read_source
from kdlab.data.task_data import HOLDOUT, TaskData, load_data, with_augmented, with_teachers
from kdlab.data.tasks import UNLABELLED, TaskSpec
from kdlab.data.unlabelled import TEXT, Unlabelled
from kdlab.errors import KdlabError
from kdlab.methods import about_method, load_method
from kdlab.methods.base import DistillModule
from kdlab.models.checkpoint import EMBEDDED
from kdlab.models.student import parse_student
from kdlab.planning.attack_settings import AttackSettings, attacks_in_run
from kdlab.planning.backbone import choose_backbone
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.training.steps import epochs_for
from kdlab.types import SplitWish


@dataclass(frozen=True)
class Request:
    """What the user asked for, checked and read.

    Attributes:
        settings: The checked configuration.
        method: The method's class.
        about_method: Its name, and for a user's own file its content's fingerprint.
        teacher_method: The class of the method that makes the teacher.
        about_teacher_method: As for the method.
        hardware: Where it runs.
        task: The task's examples.
        ood: Sets out of domain on which the student is evaluated too.
        ood_notes: What is to be said of sets that were asked for, in sentences.
        attacks: How teacher and student are attacked; None where they are not.
        backbone: Checkpoint that the teacher starts from.
        substituted: What it stands in for, in sentences.
    """

    settings: Resolved
    method: type[DistillModule]
    about_method: tuple[str, ...]
    teacher_method: type[DistillModule]
    about_teacher_method: tuple[str, ...]
    hardware: Hardware
    task: TaskData
    ood: tuple[OODSet, ...]
    ood_notes: tuple[str, ...]
    attacks: AttackSettings | None
    backbone: str
    substituted: tuple[str, ...]

    @property
    def run(self) -> RunConfig:
        """Settings that every run has."""
        return self.settings.run


def read_request(overrides: Mapping[str, Any], hub: Hub) -> Request:
    """Checks the settings, and reads the data.

    Args:
        overrides: Dotted settings from the YAML file and the command line.
        hub: Asked whether it answers only where that matters.

    Raises:
        KdlabError: Anything a user can get wrong in them.
    """
    name = str(overrides.get("method", RunConfig.method))
    teacher_name = str(overrides.get("teacher.method", TeacherConfig.method))
    method, teacher_method = load_method(name), load_method(teacher_name)
    overrides = {k: v for k, v in overrides.items() if (k, v) != ("data.select_by", AUTO)}  # as if it weren't said
    draft = Draft(method, teacher_method, overrides)
    settings = draft.resolved
    run = settings.run
    hardware = resolve_hardware(run.accelerator, run.devices, run.precision, run.compile)
    spec, base = find_task(run.task, hub)
    source = choose_source(spec, base, run.profile, run.data.dir, hub)
    needs_teacher = bool(method.needs_of(settings.method))
    backbone, substituted = choose_backbone(run, needs_teacher, source.embedded, hub)
    if backbone == EMBEDDED:
        settings = draft.with_preset(EMBEDDED)
        run = settings.run
    student = parse_student(run.student.source)
    if student.bilstm:
        settings = draft.with_preset("bilstm")
        run = settings.run
    taught = needs_teacher or student.from_teacher
    task = _read_rows(settings, spec, source, hub, method, teacher_method if taught else None)
    substituted = (*substituted, *(task.augmented.substituted if task.augmented else ()))
    if run.data.source is not None:
        task = with_source(task, _source_domain(run, run.data.source), hub, run.data.split_seed)
    held_out = run.data.selection != HOLDOUT or run.data.holdout > 0
    rule = settle_rule(run.data.select_by, len(task.splits[task.select_on]) if held_out else 0)
    draft.with_defaults({"data.select_by": rule})
    settings = _with_floor(draft, overrides, method, teacher_method if taught else None, task, hardware)
    run = settings.run
    asked, notes = choose_sets(run.evaluation.ood, spec.name, spec.labels, spec.aliases)
    return Request(
        settings=settings,
        method=method,
        about_method=tuple(about_method(name)),
        teacher_method=teacher_method,
        about_teacher_method=tuple(about_method(teacher_name)),
        hardware=hardware,
        task=task,
        ood=read_sets(asked, run.evaluation.ood_dir, source.embedded, hub),
        ood_notes=tuple(notes),
        attacks=attacks_in_run(run.evaluation, spec),
        backbone=backbone,
        substituted=substituted,
    )


def _read_rows(
    settings: Resolved,
    spec: TaskSpec,
    source: Source,
    hub: Hub,
    method: type[DistillModule],
    teacher_method: type[DistillModule] | None,
) -> TaskData:
    """The task's rows, and the teacher's where it is made of others; ``teacher_method`` is None without a teacher."""
    run = settings.run
    data, labelled = run.data, run.teacher.labelled
    wishes = method.splits_of(settings.method)
    teachers = teacher_method.splits_of(settings.teacher_method) if teacher_method is not None else {}
    _check_wishes(wishes, teachers)
    also_taken = teacher_method is not None and teacher_method.takes_unlabelled
    if data.unlabelled is not None and not (method.takes_unlabelled or also_taken):
        raise KdlabError(
            f"{TEXT}={data.unlabelled}: {method.name} takes no rows without labels: leave it out, or take a method "
            "that does, such as kd or ganbert."
        )
    cut = (data.amount, data.selection, data.holdout, data.split_seed)
    loaded = read_source(spec, source, hub, data.split_seed)
    asked = Unlabelled(data.labelled, data.unlabelled, method.name, method.takes_unlabelled)
    task = load_data(spec, source, hub, *cut, wishes, teachers, asked, loaded)
    if run.augment is not None:
        task = with_augmented(task, run.augment)
    if teacher_method is None or not (labelled is not None or also_taken):
        return task
    theirs = replace(asked, method=teacher_method.name, taken=also_taken)
    if labelled is not None:
        theirs = replace(theirs, labelled=labelled, setting="teacher.labelled")
    own = load_data(spec, source, hub, *cut, {}, teachers, theirs, loaded)
    if labelled is None and UNLABELLED not in own.splits:
        return task
    return with_teachers(task, own)


def _with_floor(
    draft: Draft,
    overrides: Mapping[str, Any],
    method: type[DistillModule],
    teacher_method: type[DistillModule] | None,
    task: TaskData,
    hardware: Hardware,
) -> Resolved:
    """The settings with as many epochs as ``min_steps`` asks for, where the user says neither these nor the steps.

    Raises:
        KdlabError: The user says both, and the epochs make fewer steps.
    """
    settings = draft.resolved
    trained = [("training", method, settings.method, settings.run.training, task)]
    if teacher_method is not None:
        teachers = (teacher_method, settings.teacher_method, settings.run.teacher)
        trained.append(("teacher", *teachers, task.for_teacher))
    found: dict[str, int] = {}
    for section, kind, own, training, data in trained:
        said = f"{section}.epochs" in overrides or f"{section}.max_steps" in overrides
        if said and f"{section}.min_steps" not in overrides:
            found[f"{section}.min_steps"] = 0  # so that a configuration that is given back says the same
            continue
        open_phases = [phase for phase in kind.phases_of(own) if phase.epochs is None]
        if training.max_steps < 0 and open_phases:
            rows = min(kind.rows_in(own, data.sizes, phase) for phase in open_phases)
            enough = epochs_for(rows, training, kind.cycle_of(own, task.spec), hardware.devices)
            both = f"{section}.epochs" in overrides and f"{section}.min_steps" in overrides
            if both and enough > training.epochs:
                raise KdlabError(
                    f"{section}.epochs={training.epochs} makes fewer steps than {section}.min_steps="
                    f"{training.min_steps}, which takes {enough} epochs: leave one of them out."
                )
            found[f"{section}.epochs"] = enough
    return draft.with_defaults(found)


def _source_domain(run: RunConfig, name: str) -> SourceDomain:
    """What the settings say of the source domain of this name."""
    data = run.data
    domains = (data.domains, run.teacher.domain)
    return SourceDomain(name, data.source_dir, data.limit_source, *domains, data.holdout)


def _check_wishes(own: Mapping[str, SplitWish], teachers: Mapping[str, SplitWish]) -> None:
    """Refuses rows that the run's method and its teacher's want under one name, but not alike."""
    for name in own.keys() & teachers.keys():
        if own[name] != teachers[name]:
            raise KdlabError(
                f"The method and teacher.method both want rows called '{name}', of different kinds: {own[name]} and "
                f"{teachers[name]}; give both the same settings."
            )
