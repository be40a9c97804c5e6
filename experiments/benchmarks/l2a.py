"""`l2a` at its paper's sizes (BERT-base, a student of 4 layers of 312 units) beside its own loss on all candidates.

A selector that knows nothing keeps every second candidate, so the teacher reads half of them; the loop by hand has no
selector and trains on all.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification

from experiments.benchmarks import reference
from experiments.benchmarks.reference_hidden import Watch, features, pass_of, scores, soft
from experiments.benchmarks.world import BATCH, RATE, SEED, Lengths
from kdlab.data.batches import BucketSampler
from kdlab.data.module import GLUEDataModule
from kdlab.data.tasks import TASKS
from kdlab.methods.l2a import L2A, L2AConfig
from kdlab.methods.shared.candidates import Pool
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.models.encoder import TextEncoder
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit

REWARD_ROWS = L2AConfig.reward_rows
HEADS = 12


def encoders() -> tuple[TextEncoder, TextEncoder]:
    """Teacher and student, without dropout."""
    made = []
    for layers, width, inner in ((12, 768, 3072), (4, 312, 1200)):
        config = BertConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=HEADS,
            intermediate_size=inner,
            num_labels=2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        torch.manual_seed(SEED)
        made.append(TextEncoder(BertForSequenceClassification(config)).eval())
    return made[0], made[1]


def time_epoch(steps: int, bf16: bool, folder: Path) -> tuple[float, float]:
    """Seconds of an epoch of so many batches with the selector's steps behind it, and of the scores in it.

    Args:
        steps: Batches.
        bf16: Whether forward runs under autocast.
        folder: For checkpoints.
    """
    gc.collect()
    teacher, student = encoders()
    module = L2A(L2AConfig(), student, teacher, TASKS["sst2"])
    splits: Any = {"train": Lengths(steps * BATCH), "dev": Lengths(16), "reward": Lengths(REWARD_ROWS)}
    count, nothing = steps * BATCH, np.zeros(steps * BATCH)
    rows = np.repeat(np.arange(-(-count // 20)), 20)[:count]
    module.pool = Pool(splits["train"], [("",)] * count, [()] * count, rows, nothing, nothing.astype(np.float32))
    module.rows_in = lambda config, sizes, phase: count  # type: ignore[method-assign, assignment, misc]
    data = GLUEDataModule(
        TASKS["sst2"],
        splits,
        None,
        "",
        128,
        BATCH,
        Hardware("cpu", 1, "32-true").eval_batch(0),
        "dev",
        SEED,
        Cache(folder / "cache"),
    )
    data._encoded = splits
    spent, scored, ends = [0.0], module.score, module.end_epoch
    marks: list[float] = []

    def score(split: str, metric: str | None = None) -> float:
        started = time.perf_counter()
        found = scored(split, metric)
        spent[0] += time.perf_counter() - started
        return found

    def end_epoch(epoch: int) -> None:
        ends(epoch)
        marks.append(time.perf_counter())

    module.score, module.end_epoch = score, end_epoch  # type: ignore[method-assign]
    module.on_train_epoch_start = lambda: marks.append(time.perf_counter())  # type: ignore[method-assign]
    hardware = Hardware("cpu", 1, "bf16-mixed" if bf16 else "32-true")
    training = TrainingConfig(epochs=1, batch_size=BATCH, learning_rate=RATE)
    place = folder / f"{time.time_ns()}"
    fit(module, data, TrainingRequest(training, hardware, place, SEED, [], Reporter(quiet=True), "student"))
    return marks[1] - marks[0], spent[0]


def time_loss(steps: int, bf16: bool) -> float:
    """Seconds of as many steps on all candidates: attention maps, hidden states and soft targets of the last layers."""
    gc.collect()
    teacher, student = (encoder.model for encoder in encoders())
    split = Lengths(steps * BATCH)
    logits = torch.from_numpy(split.teacher_logits)
    split.teacher_logits = None
    ours, theirs = Watch(student, (4,), (4,)), Watch(teacher, (12,), (12,))
    student.project = torch.nn.Linear(312, 768, bias=False)

    def loss(batch: Any, step: int) -> torch.Tensor:
        mask = batch.attention_mask
        with torch.no_grad():
            pass_of(teacher, batch)
        out = pass_of(student, batch)
        a, b = ours.taken(), theirs.taken()
        a["hidden", 4] = student.project(a["hidden", 4])
        padding = mask[:, None, None, :] == 0
        maps = [F.softmax(scores(x, n, HEADS).masked_fill(padding, -1e4), -1) for x, n in ((a, 4), (b, 12))]
        both = mask[:, None, :, None] * mask[:, None, None, :]
        attention = (((maps[0] - maps[1]).square() * both).mean(1).sum((1, 2)) / mask.sum(1).square()).mean()
        return attention + features(a, b, ((12, 4),), mask) + soft(out, logits[batch.index])

    sampler = BucketSampler(split.lengths, BATCH, SEED)
    loader = DataLoader(split, batch_sampler=sampler, collate_fn=split.collate)
    started = time.perf_counter()
    reference.train(student, loss, loader, steps, RATE, bf16, lambda: None)
    return time.perf_counter() - started
