"""The hand-written loop of MATE-KD, as its public code is built; see ``reference``.

It differs from kdlab's in three things, and in nothing else: the teacher's clean logits are computed in every student
step, generated text enters student steps as one-hot rows times embeddings, and the graph through generator and teacher
is kept in student steps. Masked positions, Gumbel noise, fused AdamW, sdpa and length buckets are the same on both
sides, and the vocabulary-sized softmax stands at masked positions alone on both.

``python -m experiments.benchmarks.reference_text`` checks that the losses of both are equal to 1e-5 over two cycles of
3 + 7 batches; ``--cycle`` times a whole cycle of 10 + 100 as well.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from experiments.benchmarks.reference_hidden import soft
from experiments.benchmarks.world import BATCH, RATE, SEED, Clock, Lengths, Timed, encoders

SPECIAL = (0, 100, 101, 102, 103)
MASK, PROBABILITY = 103, 0.3


def masked_lm() -> Any:
    """A generator of the student's size, as the paper's is, without dropout."""
    from transformers import BertForMaskedLM

    config = encoders()[1].config
    torch.manual_seed(SEED + 1)
    return BertForMaskedLM(config)


def draws(batch: Any, words: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The masked positions and the noise that kdlab draws in a batch of the first epoch."""
    from kdlab.methods.base import _number

    draw = torch.Generator().manual_seed(_number(f"{SEED}/train/{step}/{step}"))
    may = (batch.attention_mask == 1) & ~torch.isin(batch.input_ids, torch.tensor(SPECIAL))
    chance = torch.rand(batch.input_ids.shape, generator=draw)
    masked = may & (chance < PROBABILITY)
    lowest = torch.where(may, chance, 2.0).argmin(1)
    rows = torch.arange(len(lowest))
    masked[rows, lowest] |= may[rows, lowest]
    exponential = torch.empty(int(masked.sum()), words).exponential_(generator=draw)
    return masked, -exponential.clamp_min(1.1754943508222875e-38).log()


class Loop:
    """Teacher, student and generator, with an optimiser for each of the last two.

    Args:
        batches: Of the whole training, whose turns are ``n_g`` and ``n_s`` long.
        n_g: Batches of the generator in a cycle.
        n_s: Batches of the student.
        bf16: Whether forward runs under autocast.
    """

    def __init__(self, batches: int, n_g: int, n_s: int, bf16: bool) -> None:
        self.teacher, self.student = (encoder.model for encoder in encoders())
        self.teacher.requires_grad_(False)
        self.generator = masked_lm()
        self.n_g, self.n_s, self.bf16 = n_g, n_s, bf16
        whole, rest = divmod(batches, n_g + n_s)
        student_steps = whole * n_s + max(rest - n_g, 0)
        used = (student_steps - 1) // n_s * n_g + n_g  # the generator's turns before the student's last step
        self.optimizers = {
            "generator": optimizer_of(self.generator, used),
            "student": optimizer_of(self.student, student_steps),
        }

    def run(self, loader: Any, each: Callable[[], None]) -> list[torch.Tensor]:
        """One epoch; returns each batch's loss, the generator's with its sign turned."""
        self.student.train()
        self.generator.train()
        losses = []
        for step, batch in enumerate(loader):
            player = "generator" if step % (self.n_g + self.n_s) < self.n_g else "student"
            self.student.requires_grad_(player == "student")  # in a max step its weights take no gradient
            with torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext():
                loss = self.loss_of(player, batch, step)
            optimizer, schedule, weights = self.optimizers[player]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            for other, _, _ in self.optimizers.values():
                other.zero_grad()
            schedule.step()
            losses.append(loss.detach())
            each()
        return losses

    def loss_of(self, player: str, batch: Any, step: int) -> torch.Tensor:
        """``-KL(T ‖ S)(x')``, or ``⅓ CE + ⅓ KL(x) + ⅓ KL(x')``."""
        rows, masked = self.one_hot(batch, step)
        ours, theirs = (self.read(model, batch, rows, masked) for model in (self.student, self.teacher))
        if player == "generator":
            return -soft(ours, theirs)
        with torch.no_grad():
            target = self.teacher(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits
        clean = self.student(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits
        return (F.cross_entropy(clean.float(), batch.labels) + soft(clean, target) + soft(ours, theirs)) / 3

    def one_hot(self, batch: Any, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Straight-through Gumbel rows ``(M, V)``, and where they stand."""
        masked, noise = draws(batch, self.generator.config.vocab_size, step)
        ids = batch.input_ids.masked_fill(masked, MASK)
        states = self.generator.bert(ids, batch.attention_mask, batch.token_type_ids)[0]
        logits = self.generator.cls(states[masked]).float()
        logits = logits.index_fill(1, torch.tensor(SPECIAL), torch.finfo(torch.float32).min / 2)
        mixed = (logits + noise).softmax(-1)
        hard = F.one_hot((logits + noise).argmax(-1), mixed.shape[-1]).to(mixed.dtype)
        return hard + (mixed - mixed.detach()), masked

    def read(self, model: Any, batch: Any, rows: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
        """Logits on rows times the model's own embeddings; all tokens are of segment 0 here."""
        table = model.bert.embeddings.word_embeddings
        words = table(batch.input_ids)
        words = words.masked_scatter(masked[..., None], (rows @ table.weight).to(words.dtype))
        return model(inputs_embeds=words, attention_mask=batch.attention_mask).logits  # type: ignore[no-any-return]


def optimizer_of(model: Any, steps: int) -> tuple[Any, Any, list[Any]]:
    """AdamW, its schedule over a player's own steps, and the weights."""
    held = list(model.parameters())
    groups = [
        {"params": [p for p in held if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in held if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=True)
    warm = round(0.1 * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / (warm + 1) if s < warm else max(0.0, (steps - s) / max(steps - warm, 1))
    )
    return optimizer, schedule, held


def run_reference(batches: int, n_g: int, n_s: int, bf16: bool = False, skip: int = 3) -> Timed:
    """Some batches of the hand-written loop.

    Args:
        batches: How many, in one epoch.
        n_g: Batches of the generator in a cycle.
        n_s: Batches of the student.
        bf16: Whether forward runs under autocast.
        skip: Batches that are not timed.
    """
    from torch.utils.data import DataLoader

    from kdlab.data.batching import BucketSampler

    split, clock = Lengths(batches * BATCH), Clock()
    split.teacher_logits = None
    loop = Loop(batches, n_g, n_s, bf16)
    loader = DataLoader(split, batch_sampler=BucketSampler(split.lengths, BATCH, SEED), collate_fn=split.collate)
    losses = loop.run(loader, clock)
    return Timed(clock.rate(skip, [BATCH] * batches), [float(x) for x in losses])


def run_kdlab(method: str, batches: int, n_g: int, n_s: int, folder: Path, bf16: bool = False, skip: int = 3) -> Timed:
    """The same batches through ``fit``, with the teacher's clean logits as the cache would give them.

    Args:
        method: ``mate_kd``, or ``cilda`` with its contrastive term.
        batches: How many, in one epoch.
        n_g: Batches of the generator in a cycle.
        n_s: Batches of the student.
        folder: For checkpoints.
        bf16: Whether forward runs under autocast.
        skip: Batches that are not timed.
    """
    from kdlab.cache import Cache
    from kdlab.console import Reporter
    from kdlab.data.glue import GLUEDataModule
    from kdlab.data.tasks import TASKS
    from kdlab.hardware import Hardware
    from kdlab.inference import predict
    from kdlab.methods import load_method
    from kdlab.methods.settings import TrainingConfig
    from kdlab.models.generator import MaskedLM
    from kdlab.training import fit

    teacher, student = encoders()
    kind = load_method(method)
    module = kind(kind.Config(n_g=n_g, n_s=n_s), student, teacher, TASKS["sst2"])  # type: ignore[call-arg]
    module.take_generator(MaskedLM(masked_lm(), MASK, SPECIAL))
    data = GLUEDataModule(TASKS["sst2"], {}, None, "", 128, BATCH, 128, "dev", SEED, Cache(folder / "cache"))
    split = Lengths(batches * BATCH)
    split.teacher_logits = predict(teacher, split, 128, torch.device("cpu")).logits.numpy()
    data._encoded = {"train": split, "dev": Lengths(16)}
    losses: list[torch.Tensor] = []
    clock, loss_of, end_of = Clock(), module.loss_of, module.on_train_batch_end

    def watched(player: str, batch: Any) -> Any:
        found = loss_of(player, batch)
        losses.append(found.total.detach())
        return found

    def end(outputs: Any, batch: Any, batch_idx: int) -> None:
        end_of(outputs, batch, batch_idx)
        clock()

    module.loss_of, module.on_train_batch_end = watched, end  # type: ignore[method-assign]
    training = TrainingConfig(epochs=1, batch_size=BATCH, learning_rate=RATE)
    hardware = Hardware("cpu", 1, "bf16-mixed" if bf16 else "32-true")
    where = folder / f"{time.time_ns()}"
    fit(module, data, training, hardware, where, SEED, [], Reporter(quiet=True), "student")
    return Timed(clock.rate(skip, [BATCH] * batches), [float(x) for x in losses])


def ratios(rounds: int, folder: Path) -> Iterator[float]:
    """Kdlab's samples/s over the reference's, in a whole cycle of 10 + 100 batches."""
    for number in range(rounds):
        sides = [lambda: run_kdlab("mate_kd", 110, 10, 100, folder).rate, lambda: run_reference(110, 10, 100).rate]
        if number % 2:
            theirs, ours = sides[1](), sides[0]()
        else:
            ours, theirs = sides[0](), sides[1]()
        yield ours / theirs


def main() -> int:
    """Prints the largest difference of losses; 1 where it is above 1e-5."""
    from kdlab.training import quiet_libraries

    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.reference_text", description=__doc__)
    parser.add_argument("--cycle", type=int, default=0, metavar="ROUNDS", help="time whole cycles, so many times")
    arguments = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = run_kdlab("mate_kd", 20, 3, 7, Path(name)).losses, run_reference(20, 3, 7).losses
        worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        print(f"mate_kd: losses {ours[0]:.6f} … {ours[-1]:.4f}, differ by at most {worst:.1e}", flush=True)
        for ratio in ratios(arguments.cycle, Path(name)):
            print(f"mate_kd: kdlab / hand-written loop, samples/s over 10 + 100 batches: {ratio:.2f}", flush=True)
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
