"""The benchmarks' own side of each comparison trains: what they hand to ``fit`` is what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.benchmarks import attacks
from experiments.benchmarks.l2a import time_epoch, time_loss
from experiments.benchmarks.whole import time_by_hand, time_kdlab
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


def test_an_epoch_of_l2a_trains(tmp_path: Path):
    seconds, scoring = time_epoch(1, False, tmp_path)
    assert 0 < scoring < seconds
    assert time_loss(1, False) > 0


def test_a_whole_training_ends(tmp_path: Path):
    assert time_kdlab(1, False, tmp_path) > 0
    assert time_by_hand(1, False) > 0


@pytest.mark.parametrize("recipe", attacks.EXAMPLES)
def test_an_attack_runs_as_its_bare_passes_do(recipe: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(attacks.EXAMPLES, recipe, 2)
    asked = attacks.Asked()
    ran = attacks.run_engine(recipe, asked=asked)
    assert 0 < ran.passes < 1
    assert attacks.run_bare(recipe, asked) > 0
