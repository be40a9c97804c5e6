"""The plan of a run: everything that is decided before any training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kdlab.config.schema import Resolved, RunConfig
from kdlab.data.encoding import tokens_key
from kdlab.data.ood.sets import OODSet
from kdlab.data.selection import SelectBy, parse_rule
from kdlab.data.sources import Hub
from kdlab.data.task_data import TaskData
from kdlab.errors import KdlabError
from kdlab.methods.base import DistillModule
from kdlab.methods.contract import MethodContract
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.models.checkpoint import Checkpoint, head_order
from kdlab.planning.attack_settings import AttackSettings
from kdlab.planning.identity import run_part
from kdlab.planning.models import Models, choose_models
from kdlab.planning.request import Request, read_request
from kdlab.planning.resources import PlannedResource, resource_keys
from kdlab.planning.student import StudentPlan
from kdlab.planning.teacher import TeacherPlan, answers_key
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint
from kdlab.system.hardware import Hardware
from kdlab.training.steps import count_steps

_FORMAT = 2  # raised when a record made before can't be taken for one made now


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start.

    Attributes:
        settings: The checked configuration.
        method: The method's class.
        about_method: Its name, and for a user's own file its content's fingerprint.
        task: The task's examples.
        hardware: Where it runs.
        teacher: What is done for the teacher; None where none is needed.
        teacher_parameters: Number of the teacher's weights; 0 without one.
        student: What the student is made of.
        resources: What is done for models that the method wants besides, by name.
        text: Checkpoint whose tokenizer reads the data.
        max_length: Longest input in tokens.
        substituted: What stands in for something that could not be had, in sentences.
        ood: Sets out of domain on which the student is evaluated too.
        ood_notes: What is to be said of sets that were asked for, in sentences.
        attacks: How teacher and student are attacked; None where they are not.
        cache: What is kept between runs.
    """

    settings: Resolved
    method: type[DistillModule]
    about_method: tuple[str, ...]
    task: TaskData
    hardware: Hardware
    teacher: TeacherPlan | None
    teacher_parameters: int
    student: StudentPlan
    resources: dict[str, PlannedResource]
    text: Checkpoint
    max_length: int
    substituted: tuple[str, ...]
    ood: tuple[OODSet, ...]
    ood_notes: tuple[str, ...]
    attacks: AttackSettings | None
    cache: Cache

    @property
    def config(self) -> RunConfig:
        """Settings that every run has."""
        return self.settings.run

    @property
    def seeds(self) -> list[int]:
        """The student seeds."""
        return list(range(self.config.seed, self.config.seed + self.config.seeds))

    @property
    def select_by(self) -> SelectBy:
        """What chooses the student's epoch, as far as its method has a teacher for it."""
        taught = bool(self.method.needs_of(self.settings.method))
        return parse_rule(self.config.data.select_by).for_model(taught)

    def identity(self, seed: int | None) -> str:
        """Fingerprint of everything that the record of a seed depends on; of None, what all its seeds share."""
        return fingerprint(
            "run",
            _FORMAT,
            list(self.about_method),
            run_part(self.settings, self.method, self.task.spec.name),
            seed,
            self.task.fingerprint,
            self.teacher.key if self.teacher else "",
            self.student.key,
            self.text.tokenizer_fingerprint,
            self.max_length,
            list(self.substituted),
            student_head(self),
            [self.hardware.accelerator, self.hardware.devices, self.hardware.arithmetic],
            *resource_keys(self.resources),
        )

    def folder(self, seed: int) -> Path:
        """Where the record of a seed lies."""
        name = f"{self.method.name}-{self.task.spec.name}-{self.task.source.kind}-s{seed}-{self.identity(seed)[:8]}"
        return Path(self.config.out).expanduser() / name

    @cached_property
    def tokens_keys(self) -> dict[str, str]:
        """Fingerprint of each split as it is tokenised."""
        text = self.text.tokenizer_fingerprint
        return {name: tokens_key(examples, text, self.max_length) for name, examples in self.task.splits.items()}

    def answered(self) -> list[str]:
        """The splits on which the cache holds the teacher's answers."""
        if self.teacher is None:
            return []
        keys = {name: answers_key(self.teacher.key, tokens) for name, tokens in self.tokens_keys.items()}
        return [name for name, key in keys.items() if self.cache.path("logits", key).is_dir()]

    def steps(self) -> int:
        """The student's optimiser steps, of all phases."""
        return sum(_steps_by_phase(self.method, self.settings.method, self.config.training, self.task, self.hardware))

    def epochs(self) -> str:
        """The student's epochs, by phase where there are several."""
        phases = self.method.phases_of(self.settings.method)
        counts = [phase.epochs or self.config.training.epochs for phase in phases]
        if len(phases) == 1:
            return f"{counts[0]} epochs"
        return " and ".join(f"{n} epochs of {phase.name}" for n, phase in zip(counts, phases, strict=True))


def make_plan(overrides: Mapping[str, Any], cache: Cache | None = None) -> Plan:
    """Decides everything: data, teacher, student, hardware. Reads data and configurations, trains nothing.

    Args:
        overrides: Dotted settings from the YAML file and the command line.
        cache: What is kept between runs; the user's unless given.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    hub, cache = Hub(), cache or Cache()
    request = read_request(overrides, hub)
    models = choose_models(request, hub, cache)
    check_fit(request, models)
    named = [sentence for resource in models.resources.values() for sentence in resource.substituted]
    return Plan(
        settings=request.settings,
        method=request.method,
        about_method=request.about_method,
        task=request.task,
        hardware=request.hardware,
        teacher=models.teacher,
        teacher_parameters=models.teacher_parameters,
        student=models.student,
        resources=models.resources,
        text=models.text,
        max_length=models.max_length,
        substituted=(*request.substituted, *named),
        ood=request.ood,
        ood_notes=request.ood_notes,
        attacks=request.attacks,
        cache=cache,
    )


def check_fit(request: Request, models: Models) -> None:
    """Refuses what can't be trained so, before anything is.

    Raises:
        KdlabError: Too few examples for the devices, a training that a method can't do or in which the student has no
            turn, or a teacher's method that asks for a teacher.
    """
    run, task, hardware = request.run, request.task, request.hardware
    students = (request.method, request.settings.method, run.training)
    trainings: list[tuple[str, type[MethodContract], Any, TrainingConfig]] = [("training", *students)]
    if models.teacher is not None:
        makers = (models.teacher.method, models.teacher.settings)
        if models.teacher.method.needs_of(models.teacher.settings):
            raise KdlabError(
                f"teacher.method={models.teacher.method.name} asks for a teacher itself, so it can't make one: take a "
                "method that needs none, such as finetune."
            )
        trainings.append(("teacher", *makers, run.teacher))
    for section, method, settings, training in trainings:
        data = task if section == "training" else task.for_teacher
        if training.batch_size // training.accumulate < hardware.devices:
            raise KdlabError(
                f"{section}.batch_size={training.batch_size} with accumulate={training.accumulate} leaves fewer "
                f"examples than the {hardware.devices} devices that share them: raise the one or lower the other."
            )
        method.check_training(settings, training, task.spec)
        _steps_by_phase(method, settings, training, data, hardware)


def _steps_by_phase(
    method: type[MethodContract], settings: Any, training: TrainingConfig, task: TaskData, hardware: Hardware
) -> list[int]:
    """The student's steps in each phase of a training; refuses one in which it has no turn."""
    cycle = method.cycle_of(settings, task.spec)
    lengths = [
        (method.rows_in(settings, task.sizes, phase), phase.epochs or training.epochs)
        for phase in method.phases_of(settings)
    ]
    return [count_steps(rows, training, epochs, cycle, hardware.devices) for rows, epochs in lengths]


def student_head(plan: Plan) -> list[int] | None:
    """The order of a student checkpoint's own head where it is this task's, else None (a new head is drawn)."""
    donor = plan.student.donor
    return None if donor is None else head_order(donor, plan.task.spec.labels, plan.task.spec.aliases)
