"""The hand-written loop of MATE-KD, as its public code is built; see ``reference``.

It differs from kdlab's in three things, and in nothing else: the teacher's clean logits are computed in every student
step, generated text enters student steps as one-hot rows times embeddings, and the graph through generator and teacher
is kept in student steps. Masked positions, fused AdamW, sdpa and length buckets are the same on both sides; words are
drawn, and in max steps handed on, by kdlab's own functions, and the vocabulary-sized softmax stands at masked
positions alone on both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F

from experiments.benchmarks.reference_hidden import soft
from kdlab.ops.gumbel import fill_embeddings, first_beyond, sample_words, straight_through

SPECIAL = (0, 100, 101, 102, 103)
MASK, PROBABILITY = 103, 0.3
N_G, N_S = 10, 100  # batches of the generator and of the student in the cycle that is timed
# name: kdlab's method and its settings
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mate_kd": ("mate_kd", {"n_g": N_G, "n_s": N_S}),
    "mate_kd, two cycles": ("mate_kd", {"n_g": 3, "n_s": 7}),  # of 20 batches, whose losses are compared
    "cilda, student steps": ("cilda", {"n_g": 1, "n_s": 10_000}),  # kdlab's alone: the first batch is the generator's
}


def draws(batch: Any, step: int, seed: int, words: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The masked positions and the uniform numbers that kdlab draws in a batch of the first epoch.

    Args:
        batch: On the CPU.
        step: Which batch of the epoch it is, and of the player's.
        seed: Of the run.
        words: Numbers a position, for words with a gradient; None is one.
    """
    from kdlab.methods.shared.randomness import seed_from

    draw = torch.Generator().manual_seed(seed_from(f"{seed}/train/{step}/{step}"))
    may = (batch.attention_mask == 1) & ~torch.isin(batch.input_ids, torch.tensor(SPECIAL))
    chance = torch.rand(batch.input_ids.shape, generator=draw)
    masked = may & (chance < PROBABILITY)
    lowest = torch.where(may, chance, 2.0).argmin(1)
    rows = torch.arange(len(lowest))
    masked[rows, lowest] |= may[rows, lowest]
    count = int(masked.sum())
    return masked, torch.rand((count,) if words is None else (count, words), generator=draw)


class Loop:
    """Teacher, student and generator, with an optimiser for each of the last two.

    Args:
        teacher: A classifier.
        student: A classifier of the same vocabulary.
        generator: A masked LM of the same vocabulary.
        turns: Batches of the generator and of the student in a cycle.
        batches: Of the whole training.
        rate: Peak learning rate of both.
        seed: Of masks and words.
        bf16: Whether forward runs under autocast.
    """

    def __init__(
        self,
        teacher: Any,
        student: Any,
        generator: Any,
        turns: tuple[int, int],
        batches: int,
        rate: float,
        seed: int,
        bf16: bool,
    ) -> None:
        self.teacher, self.student, self.generator = teacher.requires_grad_(False), student, generator
        self.seed, self.bf16 = seed, bf16
        self.n_g, self.n_s = n_g, n_s = turns
        whole, rest = divmod(batches, n_g + n_s)
        student_steps = whole * n_s + max(rest - n_g, 0)
        used = (student_steps - 1) // n_s * n_g + n_g  # the generator's turns before the student's last step
        self.optimizers = {
            "generator": optimizer_of(self.generator, used, rate),
            "student": optimizer_of(self.student, student_steps, rate),
        }

    def run(self, loader: Iterable[Any], each: Callable[[], None]) -> list[torch.Tensor]:
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
        rows, masked = self.one_hot(player, batch, step)
        fill = fill_embeddings if player == "generator" else by_product
        ours, theirs = (self.read(model, batch, rows, masked, fill) for model in (self.student, self.teacher))
        if player == "generator":
            return -soft(ours, theirs)
        with torch.no_grad():
            target = self.teacher(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits
        clean = self.student(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits
        return (F.cross_entropy(clean.float(), batch.labels) + soft(clean, target) + soft(ours, theirs)) / 3

    def one_hot(self, player: str, batch: Any, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Straight-through rows ``(M, V)``, and where they stand: Gumbel's in max steps, drawn by sums in min steps."""
        attacks = player == "generator"
        masked, drawn = draws(batch, step, self.seed, self.generator.config.vocab_size if attacks else None)
        ids = batch.input_ids.masked_fill(masked, MASK)
        states = self.generator.bert(ids, batch.attention_mask, batch.token_type_ids)[0]
        logits = self.generator.cls(states[masked]).float()
        logits = logits.index_fill(1, torch.tensor(SPECIAL), torch.finfo(torch.float32).min / 2)
        if attacks:
            return straight_through(logits, drawn), masked
        mixed = logits.softmax(-1)
        words = first_beyond(mixed.detach(), drawn)
        hard = torch.zeros_like(mixed).scatter_(1, words[:, None], 1.0)
        return hard + (mixed - mixed.detach()), masked

    def read(
        self,
        model: Any,
        batch: Any,
        rows: torch.Tensor,
        masked: torch.Tensor,
        fill: Callable[..., torch.Tensor],
    ) -> torch.Tensor:
        """Logits on words that rows choose of the model's own embeddings; all tokens are of segment 0 here."""
        table = model.bert.embeddings.word_embeddings
        words = fill(table(batch.input_ids), masked, rows, table.weight)
        return model(inputs_embeds=words, attention_mask=batch.attention_mask).logits  # type: ignore[no-any-return]


def by_product(embeddings: torch.Tensor, masked: torch.Tensor, rows: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Embeddings with rows times the table at masked positions."""
    return embeddings.masked_scatter(masked[..., None], (rows @ table).to(embeddings.dtype))


def optimizer_of(model: Any, steps: int, rate: float) -> tuple[Any, Any, list[Any]]:
    """AdamW, its schedule over a player's own steps, and the weights."""
    held = list(model.parameters())
    groups = [
        {"params": [p for p in held if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in held if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    warm = round(0.1 * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / (warm + 1) if s < warm else max(0.0, (steps - s) / max(steps - warm, 1))
    )
    return optimizer, schedule, held


def time_forwards(teacher: Any, generator: Any, loader: Iterable[Any], seed: int, bf16: bool, skip: int) -> float:
    """What one forward pass of the generator and one of the teacher on what it wrote take, without a graph.

    Args:
        teacher: A classifier.
        generator: A masked LM of the same vocabulary.
        loader: Batches.
        seed: Of masks and words.
        bf16: Whether forward runs under autocast.
        skip: Batches that are not timed.

    Returns:
        Milliseconds a batch.
    """
    took = []
    for step, batch in enumerate(loader):
        masked, drawn = draws(batch, step, seed)
        start = time.perf_counter()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            ids = batch.input_ids.masked_fill(masked, MASK)
            states = generator.bert(ids, batch.attention_mask, batch.token_type_ids)[0]
            words = sample_words(generator.cls(states[masked]), drawn)
            made = batch.input_ids.masked_scatter(masked, words)
            teacher(made, batch.attention_mask, batch.token_type_ids)
        took.append(time.perf_counter() - start)
    return 1000 * sum(took[skip + 1 :]) / len(took[skip + 1 :])
