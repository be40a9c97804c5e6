"""The teacher of a plan: used as it is or trained once, kept under its fingerprint, with its logits on any split."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import TextDataModule
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import Prediction, predict
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.models.checkpoint import Checkpoint, load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.resources import hand_in
from kdlab.planning.teacher import TeacherPlan, answers_key
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.cost import Cost
from kdlab.system.distributed import broadcast, rank
from kdlab.system.files import settle, write_array, write_atomic, writing
from kdlab.system.foreign import read_fields
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit
from kdlab.training.history import history_of

FITTED = "fitted.json"
_ASKED = 4  # texts that a checkpoint used as it is answers before any training


def obtain_teacher(
    plan: TeacherPlan,
    data: TextDataModule,
    training: TrainingConfig,
    seed: int,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
    who: str = "teacher",
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
        who: What it is called there: a student's donor is made in the same way.

    Raises:
        KdlabError: The training fails, or the cache can't be written.
    """
    spec = data.task
    if plan.order is not None:
        return load_encoder(plan.checkpoint, spec.labels, plan.order, seed)

    def build(folder: Path) -> None:
        done = folder / FITTED
        if not broadcast(done.exists() and _is_whole(folder)):
            train(folder, done)
        if rank() == 0:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def train(folder: Path, done: Path) -> None:
        how = "" if plan.method is FineTune else f" with {plan.method.name}"
        reporter.say(f"Fine-tuning the {who} {plan.checkpoint.source} on {spec.name}{how}.")
        module = plan.method(plan.settings, load_encoder(plan.checkpoint, spec.labels, None, seed), None, spec)
        hand_in(module, plan.resources, data, hardware, cache, reporter)
        request = TrainingRequest(training, hardware, folder, seed, [history_of(folder)], reporter, who)
        fitted = fit(module, data, request)
        if rank() != 0:
            return
        with writing(folder):
            module.finished_student().to("cpu").model.save_pretrained(folder)
            plan.checkpoint.tokenizer.save_pretrained(folder)
        settle(folder)
        write_atomic(done, json.dumps(fitted.to_json(), indent=1))

    def load(folder: Path) -> TextEncoder:
        made = Checkpoint(folder, plan.checkpoint.source)
        return load_encoder(made, spec.labels, list(range(spec.num_outputs)), seed)

    about = {"task": spec.name, "from": plan.checkpoint.source, "seed": seed}
    return cache.get_or_make("teacher", plan.key, build, about, resumable=True, on_all_ranks=True, load=load)


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


def cost_of_teacher(key: str, cache: Cache) -> Cost:
    """What the training of a teacher in the cache took, whenever that was; NaN where it is not known."""
    try:
        fitted = read_fields(cache.path("teacher", key) / FITTED, "it is made again")
    except KdlabError:
        return Cost(math.nan, math.nan)
    return Cost(float(fitted.get("seconds", math.nan)), float(fitted.get("cpu_seconds", math.nan)))


@dataclass(frozen=True)
class LazyTeacher:
    """A teacher that is loaded when it has to answer.

    Attributes:
        load: Gives it; every process must ask.
        key: Its fingerprint: two teachers never share answers, nor one that was trained again in place.
        outputs: How many outputs C its head has.
    """

    load: Callable[[], TextEncoder]
    key: str
    outputs: int


@dataclass(frozen=True)
class CachedTeacher:
    """A teacher whose clean answers on a split, ``(N, C)`` float32, are computed once for all its students.

    Attributes:
        teacher: Asked where the cache holds no answers.
        batch_size: Examples a forward pass.
        hardware: Where.
        cache: Where they are kept.
        name: Of the task or set, for the cache's list.
        costs: What the answers cost that were wanted, by fingerprint of the split.
        made: Fingerprints of the splits on which the teacher had to answer.
    """

    teacher: LazyTeacher
    batch_size: int
    hardware: Hardware
    cache: Cache
    name: str
    costs: dict[str, Cost] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    def __call__(self, split: EncodedSplit) -> NDArray[np.float32]:
        """The logits on a split, memory-mapped."""
        return self._answers(split)[0]

    def prediction(self, split: EncodedSplit) -> Prediction:
        """The logits on a split and what they cost; NaN where they were computed on other hardware."""
        logits, cost = self._answers(split)
        return Prediction(torch.from_numpy(np.array(logits)), cost)

    def _answers(self, split: EncodedSplit) -> tuple[NDArray[np.float32], Cost]:
        """Logits and what they cost, from the cache or computed and kept there."""

        def build(folder: Path) -> None:
            self.made.add(split.fingerprint)
            made = predict(self.teacher.load(), split, self.batch_size, self.hardware.device)
            if rank() == 0:
                write_array(folder / "logits.npy", made.logits.numpy())
                cost = {**asdict(made.cost), "hardware": self.hardware.describe()}
                write_atomic(folder / "cost.json", json.dumps(cost))

        key = answers_key(self.teacher.key, split.fingerprint)
        about: dict[str, Any] = {"task": self.name, "examples": len(split)}
        logits, cost = self.cache.get_or_make(
            "logits", key, build, about, on_all_ranks=True, load=lambda folder: self._load(folder, split)
        )
        self.costs[split.fingerprint] = cost
        return logits, cost

    def _load(self, folder: Path, split: EncodedSplit) -> tuple[NDArray[np.float32], Cost]:
        logits: NDArray[np.float32] = np.load(folder / "logits.npy", mmap_mode="r", allow_pickle=False)
        if logits.shape != (len(split), self.teacher.outputs):
            raise ValueError(f"it holds {logits.shape} numbers where {len(split)} × {self.teacher.outputs} belong")
        cost = read_fields(folder / "cost.json", "it is made again")
        here = cost["hardware"] == self.hardware.describe()
        return logits, Cost(float(cost["seconds"]), float(cost["cpu_seconds"])) if here else Cost(math.nan, math.nan)
