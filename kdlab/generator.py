"""The masked LM that a method asked for: found, or given a head on the task's own text once, and kept in the cache."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from kdlab.data.batches import BucketSampler, EncodedSplit
from kdlab.data.module import GLUEDataModule
from kdlab.data.sources import TaskData
from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.methods.shared.players import adamw, rise_and_fall
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.encoder import usable_positions
from kdlab.models.generator import MaskedLM, check_mask_token, has_mlm_head, load_masked_lm
from kdlab.models.vocabulary import check_one_vocabulary
from kdlab.ops.gumbel import draw_mask
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.files import fingerprint
from kdlab.system.hardware import Hardware
from kdlab.types import Batch, GeneratorWish

_FORMAT = 1  # raised when heads are made in another way
BATCH, RATE, MASKED = 32, 1e-4, 0.15
"""How a head is trained: texts a step, peak learning rate of all weights, part of the tokens that is masked."""


@dataclass(frozen=True)
class GeneratorPlan:
    """What will be done for a generator.

    Attributes:
        checkpoint: Where its weights start.
        key: Fingerprint of the generator that results.
        head_steps: Steps in which its head is trained; 0 where it comes with one.
        seed: Draws a new head, masks and order.
    """

    checkpoint: Checkpoint
    key: str
    head_steps: int
    seed: int

    @property
    def substituted(self) -> tuple[str, ...]:
        """What stands in for a pretrained head, in a sentence."""
        if not self.head_steps:
            return ()
        return (
            f"{self.checkpoint.source} comes without a masked-LM head, so the generator's is trained on the task's own "
            f"text for {self.head_steps} steps of {BATCH}: its words are worse than a pretrained masked LM's",
        )

    def describe(self) -> str:
        """As the plan says it."""
        head = f"its head trained for {self.head_steps} steps" if self.head_steps else "with its masked-LM head"
        return f"{self.checkpoint.source}, {head}, fingerprint {self.key[:12]}"

    def about(self) -> dict[str, Any]:
        """As the record says it."""
        return {"source": self.checkpoint.source, "head_steps": self.head_steps, "fingerprint": self.key}


def plan_generator(
    wish: GeneratorWish,
    asked: Checkpoint | None,
    near: Sequence[Checkpoint],
    task: TaskData,
    max_length: int,
    seed: int,
) -> GeneratorPlan:
    """Chooses the generator's checkpoint.

    Args:
        wish: What the method says of it.
        asked: The checkpoint that the user named.
        near: The student's and the teacher's, in this order: without ``asked`` the first that has a masked-LM head, or
            else the first.
        task: On whose text a head would be trained.
        max_length: Longest input in tokens.
        seed: The teacher's own, so that student seeds share a generator.

    Raises:
        KdlabError: Its vocabulary is not the teacher's, or it has too few positions or no mask token.
    """
    chosen = asked or next((c for c in near if has_mlm_head(c)), near[0])
    why = "the generator writes the ids that the teacher reads, so take one of the teacher's family"
    check_one_vocabulary((wish.key, chosen), ("the teacher", near[-1]), why)
    check_mask_token(chosen)
    rows = {c.source: int(c.config.vocab_size) for c in (chosen, *near)}
    if len(set(rows.values())) > 1:
        shown = ", ".join(f"{n} in {source}" for source, n in rows.items())
        raise KdlabError(
            f"{wish.key}: generator, student and teacher have embeddings of different numbers of words ({shown}), and "
            "one choice of words must fit all: take checkpoints with one number."
        )
    if usable_positions(chosen.config) < max_length:
        raise KdlabError(
            f"{wish.key} {chosen.source} has positions for {usable_positions(chosen.config)} tokens, but inputs have "
            f"up to {max_length}: set data.max_length, or take another generator."
        )
    if has_mlm_head(chosen):
        return GeneratorPlan(chosen, fingerprint("as is", chosen.weights_fingerprint), 0, seed)
    key = fingerprint(
        "generator",
        _FORMAT,
        chosen.weights_fingerprint,
        chosen.tokenizer_fingerprint,
        task.training_fingerprint,
        [wish.head_steps, BATCH, RATE, MASKED, seed, max_length],
    )
    return GeneratorPlan(chosen, key, wish.head_steps, seed)


def obtain_generator(
    plan: GeneratorPlan, data: GLUEDataModule, hardware: Hardware, cache: Cache, reporter: Reporter
) -> MaskedLM:
    """The generator, its head trained first where it has none and the cache has no such generator either.

    Args:
        plan: From ``plan_generator``.
        data: The task's data.
        hardware: Where a head is trained; rank 0 does it alone.
        cache: Where it is kept.
        reporter: Shows progress.
    """
    if not plan.head_steps:
        return load_masked_lm(plan.checkpoint, plan.seed)

    def build(folder: Path) -> None:
        made = load_masked_lm(plan.checkpoint, plan.seed)
        reporter.say(f"Training a masked-LM head for {plan.checkpoint.source}, {plan.head_steps} steps of {BATCH}.")
        train_head(made, data.split(TRAIN), plan.head_steps, plan.seed, hardware.device, reporter)
        made.to("cpu").model.save_pretrained(folder)
        plan.checkpoint.tokenizer.save_pretrained(folder)

    about = {"task": data.task.name, "from": plan.checkpoint.source, "steps": plan.head_steps}
    folder = cache.get_or_make("generator", plan.key, build, about)
    return load_masked_lm(Checkpoint(folder, plan.checkpoint.source), plan.seed)


def train_head(
    generator: MaskedLM, text: EncodedSplit, steps: int, seed: int, device: torch.device, reporter: Reporter
) -> None:
    """Masked language modelling on a split's text, all weights, in float32; the random state is left as it was.

    Args:
        generator: Trained where it stands, on the device.
        text: N tokenised examples, whose labels play no part.
        steps: How many.
        seed: Draws order, masks and dropout.
        device: Where.
        reporter: Hears of it every tenth of the steps.

    Raises:
        KdlabError: The loss is NaN or infinite at one of these tenths.
    """
    generator.to(device).train()
    optimizer = adamw(generator.parameters(), RATE, 0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rise_and_fall(steps, 0.1))
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step, batch in enumerate(itertools.islice(_batches(text, seed), steps), 1):
            here = batch.to(device)
            masked = draw_mask(here.input_ids, here.attention_mask, generator.special, MASKED, draw)
            logits = generator(here.input_ids, here.attention_mask, here.token_type_ids, masked)  # (M, V)
            # where no token can be masked the sum is 0, and so is its gradient
            loss = F.cross_entropy(logits, here.input_ids[masked], reduction="sum") / max(len(logits), 1)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if step % max(steps // 10, 1) == 0 or step == steps:
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise KdlabError(
                        f"The masked-LM loss of the generator's head is {value} at step {step}: its weights are no "
                        "good to start from, so give another generator; nothing of it was kept."
                    )
                reporter.say(f"  generator: step {step}/{steps}, masked-LM loss {value:.4f}")


def _batches(text: EncodedSplit, seed: int) -> Iterator[Batch]:
    """Batches of epoch after epoch, the same for every process."""
    sampler = BucketSampler(text.lengths, BATCH, seed)
    for epoch in itertools.count():
        sampler.set_epoch(epoch)
        for positions in sampler:
            yield text.collate(positions)
