"""The teacher of a plan: used as it is or trained once, kept under its fingerprint, with its logits on any split."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import predict
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.models.checkpoint import Checkpoint, load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.resources import hand_in
from kdlab.planning.teacher import LOGITS_FORMAT, TeacherPlan
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import broadcast, rank
from kdlab.system.files import fingerprint, settle, write_array, write_atomic, writing
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit
from kdlab.training.history import history_of

_ASKED = 4  # texts that a checkpoint used as it is answers before any training


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
        teacher = load_encoder(plan.checkpoint, spec.labels, plan.order, seed)
        check_answers(teacher, data.split(TRAIN), plan.checkpoint.source)
        return teacher

    def build(folder: Path) -> None:
        done = folder / "fitted.json"
        if not broadcast(done.exists() and _is_whole(folder)):
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
        settle(folder)
        write_atomic(done, json.dumps(asdict(fitted), indent=1))

    def load(folder: Path) -> TextEncoder:
        made = Checkpoint(folder, plan.checkpoint.source)
        return load_encoder(made, spec.labels, list(range(spec.num_outputs)), seed)

    about = {"task": spec.name, "from": plan.checkpoint.source, "seed": seed}
    return load(cache.get_or_make("teacher", plan.key, build, about, resumable=True, on_all_ranks=True, check=load))


def _is_whole(folder: Path) -> bool:
    """Whether a teacher's weights can be read, before the mark behind them is believed."""
    try:
        _ = Checkpoint(folder, "the cache").fit
    except KdlabError:
        return False
    return True


def check_answers(encoder: TextEncoder, split: EncodedSplit, source: str) -> None:
    """Has a checkpoint that is used as it is answer a few texts, so that one read wrongly is refused before training.

    Args:
        encoder: On the CPU; its train or eval mode is restored.
        split: Its first examples are asked: alone, padded beside a longer one, and through their embeddings.
        source: The checkpoint, for messages.

    Raises:
        KdlabError: An answer is NaN or infinite, or depends on padding or on whether ids or embeddings come in.
    """
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        positions = range(min(_ASKED, len(split)))
        batch = split.collate([*positions, int(split.lengths.argmax())])
        together = encoder.classify(batch)[: len(positions)]  # (n, C)
        alone = torch.cat([encoder.classify(split.collate([i])) for i in positions])
        embedded = encoder.embed(batch.input_ids, batch.token_type_ids)
        mixed = encoder(embeddings=embedded, attention_mask=batch.attention_mask).logits[: len(positions)]
    encoder.train(was_training)
    if not bool(torch.isfinite(together).all()):
        raise KdlabError(f"The teacher {source} answers training texts with NaN or infinity: give another checkpoint.")
    for how, answers in (("beside a longer text", alone), ("through its embeddings", mixed)):
        if not torch.allclose(together, answers, rtol=1e-3, atol=1e-3 * float(together.abs().max())):
            raise KdlabError(
                f"The teacher {source} answers the same text differently {how}, by up to "
                f"{float((together - answers).abs().max()):.2g} in a logit: its config.json does not describe how its "
                "positions or its padding are meant (pad_token_id, max_position_embeddings, is_decoder); correct it."
            )


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
        return self._load(self.file(split), split)

    def file(self, split: EncodedSplit) -> Path:
        """Where the logits on a split are kept, computed first where the cache has none."""

        def build(folder: Path) -> None:
            logits = predict(self.encoder, split, self.batch_size, self.hardware.device).logits
            if rank() == 0:
                write_array(folder / "logits.npy", logits.numpy())

        whole = fingerprint("logits", LOGITS_FORMAT, self.key, split.fingerprint)
        about: dict[str, Any] = {"task": self.name, "examples": len(split)}
        folder = self.cache.get_or_make(
            "logits", whole, build, about, on_all_ranks=True, check=lambda f: self._load(f / "logits.npy", split)
        )
        return folder / "logits.npy"

    def _load(self, file: Path, split: EncodedSplit) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = np.load(file, mmap_mode="r", allow_pickle=False)
        if logits.shape != (len(split), self.encoder.num_outputs):
            raise ValueError(f"it holds {logits.shape} numbers where {len(split)} × {self.encoder.num_outputs} belong")
        return logits
