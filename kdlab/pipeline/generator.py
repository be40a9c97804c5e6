"""The masked LM of a plan: loaded, or given a head on the task's own text once and kept in the cache."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F

from kdlab.data.batches import BucketSampler, EncodedSplit
from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.methods.shared.players import adamw, linear_warmup_decay
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.generator import MaskedLM, load_masked_lm
from kdlab.ops.gumbel import draw_mask
from kdlab.planning.generator import BATCH, MASKED, RATE, GeneratorPlan
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.files import writing
from kdlab.system.hardware import Hardware
from kdlab.types import Batch

LABELS = "labels.pt"
"""File of a masked LM's vectors for labels, ``(K, D)``."""


def obtain_generator(
    plan: GeneratorPlan, data: TextDataModule, hardware: Hardware, cache: Cache, reporter: Reporter
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

    text = data.split(TRAIN)  # by every process: what follows happens on rank 0 alone

    def build(folder: Path) -> None:
        made = load_masked_lm(plan.checkpoint, plan.seed)
        reporter.say(f"Training a masked-LM head for {plan.checkpoint.source}, {plan.head_steps} steps of {BATCH}.")
        train_head(made, text, plan.head_steps, plan.seed, hardware.device, reporter)
        with writing(folder):
            made.to("cpu").model.save_pretrained(folder)
            plan.checkpoint.tokenizer.save_pretrained(folder)

    def load(folder: Path) -> MaskedLM:
        return load_masked_lm(Checkpoint(folder, plan.checkpoint.source), plan.seed)

    about = {"task": data.task.name, "from": plan.checkpoint.source, "steps": plan.head_steps}
    return cache.get_or_make("generator", plan.key, build, about, load=load)


def obtain_labelled(
    plan: GeneratorPlan,
    key: str,
    steps: int,
    data: TextDataModule,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
) -> Path:
    """The folder of a masked LM that learned what words each label of the task goes with, trained once.

    Args:
        plan: The masked LM that it starts from.
        key: Fingerprint of what results.
        steps: How long it learns.
        data: The task's data, as this masked LM's tokenizer reads it.
        hardware: Where it is trained.
        cache: Where it is kept.
        reporter: Shows progress.
    """
    start = obtain_generator(plan, data, hardware, cache, reporter)
    text = data.split(TRAIN)

    def build(folder: Path) -> None:
        start.tell_labels(len(data.task.labels))
        reporter.say(f"Telling {plan.checkpoint.source} the labels of {data.task.name}, {steps} steps of {BATCH}.")
        train_head(start, text, steps, plan.seed, hardware.device, reporter)
        with writing(folder):
            start.to("cpu").model.save_pretrained(folder)
            plan.checkpoint.tokenizer.save_pretrained(folder)
            if start.labels is not None:
                torch.save(start.labels.weight.detach().clone(), folder / LABELS)

    about = {"task": data.task.name, "from": plan.checkpoint.source, "labels": len(data.task.labels), "steps": steps}
    return cache.get_or_make("generator", key, build, about)


def train_head(
    generator: MaskedLM, text: EncodedSplit, steps: int, seed: int, device: torch.device, reporter: Reporter
) -> None:
    """Masked language modelling on a split's text, all weights, in float32; the random state is left as it was.

    Args:
        generator: Trained where it stands, on the device.
        text: N tokenised examples, whose labels play no part unless the generator was told labels.
        steps: How many.
        seed: Draws order, masks and dropout.
        device: Where.
        reporter: Hears of it every tenth of the steps.

    Raises:
        KdlabError: The loss is NaN or infinite at one of these tenths.
    """
    generator.to(device).train()
    optimizer = adamw(generator.parameters(), RATE, 0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, linear_warmup_decay(steps, 0.1))
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step, batch in enumerate(itertools.islice(_batches(text, seed), steps), 1):
            here = batch.to(device)
            masked = draw_mask(here.input_ids, here.attention_mask, generator.special, MASKED, draw)
            labels = None if generator.labels is None else here.labels
            logits = generator(here.input_ids, here.attention_mask, here.token_type_ids, masked, labels)  # (M, V)
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
