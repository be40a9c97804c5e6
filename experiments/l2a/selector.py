"""``python -m experiments.l2a.selector``: whether L2A's selector learns, and whether that helps.

First a teacher whose answers to half of the candidates are swapped: label for label, at equal confidence, so that its
half of the state alone can't tell which. The selector must find out from the score of the student, and is judged by how
often it keeps candidates with right and with swapped answers in the last epochs. The loss is L_dark alone, and the
student starts as layers of the fine-tuned teacher, for from a student that knows nothing no state tells anything.

Then the teacher as it is: students of a selector beside students of a random choice that keeps as many, seed for seed.
All runs are ordinary records below ``--out``, and what is there is not made again. Words ``key=value`` go to the runs.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from kdlab.data.module import TextDataModule
from kdlab.methods.l2a import L2A, L2AConfig
from kdlab.methods.shared.settings import MethodConfig
from kdlab.types import Batch

LAST = 0.25  # of the steps, over which keep rates are taken
SETTING: dict[str, Any] = {
    "profile": "embedded",
    "accelerator": "cpu",
    "precision": "32",
    "task": "rt",
    "data.target_per_class": 100,
    "training.epochs": 20,
    "student.source": "layers:bottom:2",
}
"""What runs have unless the command line says otherwise."""


@dataclass
class SwappedConfig(L2AConfig):
    """Settings of ``swapped``: those of ``l2a``, and what part of the teacher's answers is swapped."""

    swapped: float = 0.5
    samples: int = 5
    attention_weight: float = 0.0
    hidden_weight: float = 0.0
    selector_learning_rate: float = 3e-3  # the paper's 3e-5 takes a hundred times as many epochs


class Swapped(L2A):
    """L2A with a teacher of two labels that says the other one of some candidates, as sure as it was."""

    name: ClassVar[str] = "swapped"
    Config: ClassVar[type[MethodConfig]] = SwappedConfig
    config: SwappedConfig
    bad: NDArray[np.bool_]

    def begin_epoch(self, epoch: int, data: TextDataModule) -> None:
        """Swaps the answers of a part of the pool, once."""
        first = self.pool is None
        super().begin_epoch(epoch, data)
        if not first or self.pool is None:
            return
        split = data.with_logits(self.pool.split)
        draw = np.random.default_rng(self.context.seed)
        self.bad = draw.permutation(len(split)) < round(self.config.swapped * len(split))
        logits = np.array(split.teacher_logits)
        logits[self.bad] = logits[self.bad][:, ::-1]
        split.teacher_logits = logits

    def _counts(self, batch: Batch, kept: Tensor) -> dict[str, Tensor]:
        whole = batch.whole or batch
        bad = torch.from_numpy(self.bad[whole.index.cpu().numpy()]).to(kept.device)
        parts = {"kept_right": ~bad, "kept_swapped": bad}
        rates = {name: kept[which].float().mean() for name, which in parts.items() if bool(which.any())}
        return super()._counts(batch, kept) | rates


def column(folder: Path, name: str) -> list[float]:
    """A term in the history of a record."""
    with (folder / "history" / "metrics.csv").open(encoding="utf-8", newline="") as f:
        return [float(row[name]) for row in csv.DictReader(f) if row.get(name)]


def last_of(values: Sequence[float]) -> float:
    """The mean of the last of them."""
    return statistics.fmean(values[-max(round(LAST * len(values)), 1) :])


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval by Student's t."""
    from scipy.stats import t

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


def run(settings: dict[str, Any]) -> tuple[Path, float]:
    """The record of a run, made where it is not there, and its student's first metric on the reported split."""
    from kdlab.pipeline.context import RunContext
    from kdlab.pipeline.execute import run_seed
    from kdlab.pipeline.run import open_reporter
    from kdlab.planning.plan import make_plan

    plan = make_plan(settings)
    reporter = open_reporter()
    reporter.quiet = reporter.out.quiet = True
    record = run_seed(RunContext(plan, reporter), plan.seeds[0])
    split = plan.task.reported_splits[0]
    return plan.folder(plan.seeds[0]), record.student.metrics[split][plan.task.spec.monitor]


def swapped(settings: dict[str, Any], seeds: int) -> None:
    """Prints how often right and swapped answers are kept."""
    gaps = []
    for seed in range(seeds):
        folder, score = run({**settings, "method": f"{Path(__file__).resolve()}:Swapped", "seed": seed})
        right, wrong = (last_of(column(folder, f"train/kept_{name}")) for name in ("right", "swapped"))
        gaps.append(right - wrong)
        print(
            f"seed {seed}: keeps {right:.3f} of right answers, {wrong:.3f} of swapped ones; score {score:.4f}",
            flush=True,
        )
    mean, half = interval(gaps)
    print(f"difference {mean:.3f} ± {half:.3f} (95 %, {seeds} seeds)")


def against_chance(settings: dict[str, Any], seeds: int) -> None:
    """Prints what a selector adds to a random choice that keeps as many."""
    from kdlab.studies.verdicts import Pairs, judge

    ours, theirs = [], []
    for seed in range(seeds):
        folder, score = run({**settings, "method": "l2a", "seed": seed})
        rate = round(statistics.fmean(column(folder, "train/kept")), 3)
        _, chance = run({**settings, "method": "l2a", "seed": seed, "l2a.selector": "random", "l2a.keep_rate": rate})
        ours.append(score)
        theirs.append(chance)
        print(f"seed {seed}: keeps {rate:.3f}; selector {score:.4f}, by chance {chance:.4f}", flush=True)
    mean, half = interval([a - b for a, b in zip(ours, theirs, strict=True)])
    print(f"selector less chance: {100 * mean:.2f} ± {100 * half:.2f} points (95 %, {seeds} seeds)")
    columns = (np.array(side)[:, None] for side in (ours, theirs))
    (verdict,) = judge([Pairs(*columns, gold=np.zeros(1), metric="mean")])
    print(f"a selector beats chance: {verdict.answer}, p {verdict.p:.3f}, {verdict.note or 'decided'}")


def main() -> int:
    """Both, or one of them."""
    from kdlab.errors import KdlabError

    parser = argparse.ArgumentParser(prog="python -m experiments.l2a.selector", description=__doc__)
    parser.add_argument("--out", default="runs")
    parser.add_argument("--swapped", type=int, default=5, metavar="N", help="seeds with swapped answers (default: 5)")
    parser.add_argument("--chance", type=int, default=10, metavar="N", help="pairs of seeds by chance (default: 10)")
    parser.add_argument("words", nargs="*", metavar="key=value", help="settings of the runs")
    arguments = parser.parse_args()
    words = {key: yaml.safe_load(text) for key, _, text in (word.partition("=") for word in arguments.words)}
    settings = {**SETTING, "out": arguments.out, **words}
    try:
        own = {key: value for key, value in settings.items() if not key.startswith("l2a.")}
        if arguments.swapped:
            swapped(own, arguments.swapped)
        if arguments.chance:
            others = {key: value for key, value in settings.items() if not key.startswith("swapped.")}
            against_chance(others, arguments.chance)
    except KdlabError as e:
        sys.stderr.write(f"kdlab: error: {e}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
