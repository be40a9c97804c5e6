"""The teacher: used as it is or fine-tuned once, kept under its fingerprint, with its clean logits."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import GLUEDataModule
from kdlab.data.tasks import TRAIN
from kdlab.evaluation.predict import predict
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.settings import MethodConfig, TrainingConfig
from kdlab.models.checkpoint import Checkpoint, load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.planning.teacher import _FORMAT, TeacherPlan
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.files import fingerprint, write_atomic, writing
from kdlab.system.hardware import Hardware
from kdlab.training.fit import fit
from kdlab.training.history import history_of


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
    folder = cache.get_or_make("teacher", plan.key, build, about, resumable=True, on_all_ranks=True)
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
    return cache.get_or_make("logits", whole, build, about, on_all_ranks=True) / "logits.npy"
