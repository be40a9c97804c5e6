"""The plan of a run: everything that is decided before any training, and what is said of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdlab.config.resolve import resolve
from kdlab.config.schema import Resolved, RunConfig
from kdlab.data.ood.sets import OODSet, read_sets
from kdlab.data.ood.specs import choose_sets
from kdlab.data.sources import Hub, TaskData, choose_source, find_task, load_data
from kdlab.data.tasks import TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.methods import about_method, load_method
from kdlab.methods.base import DistillModule
from kdlab.methods.shared.settings import NOT_IN_FINGERPRINT
from kdlab.models.checkpoint import (
    EMBEDDED,
    Checkpoint,
    cached_on_disk,
    head_order,
    labelled_config,
    resolve_checkpoint,
)
from kdlab.models.encoder import usable_positions
from kdlab.models.student import StudentSpec, parse_student
from kdlab.models.vocabulary import check_one_vocabulary
from kdlab.planning.backbone import choose_backbone
from kdlab.planning.generator import GeneratorPlan, plan_generator
from kdlab.planning.student import StudentPlan, count_weights, plan_student
from kdlab.planning.teacher import TeacherPlan, plan_teacher
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.training.steps import count_steps

_FORMAT = 1  # raised when a record made before can't be taken for one made now
_NOT_IDENTITY = ("out", "fresh", "logger", "seeds", "seed", "profile", "accelerator", "devices", "precision", "compile")


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start.

    Attributes:
        settings: The checked configuration.
        method: The method's class.
        task: The task's examples.
        hardware: Where it runs.
        teacher: What is done for the teacher; None where none is needed.
        teacher_parameters: Number of the teacher's weights; 0 without one.
        student: What the student is made of.
        text: Checkpoint whose tokenizer reads the data.
        max_length: Longest input in tokens.
        substituted: What stands in for something that could not be had, in sentences.
        cache: What is kept between runs.
        about_method: Name, and for a user's own file its content's fingerprint.
        generator: What is done for the masked LM; None where the method wants none.
        ood: Sets out of domain on which the student is evaluated too.
        ood_notes: What is to be said of sets that were asked for, in sentences.
    """

    settings: Resolved
    method: type[DistillModule]
    task: TaskData
    hardware: Hardware
    teacher: TeacherPlan | None
    teacher_parameters: int
    student: StudentPlan
    text: Checkpoint
    max_length: int
    substituted: tuple[str, ...]
    cache: Cache
    about_method: list[str] = field(default_factory=list)
    generator: GeneratorPlan | None = None
    ood: tuple[OODSet, ...] = ()
    ood_notes: tuple[str, ...] = ()

    @property
    def config(self) -> RunConfig:
        """Settings that every run has."""
        return self.settings.run

    @property
    def seeds(self) -> list[int]:
        """The student seeds."""
        return list(range(self.config.seed, self.config.seed + self.config.seeds))

    def identity(self, seed: int | None) -> str:
        """Fingerprint of everything that the record of a seed depends on; of None, what all its seeds share."""
        plain = {k: v for k, v in copy.deepcopy(self.settings.plain).items() if k not in _NOT_IDENTITY}
        plain["data"] = {k: v for k, v in plain["data"].items() if k not in ("dir", "workers")}
        own = self.method.name
        for section, left_out in (("training", NOT_IN_FINGERPRINT), (own, self.method.Config.not_in_fingerprint)):
            plain[section] = {k: v for k, v in plain[section].items() if k not in left_out}
        plain.pop("teacher")  # its fingerprint says it all
        plain.pop("evaluation")  # it changes nothing of the student
        # a file may be named in several ways; what is in it has fingerprints
        plain |= {"method": self.method.name, "task": self.task.spec.name}
        return fingerprint(
            "run",
            _FORMAT,
            self.about_method,
            plain,
            seed,
            self.task.fingerprint,
            self.teacher.key if self.teacher else "",
            self.student.donor.weights_fingerprint if self.student.donor else "",
            self.text.tokenizer_fingerprint,
            self.max_length,
            list(self.substituted),
            student_head(self),
            [self.hardware.accelerator, self.hardware.devices, self.hardware.arithmetic],
            *([self.generator.key] if self.generator else []),
        )

    def folder(self, seed: int) -> Path:
        """Where the record of a seed lies."""
        name = f"{self.method.name}-{self.task.spec.name}-{self.task.source.kind}-s{seed}-{self.identity(seed)[:8]}"
        return Path(self.config.out).expanduser() / name

    def steps(self) -> int:
        """The student's optimiser steps, of all phases."""
        own, training, examples = self.settings.method, self.config.training, len(self.task.splits[TRAIN])
        cycle = self.method.cycle_of(own, self.task.spec)
        epochs = [phase.epochs or training.epochs for phase in self.method.phases_of(own)]
        return sum(count_steps(examples, training, n, cycle, self.hardware.devices) for n in epochs)

    def epochs(self) -> str:
        """The student's epochs, by phase where there are several."""
        phases = self.method.phases_of(self.settings.method)
        counts = [phase.epochs or self.config.training.epochs for phase in phases]
        if len(phases) == 1:
            return f"{counts[0]} epochs"
        return " and ".join(f"{n} epochs of {phase.name}" for n, phase in zip(counts, phases, strict=True))


def make_plan(overrides: Mapping[str, Any]) -> Plan:
    """Decides everything: data, teacher, student, hardware. Reads data and configurations, trains nothing.

    Args:
        overrides: Dotted settings from the YAML file and the command line.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    hub = Hub()
    method = load_method(str(overrides.get("method", RunConfig.method)))
    paper = ("paper",) if overrides.get("profile") == "paper" else ()  # may name the pair
    checked = resolve(method, paper, overrides)  # types and ranges are checked before anything slow
    first = checked.run
    hardware = resolve_hardware(first.accelerator, first.devices, first.precision, first.compile)
    spec, base = find_task(first.task)
    source = choose_source(spec, base, first.profile, first.data.dir, hub)
    backbone, substituted = choose_backbone(first, bool(method.needs_of(checked.method)), source.embedded, hub)
    settings = resolve(method, (*paper, EMBEDDED) if backbone == EMBEDDED else paper, overrides)
    run = settings.run
    _check_shares(run, hardware)
    task = load_data(spec, source, hub, run.data.limit_train, run.data.selection, run.data.holdout, run.data.split_seed)
    merges, notes = choose_sets(run.evaluation.ood, spec.name, spec.labels, spec.aliases)
    ood = read_sets(merges, run.evaluation.ood_dir, source.embedded, hub)
    student_spec = parse_student(run.student.source)
    cache = Cache()
    wants_teacher = bool(method.needs_of(settings.method)) or student_spec.from_teacher
    base_checkpoint = _open(backbone, hub) if wants_teacher else None
    donor = _donor(student_spec, hub)
    if base_checkpoint is not None and donor is not None:
        why = "both read the same ids, so take a pair with one vocabulary"
        check_one_vocabulary(("Teacher", base_checkpoint), ("student", donor), why)
    student = plan_student(student_spec, donor, base_checkpoint, task)
    if base_checkpoint is not None:
        method.check_pair(settings.method, base_checkpoint.config, student.config)
    text = base_checkpoint or donor
    if text is None:
        raise ValueError("neither teacher nor student has a tokenizer")
    max_length = _max_length(run.data.max_length, [c.config for c in (base_checkpoint, donor) if c], task)
    teacher, parameters = None, 0
    if base_checkpoint is not None:
        parameters = count_weights(base_checkpoint, labelled_config(base_checkpoint.config, spec.labels))
        teacher = _plan_teacher(base_checkpoint, run, task, max_length, hardware, cache)
    method.check_training(settings.method, run.training, spec)
    wish, generator = method.generator_wish(settings.method), None
    if wish is not None:
        asked = None if wish.source is None else _open(wish.source, hub)
        near = [c for c in (donor, base_checkpoint) if c is not None]
        generator = plan_generator(wish, asked, near, task, max_length, run.teacher.seed)
        substituted += generator.substituted
    plan = Plan(
        settings=settings,
        method=method,
        task=task,
        hardware=hardware,
        teacher=teacher,
        teacher_parameters=parameters,
        student=student,
        text=text,
        max_length=max_length,
        substituted=substituted,
        cache=cache,
        about_method=about_method(run.method),
        ood=ood,
        ood_notes=tuple(notes),
        generator=generator,
    )
    plan.steps()  # refuses a training in which the student has no turn
    return plan


def _plan_teacher(
    checkpoint: Checkpoint, run: RunConfig, task: TaskData, max_length: int, hardware: Hardware, cache: Cache
) -> TeacherPlan:
    own, data = run.teacher, task.training_fingerprint
    plan = plan_teacher(checkpoint, task.spec, own, own.labels, own.seed, data, max_length, hardware.arithmetic, cache)
    _check_labels(plan, own.labels, task.spec)
    return plan


def _check_shares(run: RunConfig, hardware: Hardware) -> None:
    for name, training in (("training", run.training), ("teacher", run.teacher)):
        if training.batch_size // training.accumulate < hardware.devices:
            raise KdlabError(
                f"{name}.batch_size={training.batch_size} with accumulate={training.accumulate} leaves fewer examples "
                f"than the {hardware.devices} devices that share them: raise the one or lower the other."
            )


def _open(source: str, hub: Hub) -> Checkpoint:
    """A checkpoint whose files can be read, so that a damaged one is refused before any training."""
    checkpoint = resolve_checkpoint(source, cached_on_disk(source) or not hub.online)
    _ = checkpoint.config, checkpoint.weight_names, checkpoint.tokenizer
    return checkpoint


def _donor(spec: StudentSpec, hub: Hub) -> Checkpoint | None:
    source = spec.checkpoint or spec.donor
    return None if source is None else _open(source, hub)


def _check_labels(teacher: TeacherPlan, labels: list[str] | None, spec: TaskSpec) -> None:
    """Whether ``teacher.labels`` names the labels of the task: a slip in them must not cost a fine-tuning."""
    if labels is not None and teacher.checkpoint.has_head and teacher.order is None:
        raise KdlabError(
            f"teacher.labels={labels} doesn't name the labels of {spec.name}, each one once: "
            f"{', '.join(spec.labels) or 'none, for it is scored'}."
        )


def _max_length(asked: int | None, configs: list[Any], task: TaskData) -> int:
    most = min(usable_positions(config) for config in configs)
    if asked is not None and asked > most:
        raise KdlabError(f"data.max_length={asked}, but the encoder has positions for {most} tokens.")
    return asked or min(128, most)


def student_head(plan: Plan) -> list[int] | None:
    """The order of a student checkpoint's own head where it is this task's, else None (a new head is drawn)."""
    donor = plan.student.donor
    return None if donor is None else head_order(donor, plan.task.spec.labels, plan.task.spec.aliases)
