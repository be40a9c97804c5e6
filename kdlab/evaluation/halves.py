"""Forward passes without gradients by two threads, each on half of the cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")
Answer = TypeVar("Answer")


def shares_cores(device: torch.device) -> bool:
    """Whether two threads are of use: on several cores, and not under autocast, which each thread has for itself."""
    return device.type == "cpu" and torch.get_num_threads() > 1 and not torch.is_autocast_enabled("cpu")


def in_halves(answer: Callable[[Part], Answer], parts: Iterable[Part]) -> list[Answer]:
    """What ``answer`` gives for each part, in their order.

    Two small matrix products, each on half of the cores, take less time than one after the other on all of them
    (docs/speed.md).

    Args:
        answer: Called by two threads, without gradients.
        parts: What it is given.
    """
    threads = torch.get_num_threads()

    def share() -> None:
        torch.set_num_threads(threads // 2)

    def alone(part: Part) -> Answer:
        with torch.no_grad():
            return answer(part)

    try:
        with ThreadPoolExecutor(2, initializer=share) as pool:
            return list(pool.map(alone, parts))
    finally:
        torch.set_num_threads(threads)
