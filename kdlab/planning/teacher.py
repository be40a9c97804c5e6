"""What will be done for a teacher, decided before any training."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.methods.shared.settings import NOT_IN_FINGERPRINT, TrainingConfig
from kdlab.models.checkpoint import Checkpoint, head_order
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint

AS_IS = "used as it is"


_FORMAT = 1  # raised when teachers are made in another way


@dataclass(frozen=True)
class TeacherPlan:
    """What will be done for a teacher.

    Attributes:
        checkpoint: Where its weights start.
        order: Rows of its head in the task's label order; None where it must be fine-tuned.
        key: Fingerprint of the teacher that results.
        status: ``used as it is``, ``found in the cache`` or ``to be fine-tuned``.
        reason: Why a head that is there is not used, or empty.
    """

    checkpoint: Checkpoint
    order: list[int] | None
    key: str
    status: str
    reason: str = ""


def plan_teacher(
    checkpoint: Checkpoint,
    spec: TaskSpec,
    training: TrainingConfig,
    labels: list[str] | None,
    seed: int,
    data_fingerprint: str,
    max_length: int,
    arithmetic: str,
    cache: Cache,
) -> TeacherPlan:
    """Decides by label *name* whether a checkpoint's head is this task's, and where the fine-tuned teacher is kept.

    Args:
        checkpoint: A folder.
        spec: The task.
        training: How it would be fine-tuned.
        labels: Order of the head's labels as the user states it, for heads that name them LABEL_0, LABEL_1, ….
        seed: The teacher's own.
        data_fingerprint: Of train and the split that selects.
        max_length: Longest input in tokens.
        arithmetic: Precision, and whether encoders are compiled.
        cache: Looked into, not written.

    Raises:
        KdlabError: The stated labels are not as many as the head's outputs.
    """
    if labels is not None and checkpoint.has_head:
        if len(labels) != len(checkpoint.head_labels):
            raise KdlabError(
                f"teacher.labels states {len(labels)} labels ({', '.join(labels)}), but the head of "
                f"{checkpoint.source} has {len(checkpoint.head_labels)} outputs: name each one once, in their order."
            )
        checkpoint.config.id2label = dict(enumerate(labels))
    order = head_order(checkpoint, spec.labels, spec.aliases)
    if order is not None:
        return TeacherPlan(checkpoint, order, key_as_is(checkpoint, order), AS_IS)
    settings = {f.name: getattr(training, f.name) for f in fields(TrainingConfig) if f.name not in NOT_IN_FINGERPRINT}
    key = fingerprint(
        "teacher",
        _FORMAT,
        checkpoint.weights_fingerprint,
        checkpoint.tokenizer_fingerprint,
        data_fingerprint,
        settings,
        seed,
        max_length,
        arithmetic,
    )
    reason = ""
    if checkpoint.has_head:
        wanted = ", ".join(spec.labels) or "one score"
        reason = f"its head says {', '.join(checkpoint.head_labels)}, not {wanted}"
        if len(checkpoint.head_labels) == spec.num_outputs > 1:
            reason += "; teacher.labels=[…] states their order"
    status = "found in the cache" if cache.find("teacher", key) else "to be fine-tuned"
    return TeacherPlan(checkpoint, None, key, status, reason)


def key_as_is(checkpoint: Checkpoint, order: list[int]) -> str:
    """Fingerprint of a checkpoint whose own head answers, its rows in this order."""
    return fingerprint("as is", checkpoint.weights_fingerprint, order)
