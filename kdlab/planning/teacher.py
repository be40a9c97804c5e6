"""What will be done for a teacher, decided before any training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kdlab.config.schema import TeacherConfig
from kdlab.data.domains import TARGET
from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.methods.finetune import FineTune
from kdlab.models.checkpoint import Checkpoint, head_order
from kdlab.planning.identity import method_part, training_part
from kdlab.planning.resources import PlannedResource, resource_keys
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint
from kdlab.system.shown import listed

AS_IS = "used as it is"
_FORMAT = 2  # raised when teachers are made in another way
FOUND = "found in the cache"
_LOGITS_FORMAT = 2  # raised when their answers are computed or kept in another way


@dataclass(frozen=True)
class TeacherPlan:
    """What will be done for a teacher.

    Attributes:
        checkpoint: Where its weights start.
        order: Rows of its head in the task's label order; None where it must be trained.
        key: Fingerprint of the teacher that results.
        status: ``used as it is``, ``found in the cache``, ``to be fine-tuned`` or ``to be trained with METHOD``.
        method: The class of the method that makes it.
        settings: That method's settings.
        reason: Why a head that is there is not used, or empty.
        resources: What its method wants besides, by name.
    """

    checkpoint: Checkpoint
    order: list[int] | None
    key: str
    status: str
    method: type[DistillModule] = FineTune
    settings: Any = field(default_factory=MethodConfig)
    reason: str = ""
    resources: dict[str, PlannedResource] = field(default_factory=dict)


@dataclass(frozen=True)
class TeacherQuestion:
    """What a teacher's fingerprint depends on besides its checkpoint.

    Attributes:
        spec: The task.
        config: How it would be trained.
        method: The class of the method that would make it.
        about_method: Its name, and for a user's own file its content's fingerprint.
        settings: That method's settings.
        data_fingerprint: Of train and the split that selects.
        max_length: Longest input in tokens.
        arithmetic: Precision, and whether encoders are compiled.
        resources: What the method wants besides, by name.
    """

    spec: TaskSpec
    config: TeacherConfig
    data_fingerprint: str
    max_length: int
    arithmetic: str
    method: type[DistillModule] = FineTune
    about_method: tuple[str, ...] = (FineTune.name,)
    settings: Any = field(default_factory=MethodConfig)
    resources: dict[str, PlannedResource] = field(default_factory=dict)


def plan_teacher(checkpoint: Checkpoint, asked: TeacherQuestion, cache: Cache) -> TeacherPlan:
    """Decides by label *name* whether a checkpoint's head is this task's, and where a trained teacher is kept.

    Args:
        checkpoint: A folder.
        asked: What else its fingerprint depends on.
        cache: Looked into, not written.

    Raises:
        KdlabError: The stated labels are not as many as the head's outputs, or not the task's.
    """
    spec, config, makes = asked.spec, asked.config, (asked.method, asked.settings)
    checkpoint = checkpoint if config.labels is None else _relabelled(checkpoint, config.labels)
    plain = asked.method is FineTune
    order = head_order(checkpoint, spec.labels, spec.aliases)
    if config.labels is not None and checkpoint.has_head and checkpoint.head_fault:
        raise KdlabError(
            f"teacher.labels states what the head of {checkpoint.source} answers, but {checkpoint.head_fault}: leave "
            "teacher.labels out, and the teacher is fine-tuned with a head of its own."
        )
    if config.labels is not None and checkpoint.has_head and order is None:
        raise KdlabError(
            f"teacher.labels={config.labels} doesn't name the labels of {spec.name}, each one once: "
            f"{listed(spec.labels) if spec.labels else 'none, for it is scored'}."
        )
    if order is not None and plain:
        if config.domain != TARGET:
            raise KdlabError(
                f"teacher.domain={config.domain} says which rows a teacher is made of, and {checkpoint.source} has a "
                f"head for {spec.name} and is {AS_IS}: leave teacher.domain out, or give a checkpoint without a head."
            )
        if config.labelled is not None:
            raise KdlabError(
                f"teacher.labelled={config.labelled:g} says how many labels a teacher is made with, and "
                f"{checkpoint.source} has a head for {spec.name} and is {AS_IS}: leave teacher.labelled out, or give a "
                "checkpoint without a head."
            )
        return TeacherPlan(checkpoint, order, key_as_is(checkpoint, order), AS_IS)
    key = fingerprint(
        "teacher",
        _FORMAT,
        checkpoint.weights_fingerprint,
        checkpoint.tokenizer_fingerprint,
        asked.data_fingerprint,
        training_part(config),
        config.seed,
        asked.max_length,
        asked.arithmetic,
        *([] if plain else [list(asked.about_method), method_part(asked.settings)]),
        *resource_keys(asked.resources),
    )
    reason = ""
    if checkpoint.has_head and order is None:
        reason = head_reason(checkpoint, spec)
    to_do = "to be fine-tuned" if plain else f"to be trained with {asked.method.name}"
    status = FOUND if cache.find("teacher", key) else to_do
    return TeacherPlan(checkpoint, None, key, status, *makes, reason, asked.resources)


def head_reason(checkpoint: Checkpoint, spec: TaskSpec) -> str:
    """Why a head that is there is not used, in words."""
    if checkpoint.head_fault:
        return checkpoint.head_fault
    reason = (
        f"its head says {listed(checkpoint.head_labels)}, not {listed(spec.labels) if spec.labels else 'one score'}"
    )
    ours = len(checkpoint.head_labels) == spec.num_outputs > 1
    return reason + ("; teacher.labels=[…] states their order" if ours else "")


def _relabelled(checkpoint: Checkpoint, labels: list[str]) -> Checkpoint:
    """The checkpoint with its head's labels as the user states them; one without a head stays as it is.

    Raises:
        KdlabError: They are not as many as the head's outputs.
    """
    if not checkpoint.has_head:
        return checkpoint
    if len(labels) != len(checkpoint.head_labels):
        raise KdlabError(
            f"teacher.labels states {len(labels)} labels ({listed(labels)}), but the head of "
            f"{checkpoint.source} has {len(checkpoint.head_labels)} outputs: name each one once, in their order."
        )
    return checkpoint.with_labels(labels)


def answers_key(teacher: str, tokens: str) -> str:
    """Fingerprint of a teacher's answers on a split.

    Args:
        teacher: The teacher's fingerprint.
        tokens: The tokenised split's.
    """
    return fingerprint("logits", _LOGITS_FORMAT, teacher, tokens)


def key_as_is(checkpoint: Checkpoint, order: list[int]) -> str:
    """Fingerprint of a checkpoint whose own head answers, its rows in this order."""
    return fingerprint("as is", checkpoint.weights_fingerprint, order)
