"""The benchmarks' own side of each comparison trains: what they hand to ``fit`` is what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.benchmarks.l2a import time_epoch
from experiments.benchmarks.world import CASES, Setting, train_case
from kdlab.system.hardware import Hardware

STEPS = 12  # a turn of the generator and one of the student
SMALL = Setting(Hardware("cpu", 1, "32-true"), batch=4, width=64, layers=4, length=12)


@pytest.mark.parametrize("case", CASES)
def test_a_case_trains(case: str, tmp_path: Path):
    steps: list[None] = []
    losses = train_case(case, STEPS, SMALL, tmp_path, lambda: steps.append(None))
    assert len(steps) == STEPS
    assert len(losses) >= STEPS
    assert all(loss.isfinite() for loss in losses)


@pytest.mark.full
def test_an_epoch_of_l2a_trains(tmp_path: Path):
    seconds, scoring = time_epoch(1, False, tmp_path)
    assert 0 < scoring < seconds
