"""What the shared loop costs by itself: the Python time of a method's hooks, without passes and optimiser steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

LARGEST = 1.5  # ms a step
CASES = ("kd", "mate_kd")  # one player, and two that are stepped by hand


def measure_hooks(folder: Path, steps: int = 220) -> dict[str, float]:
    """Milliseconds a step that the hooks of the base take, by case: one player, and two that take turns.

    Args:
        folder: For checkpoints.
        steps: How many; the history is written every 20.
    """
    return {case: _measure(case, steps, folder) for case in CASES}


def _measure(case: str, steps: int, folder: Path) -> float:
    import torch
    from lightning.pytorch.core.optimizer import LightningOptimizer

    from experiments.benchmarks.world import run_kdlab
    from kdlab.methods.base import DistillModule
    from kdlab.methods.shared.terms import StepTerms
    from kdlab.training.checkpoints import Checkpoints

    clock = _Nested()
    with ExitStack() as stack:
        for owner, name in (
            (DistillModule, "on_train_batch_start"),
            (DistillModule, "on_train_batch_end"),
            (DistillModule, "step"),
            (StepTerms, "record"),
        ):
            stack.enter_context(_timed(owner, name, clock, inside=True))
        for owner, name in (
            (DistillModule, "manual_backward"),
            (LightningOptimizer, "step"),
            (torch.optim.Optimizer, "zero_grad"),  # gives the gradients' memory back
            (Checkpoints, "after_step"),  # copies the state
        ):
            stack.enter_context(_timed(owner, name, clock, inside=False))
        run_kdlab(case, steps, False, folder)
    return 1000 * clock.seconds / steps


class _Nested:
    """Adds up the time inside hooks, less what is left out inside them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.counting: list[bool] = []
        self.since = 0.0

    def enter(self, counts: bool) -> None:
        self._add()
        self.counting.append(counts)

    def leave(self) -> None:
        self._add()
        self.counting.pop()

    def _add(self) -> None:
        now = time.perf_counter()
        if self.counting and self.counting[-1]:
            self.seconds += now - self.since
        self.since = now


@contextmanager
def _timed(owner: Any, name: str, clock: _Nested, inside: bool) -> Iterator[None]:
    whole = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        clock.enter(inside)
        try:
            return whole(*arguments, **named)
        finally:
            clock.leave()

    with mock.patch.object(owner, name, wrapped):
        yield
