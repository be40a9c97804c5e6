"""The teacher: used as it is or fine-tuned once, kept under its fingerprint, with its clean logits."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import GLUEDataModule
from kdlab.data.tasks import TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import predict
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.settings import NO_MATTER, MethodConfig, TrainingConfig
from kdlab.models.checkpoint import Checkpoint, head_order, load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.files import fingerprint, write_atomic, writing
from kdlab.system.hardware import Hardware
from kdlab.training.fit import fit
from kdlab.training.history import history_of

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
    settings = {f.name: getattr(training, f.name) for f in fields(TrainingConfig) if f.name not in NO_MATTER}
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


def obtain_teacher(
    plan: TeacherPlan,
    data: GLUEDataModule,
    training: TrainingConfig,
    seed: int,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
) -> TextEncoder:
    """The teacher, fine-tuned first where the cache has none.

    Args:
        plan: From ``plan_teacher``.
        data: The task's data, with the teacher's tokenizer.
        training: How it is fine-tuned.
        seed: The teacher's own.
        hardware: Where.
        cache: Where it is kept.
        reporter: Shows progress.
    """
    spec = data.task
    if plan.order is not None:
        return load_encoder(plan.checkpoint, spec.labels, plan.order, seed)

    def build(folder: Path) -> None:
        done = folder / "fitted.json"
        if not done.exists():
            train(folder, done)
        if rank() == 0:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def train(folder: Path, done: Path) -> None:
        reporter.say(f"Fine-tuning the teacher {plan.checkpoint.source} on {spec.name}.")
        student = load_encoder(plan.checkpoint, spec.labels, None, seed)
        module = FineTune(MethodConfig(), student, None, spec)
        fitted = fit(module, data, training, hardware, folder, seed, [history_of(folder)], reporter, "teacher")
        if rank() != 0:
            return
        with writing(folder):
            module.student.to("cpu").model.save_pretrained(folder)
            plan.checkpoint.tokenizer.save_pretrained(folder)
        write_atomic(done, json.dumps(asdict(fitted), indent=1))

    about = {"task": spec.name, "from": plan.checkpoint.source, "seed": seed}
    folder = cache.get_or_make("teacher", plan.key, build, about, goes_on=True, together=True)
    kept = Checkpoint(folder, plan.checkpoint.source)
    return load_encoder(kept, spec.labels, list(range(spec.num_outputs)), seed)


def clean_logits(
    teacher: TextEncoder, key: str, data: GLUEDataModule, batch_size: int, hardware: Hardware, cache: Cache
) -> Path:
    """File of the teacher's logits on the training split, ``(N, C)`` float32, computed once.

    Args:
        teacher: The teacher.
        key: Its fingerprint: two teachers never share logits, nor one that was retrained in place.
        data: The task's data.
        batch_size: Examples a forward pass.
        hardware: Where.
        cache: Where they are kept.
    """
    return split_logits(teacher, key, data.split(TRAIN), data.task.name, batch_size, hardware, cache)


def split_logits(
    teacher: TextEncoder, key: str, split: EncodedSplit, name: str, batch_size: int, hardware: Hardware, cache: Cache
) -> Path:
    """File of the teacher's logits on any tokenised split, ``(N, C)`` float32, computed once.

    Args:
        teacher: The teacher.
        key: Its fingerprint.
        split: N examples.
        name: Of the task or set, for the cache's list.
        batch_size: Examples a forward pass.
        hardware: Where.
        cache: Where they are kept.
    """

    def build(folder: Path) -> None:
        logits = predict(teacher, split, batch_size, hardware.device).logits
        if rank() == 0:
            with writing(folder / "logits.npy"):
                np.save(folder / "logits.npy", logits.numpy())

    whole = fingerprint("logits", _FORMAT, key, split.fingerprint)
    about: dict[str, Any] = {"task": name, "examples": len(split)}
    return cache.get_or_make("logits", whole, build, about, together=True) / "logits.npy"
