"""Random numbers that are a function of where a training stands, whatever ran before."""

from __future__ import annotations

import hashlib

import torch


def seed_from(text: str) -> int:
    """A seed from words."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def seed_step(text: str, rank: int, device: torch.device) -> torch.Generator:
    """Seeds what draws on a device and on the CPU, each process for itself.

    ``torch.manual_seed`` asks every kind of device there is, at 1 ms a call.

    Args:
        text: Where the training stands: seed, phase, step.
        rank: This process's number.
        device: Where the training computes.

    Returns:
        A generator that draws the same in every process.
    """
    own = seed_from(f"{text}/{rank}")
    torch.default_generator.manual_seed(own)
    if device.type == "cuda":
        torch.cuda.manual_seed(own)
    return torch.Generator().manual_seed(seed_from(text))
