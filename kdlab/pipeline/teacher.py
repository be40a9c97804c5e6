"""The teacher of a plan: used as it is or trained once, kept under its fingerprint, with its logits on any split."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import TextDataModule
from kdlab.evaluation.predict import predict
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.models.checkpoint import Checkpoint, load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.resources import hand_in
from kdlab.planning.teacher import LOGITS_FORMAT, TeacherPlan
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.files import fingerprint, write_atomic, writing
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit
from kdlab.training.history import history_of


def obtain_teacher(
    plan: TeacherPlan,
    data: TextDataModule,
    training: TrainingConfig,
    seed: int,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
) -> TextEncoder:
    """The teacher, trained first where the cache has none.

    Args:
        plan: From ``plan_teacher``.
        data: The task's data, with the teacher's tokenizer.
        training: How it is trained.
        seed: The teacher's own.
        hardware: Where.
        cache: Where it is kept.
        reporter: Shows progress.

    Raises:
        KdlabError: The training fails, or the cache can't be written.
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
        how = "" if plan.method is FineTune else f" with {plan.method.name}"
        reporter.say(f"Fine-tuning the teacher {plan.checkpoint.source} on {spec.name}{how}.")
        module = plan.method(plan.settings, load_encoder(plan.checkpoint, spec.labels, None, seed), None, spec)
        hand_in(module, plan.resources, data, hardware, cache, reporter)
        request = TrainingRequest(training, hardware, folder, seed, [history_of(folder)], reporter, "teacher")
        fitted = fit(module, data, request)
        if rank() != 0:
            return
        with writing(folder):
            module.finished_student().to("cpu").model.save_pretrained(folder)
            plan.checkpoint.tokenizer.save_pretrained(folder)
        write_atomic(done, json.dumps(asdict(fitted), indent=1))

    about = {"task": spec.name, "from": plan.checkpoint.source, "seed": seed}
    folder = cache.get_or_make("teacher", plan.key, build, about, resumable=True, on_all_ranks=True)
    checkpoint = Checkpoint(folder, plan.checkpoint.source)
    return load_encoder(checkpoint, spec.labels, list(range(spec.num_outputs)), seed)


@dataclass(frozen=True)
class CachedTeacher:
    """A teacher whose clean logits on a split, ``(N, C)`` float32, are computed once for all its students.

    Attributes:
        encoder: The teacher.
        key: Its fingerprint: two teachers never share logits, nor one that was trained again in place.
        batch_size: Examples a forward pass.
        hardware: Where.
        cache: Where they are kept.
        name: Of the task or set, for the cache's list.
    """

    encoder: TextEncoder
    key: str
    batch_size: int
    hardware: Hardware
    cache: Cache
    name: str

    def __call__(self, split: EncodedSplit) -> NDArray[np.float32]:
        """The logits on a split, memory-mapped."""
        logits: NDArray[np.float32] = np.load(self.file(split), mmap_mode="r")
        return logits

    def file(self, split: EncodedSplit) -> Path:
        """Where the logits on a split are kept, computed first where the cache has none."""

        def build(folder: Path) -> None:
            logits = predict(self.encoder, split, self.batch_size, self.hardware.device).logits
            if rank() == 0:
                with writing(folder / "logits.npy"):
                    np.save(folder / "logits.npy", logits.numpy())

        whole = fingerprint("logits", LOGITS_FORMAT, self.key, split.fingerprint)
        about: dict[str, Any] = {"task": self.name, "examples": len(split)}
        return self.cache.get_or_make("logits", whole, build, about, on_all_ranks=True) / "logits.npy"
