"""The loops that kdlab is measured against: plain PyTorch, as a careful researcher writes them for one method.

No straw men: fused AdamW, sdpa attention, the same length buckets, the same autocast, nothing logged. Given the same
weights, batches and mixing numbers, the losses of each step equal kdlab's (checked before anything is timed).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F

Loss = Callable[[Any, int], torch.Tensor]


def finetune_loss(student: Any) -> Loss:
    """Cross-entropy."""

    def loss(batch: Any, step: int) -> torch.Tensor:
        out = student(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return F.cross_entropy(out.logits.float(), batch.labels)

    return loss


def kd_loss(student: Any, logits: torch.Tensor, alpha: float = 0.5, t: float = 4.0) -> Loss:
    """Cross-entropy and soft targets from stored logits."""

    def loss(batch: Any, step: int) -> torch.Tensor:
        out = student(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits.float()
        log_p = F.log_softmax(out / t, -1)
        log_q = F.log_softmax(logits[batch.index] / t, -1)
        soft = F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)
        return (1 - alpha) * F.cross_entropy(out, batch.labels) + alpha * t * t * soft

    return loss


def mixkd_loss(student: Any, teacher: Any, seed: int, beta: float = 0.4) -> Loss:
    """MixKD of sentences without segments: word embeddings of both networks mixed by one plan."""

    def mixed(model: Any, batch: Any, lam: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
        words = model.bert.embeddings.word_embeddings(batch.input_ids) * batch.attention_mask[..., None]
        x = lam[:, None, None] * words + (1 - lam)[:, None, None] * words[partner]
        mask = torch.maximum(batch.attention_mask, batch.attention_mask[partner])
        return model(inputs_embeds=x, attention_mask=mask).logits.float()

    def loss(batch: Any, step: int) -> torch.Tensor:
        lam, partner = _plan(len(batch.labels), beta, f"{seed}/train/{step}/{step}")
        total = F.cross_entropy(
            student(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits.float(), batch.labels
        )
        ours = mixed(student, batch, lam, partner)
        with torch.no_grad():
            theirs = mixed(teacher, batch, lam, partner)
        own = F.cross_entropy(ours, batch.labels, reduction="none")
        other = F.cross_entropy(ours, batch.labels[partner], reduction="none")
        return total + (lam * own + (1 - lam) * other).mean() + F.mse_loss(ours, theirs)

    return loss


def _plan(size: int, beta: float, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers that kdlab draws in this step of the first epoch, so that losses can be compared."""
    draw = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))
    gamma = torch._standard_gamma(torch.full((2, size), beta, dtype=torch.float64), generator=draw)
    gamma = gamma.clamp_min(torch.finfo(torch.float64).tiny)
    return (gamma[0] / gamma.sum(0)).float(), torch.randperm(size, generator=draw)


def train(
    student: Any, loss: Loss, batches: Iterable[Any], steps: int, rate: float, bf16: bool, each: Callable[[], None]
) -> list[torch.Tensor]:
    """The loop: forward, backward, clip, step, schedule; returns each step's loss, not waited for.

    Args:
        student: What is trained.
        loss: Of a batch and the number of its step.
        batches: Padded batches.
        steps: Of the whole schedule.
        rate: Peak learning rate.
        bf16: Whether forward runs under autocast.
        each: Called after every step.
    """
    decay = [p for p in student.parameters() if p.ndim >= 2]
    plain = [p for p in student.parameters() if p.ndim < 2]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    warm = round(0.1 * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / (warm + 1) if s < warm else max(0.0, (steps - s) / max(steps - warm, 1))
    )
    student.train()
    losses = []
    for step, batch in enumerate(batches):
        with torch.autocast(student.device.type, torch.bfloat16) if bf16 else nullcontext():
            value = loss(batch, step)
        value.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(value.detach())
        each()
    return losses
