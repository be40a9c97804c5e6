"""Whole trainings: epochs end, a hold-out is answered, the best weights are kept, and checkpoints fall due."""

from __future__ import annotations

import gc
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from experiments.benchmarks import reference
from experiments.benchmarks.world import BATCH, RATE, SEED, Lengths, encoders
from kdlab.data.batches import BucketSampler
from kdlab.data.module import GLUEDataModule, eval_loader
from kdlab.data.tasks import TASKS
from kdlab.methods.kd import KD
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit

EPOCHS, HELD_OUT = 3, 200


def time_kdlab(steps: int, bf16: bool, folder: Path) -> float:
    """Seconds of ``fit`` with ``kd`` over EPOCHS epochs of so many steps.

    Args:
        steps: Of an epoch.
        bf16: Whether forward runs under autocast.
        folder: For checkpoints.
    """
    gc.collect()
    _, student = encoders()
    splits: Any = {"train": Lengths(steps * BATCH), "dev": Lengths(HELD_OUT)}
    data = GLUEDataModule(TASKS["sst2"], splits, None, "", 128, BATCH, 128, "dev", SEED, Cache(folder / "cache"))
    data._encoded = splits
    training = TrainingConfig(epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
    hardware = Hardware("cpu", 1, "bf16-mixed" if bf16 else "32-true")
    module = KD(KD.Config(), student, None, TASKS["sst2"])
    request = TrainingRequest(
        training, hardware, folder / f"{time.time_ns()}", SEED, [], Reporter(quiet=True), "student"
    )
    started = time.perf_counter()
    fit(module, data, request)
    return time.perf_counter() - started


def time_by_hand(steps: int, bf16: bool) -> float:
    """The same, as a careful researcher writes it: the hold-out's accuracy behind each epoch, the best weights kept."""
    gc.collect()
    _, student = encoders()
    split, held_out = Lengths(steps * BATCH), Lengths(HELD_OUT)
    logits = torch.from_numpy(split.teacher_logits)
    split.teacher_logits = None
    sampler = BucketSampler(split.lengths, BATCH, SEED)
    loader = DataLoader(split, batch_sampler=sampler, collate_fn=split.collate)
    best: tuple[float, dict[str, torch.Tensor]] = (-1.0, {})

    def accuracy() -> float:
        student.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            right = [(student.classify(b).argmax(-1) == b.labels).sum() for b in eval_loader(held_out, 128)]
        student.train()
        return int(sum(right)) / len(held_out)

    def batches() -> Any:
        nonlocal best
        for epoch in range(EPOCHS):
            sampler.set_epoch(epoch)
            yield from loader
            if (found := accuracy()) > best[0]:
                best = found, {name: weight.clone() for name, weight in student.state_dict().items()}

    started = time.perf_counter()
    reference.train(
        student.model, reference.kd_loss(student.model, logits), batches(), EPOCHS * steps, RATE, bf16, lambda: None
    )
    student.load_state_dict(best[1])
    return time.perf_counter() - started
