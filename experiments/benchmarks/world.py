"""What is measured on: a 6×384 teacher, its 3-layer student, and inputs of SST-2's lengths."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from experiments.benchmarks import reference, reference_hidden, reference_text
from kdlab.data.batches import BucketSampler, EncodedSplit
from kdlab.data.module import GLUEDataModule
from kdlab.data.tasks import TASKS
from kdlab.evaluation.predict import predict
from kdlab.methods import load_method
from kdlab.methods.adversarial_text import AdversarialText
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.models.encoder import TextEncoder
from kdlab.models.generator import MaskedLM
from kdlab.models.student import take_layers
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit
from kdlab.types import Need

BATCH, RATE, SEED = 32, 5e-5, 0
CPU = torch.device("cpu")
# Tokens of SST-2's 67,349 training sentences with [CLS] and [SEP] (bert-base-uncased vocabulary), as deciles.
SST2_DECILES = (3, 4, 6, 7, 8, 10, 13, 16, 20, 27, 66)
# Ranks of its 762,341 tokens by how frequent they are (11,570 different ones), as deciles: 125 make a half of the text.
SST2_RANKS = (0, 3, 7, 16, 45, 125, 321, 760, 1675, 3634, 11569)
DROPOUT = ", dropout"
"""End of the name of a case in which students have BERT's dropout of .1; its losses can't be compared."""


class Lengths(EncodedSplit):
    """Random tokens in memory, of SST-2's lengths and as frequent as its own.

    Args:
        examples: How many.
        length: Tokens of every example, instead of SST-2's lengths.
    """

    def __init__(self, examples: int, length: int | None = None) -> None:
        draw = np.random.default_rng(SEED)
        lengths = np.full(examples, length) if length else drawn(draw, examples, SST2_DECILES)
        self.offsets = np.concatenate([[0], np.cumsum(lengths)])
        self.ids = (1000 + drawn(draw, int(self.offsets[-1]), SST2_RANKS)).astype(np.int32)
        self.types = np.zeros(int(self.offsets[-1]), np.uint8)
        self.pad_id = 0
        self.labels = draw.integers(0, 2, examples)
        self.fingerprint = f"lengths {examples}"
        self.teacher_logits = draw.normal(size=(examples, 2)).astype(np.float32)
        self.names, self.labelled, self.domain = range(examples), None, None
        self.from_source = 0

    def own(self, augmented: bool = False) -> list[int]:
        """As ``Examples.own``: no row was made of another."""
        return [] if augmented else list(range(len(self)))


def drawn(draw: np.random.Generator, number: int, deciles: Sequence[int]) -> NDArray[np.int64]:
    """Numbers of a distribution that is known by its deciles."""
    found = np.interp(draw.random(number) * (len(deciles) - 1), range(len(deciles)), deciles)
    return found.round().astype(np.int64)


@dataclass(frozen=True)
class Setting:
    """Where and on what kdlab trains.

    Attributes:
        hardware: Where, and in which precision.
        batch: Examples a step.
        width: Hidden units; heads have 32 of them below 768, and 64 from there on.
        layers: Of the teacher; the student has the lower half.
        length: Tokens of every example; None for SST-2's lengths.
    """

    hardware: Hardware
    batch: int = BATCH
    width: int = 384
    layers: int = 6
    length: int | None = None


def encoders(dropout: float = 0.0, width: int = 384, layers: int = 6) -> tuple[TextEncoder, TextEncoder]:
    """Teacher and student, without dropout unless given, so that losses can be compared.

    Args:
        dropout: Of both.
        width: Hidden units; heads have 32 of them below 768, and 64 from there on.
        layers: Of the teacher; the student has the lower half.
    """
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // (32 if width < 768 else 64),
        intermediate_size=4 * width,
        num_labels=2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    torch.manual_seed(SEED)
    teacher = TextEncoder(BertForSequenceClassification(config)).eval()
    return teacher, take_layers(teacher, tuple(range(layers // 2)))


def masked_lm(student: TextEncoder) -> BertForMaskedLM:
    """A generator of the student's size, as MATE-KD's paper has it."""
    torch.manual_seed(SEED + 1)
    return BertForMaskedLM(student.config)


@dataclass
class Timed:
    """One stretch of training.

    Attributes:
        rate: Examples a second, without the first steps.
        losses: Of each step.
    """

    rate: float
    losses: list[float]


class Clock:
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self) -> None:
        """Notes now."""
        self.at.append(time.perf_counter())

    def rate(self, skip: int, sizes: list[int]) -> float:
        """Examples a second behind the first ``skip`` steps."""
        return sum(sizes[skip + 1 : len(self.at)]) / (self.at[-1] - self.at[skip])


# what is measured: a name, kdlab's method and its settings
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("finetune", "kd", "mixkd")},
    f"kd{DROPOUT}": ("kd", {}),
    "ganbert": ("ganbert", {}),
    **reference_hidden.CASES,
    **reference_text.CASES,
}


def run_kdlab(case: str, steps: int, bf16: bool, folder: Path, skip: int = 3) -> Timed:
    """A stretch of kdlab's own training on the CPU, through ``fit``.

    Args:
        case: In ``CASES``.
        steps: How many.
        bf16: Whether forward runs under autocast.
        folder: For checkpoints.
        skip: Steps that are not timed.
    """
    clock = Clock()
    losses = train_case(case, steps, Setting(Hardware("cpu", 1, "bf16-mixed" if bf16 else "32-true")), folder, clock)
    return Timed(clock.rate(skip, [BATCH] * steps), [float(x) for x in losses])


def train_case(case: str, steps: int, setting: Setting, folder: Path, each: Callable[[], None]) -> list[torch.Tensor]:
    """Kdlab's own training through ``fit``; gives each step's loss.

    Args:
        case: In ``CASES``.
        steps: How many.
        setting: Where, and on what.
        folder: For checkpoints.
        each: Called behind every step.
    """
    gc.collect()  # Lightning's modules and trainers refer to each other, and would outlive their run
    teacher, student = encoders(_dropout_of(case), setting.width, setting.layers)
    method, settings = CASES[case]
    kind = load_method(method)
    config = kind.Config(**settings)
    needs_model = bool(kind.needs_of(config) - {Need.LOGITS})
    module = kind(config, student, teacher if needs_model else None, TASKS["sst2"])
    first = module.phases()[0]
    module.phases = lambda: [first]  # of two phases the one on layers, with the schedule of a whole training
    splits: Any = {"train": Lengths(steps * setting.batch, setting.length), "dev": Lengths(16, setting.length)}
    cache = Cache(folder / "cache")
    data = GLUEDataModule(TASKS["sst2"], splits, None, "", 128, setting.batch, 128, "dev", SEED, cache)
    data._encoded = splits
    if method == "ganbert":  # half of the labels, as a study has them
        data._encoded["train"].labelled = np.arange(steps * setting.batch) % 2 == 0
    if isinstance(module, AdversarialText):
        module.take("generator", MaskedLM(masked_lm(student), reference_text.MASK, reference_text.SPECIAL))
        # its hand-written loop computes what the cache would give, so the cache must give just that
        rows = Lengths(steps * setting.batch, setting.length)
        data._encoded["train"].teacher_logits = predict(teacher, rows, 128, setting.hardware.device).logits.numpy()
    losses: list[torch.Tensor] = []
    add, end_of = module.terms.add, module.on_train_batch_end

    def noted(terms: dict[str, torch.Tensor]) -> None:
        losses.append(next(iter(terms.values())).detach())  # the loss comes first, whoever's turn it is
        add(terms)

    def end(outputs: Any, batch: Any, batch_idx: int) -> None:
        end_of(outputs, batch, batch_idx)
        each()

    module.terms.add, module.on_train_batch_end = noted, end  # type: ignore[method-assign]
    training = TrainingConfig(epochs=1, batch_size=setting.batch, learning_rate=RATE)
    folder = folder / f"{time.time_ns()}"
    fit(module, data, TrainingRequest(training, setting.hardware, folder, SEED, [], Reporter(quiet=True), "student"))
    return losses


def run_reference(case: str, steps: int, bf16: bool, skip: int = 3, batching: str = "buckets") -> Timed:
    """The same stretch, written by hand.

    Args:
        case: In ``CASES``.
        steps: How many.
        bf16: Whether forward runs under autocast.
        skip: Steps that are not timed.
        batching: ``buckets``; ``dynamic`` pads to the longest of a random batch; ``128`` pads to 128.
    """
    gc.collect()
    teacher, student = encoders(_dropout_of(case))
    case = case.removesuffix(DROPOUT)
    split, clock = Lengths(steps * BATCH), Clock()
    logits = torch.from_numpy(split.teacher_logits)
    split.teacher_logits = None
    losses = {
        "finetune": lambda: reference.finetune_loss(student.model),
        "kd": lambda: reference.kd_loss(student.model, logits),
        "mixkd": lambda: reference.mixkd_loss(student.model, teacher.model, SEED),
    }
    own = losses.get(case) or (lambda: reference_hidden.losses_of(case, student.model, teacher.model, logits, SEED))
    sampler: Any = BucketSampler(split.lengths, BATCH, SEED)
    if batching != "buckets":
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(SEED))
        sampler = [chunk.tolist() for chunk in order.split(BATCH)]
    collate = split.collate if batching != "128" else lambda positions: padded(split.collate(positions))
    loader = DataLoader(split, batch_sampler=sampler, collate_fn=collate)
    if case in reference_text.CASES:
        models = teacher.model, student.model, masked_lm(student)
        turns = CASES[case][1]["n_g"], CASES[case][1]["n_s"]
        game = reference_text.Loop(*models, turns, batches=steps, rate=RATE, seed=SEED, bf16=bf16)
        found = game.run(loader, clock)
        return Timed(clock.rate(skip, [BATCH] * steps), [float(x) for x in found])
    found = reference.train(student.model, own(), loader, steps, RATE, bf16, clock)
    return Timed(clock.rate(skip, [BATCH] * steps), [float(x) for x in found])


def _dropout_of(case: str) -> float:
    return 0.1 if case.endswith(DROPOUT) else 0.0


def run_forwards(steps: int, bf16: bool, skip: int = 3) -> float:
    """Milliseconds a batch of one forward pass of the generator and one of the teacher, without a graph."""
    gc.collect()
    teacher, student = encoders()
    split = Lengths(steps * BATCH)
    sampler = BucketSampler(split.lengths, BATCH, SEED)
    loader = DataLoader(split, batch_sampler=sampler, collate_fn=split.collate)
    return reference_text.time_forwards(teacher.model, masked_lm(student), loader, SEED, bf16, skip)


def padded(batch: Any, to: int = 128) -> Any:
    """A batch padded to 128 tokens, as fixed-length pipelines have it."""
    more = (0, to - batch.input_ids.shape[1])
    fields = {
        n: torch.nn.functional.pad(getattr(batch, n), more) for n in ("input_ids", "attention_mask", "token_type_ids")
    }
    return type(batch)(index=batch.index, labels=batch.labels, **fields)
