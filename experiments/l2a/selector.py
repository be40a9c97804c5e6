"""``python -m experiments.l2a.selector``: whether L2A's selector learns, and whether that helps.

First a teacher whose answers to half of the candidates are swapped: label for label, at equal confidence, so that its
half of the state alone can't tell which. The selector must find out from the score of the student, and is judged by how
often it keeps candidates with right and with swapped answers in the last epochs. The loss is L_dark alone.

What is made for it, so that there is something to find out: the student is the fine-tuned teacher with its logits made
smaller, which is right and unsure, for from a student that knows nothing no state tells anything, and one that is sure
already gets no better by right answers; it hardly moves, its optimiser has no momentum and its learning rate stays, so
that a step's reward is of this step; the reward is the fall of the loss, which moves where no answer tips over.

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
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from experiments.program import ended, settings_of, take_settings
from kdlab.data.module import TextDataModule
from kdlab.methods.base import PhaseContext
from kdlab.methods.l2a import L2A, L2AConfig
from kdlab.methods.l2a_settings import LOSS
from kdlab.methods.shared.players import STUDENT
from kdlab.methods.shared.settings import MethodConfig
from kdlab.types import Batch

LAST = 0.25  # of the steps, over which keep rates are taken
SETTING: dict[str, Any] = {
    "profile": "embedded",
    "accelerator": "cpu",
    "precision": "32",
    "task": "rt",
}
"""What runs have unless the command line says otherwise."""
WITH_SWAPPED: dict[str, Any] = {
    "training.epochs": 10,
    "training.batch_size": 16,
    "training.learning_rate": 1e-7,
    "student.source": "layers:bottom:4",  # all of the embedded teacher
}
WITH_CHANCE: dict[str, Any] = {
    "data.target_per_class": 100,
    "training.epochs": 20,
    "student.source": "layers:bottom:2",
}


@dataclass
class SwappedConfig(L2AConfig):
    """Settings of ``swapped``: those of ``l2a``, and what is made for it.

    Attributes:
        swapped: Part of the candidates whose answers by the teacher are swapped.
        unsure: What the student's logits are multiplied by at first.
    """

    swapped: float = 0.5
    unsure: float = 0.3
    samples: int = 1
    attention_weight: float = 0.0
    hidden_weight: float = 0.0
    reward_by: str = LOSS
    discount: float = 0.0
    selector_learning_rate: float = 6e-4  # the paper's 3e-5 takes twenty times as many epochs


class Swapped(L2A):
    """L2A with a teacher of two labels that says the other one of some candidates, as sure as it was."""

    name: ClassVar[str] = "swapped"
    Config: ClassVar[type[MethodConfig]] = SwappedConfig
    config: SwappedConfig
    bad: NDArray[np.bool_]

    def begin_phase(self, context: PhaseContext) -> None:
        """Makes the student's logits smaller."""
        super().begin_phase(context)
        head = self.student.model.get_submodule("classifier")
        with torch.no_grad():
            for weight in head.parameters():
                weight.mul_(self.config.unsure)

    def optimizer_of(self, player: str, parameters: list[Parameter]) -> Optimizer:
        """The student's has no momentum."""
        optimizer = super().optimizer_of(player, parameters)
        if player == STUDENT:
            for group in optimizer.param_groups:
                group["betas"] = (0.0, group["betas"][1])
        return optimizer

    def schedule_of(self, player: str, optimizer: Optimizer, steps: int) -> LRScheduler | None:
        """No learning rate falls."""
        return None

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
    gaps, purities = [], []
    for seed in range(seeds):
        folder, _ = run({**settings, "method": f"{Path(__file__).resolve()}:Swapped", "seed": seed})
        right, wrong = (last_of(column(folder, f"train/kept_{name}")) for name in ("right", "swapped"))
        gaps.append(right - wrong)
        purities.append(right / max(right + wrong, 1e-9))
        print(
            f"seed {seed}: keeps {right:.3f} of right answers, {wrong:.3f} of swapped ones; of equally many of both "
            f"{100 * purities[-1]:.0f} % of the kept would be right",
            flush=True,
        )
    mean, half = interval(gaps)
    print(f"difference {mean:.3f} ± {half:.3f} (95 %, {seeds} seeds)")
    mean, half = interval(purities)
    print(f"right among the kept: {100 * mean:.0f} ± {100 * half:.0f} %")


def against_chance(settings: dict[str, Any], seeds: int) -> None:
    """Prints what a selector adds to a random choice that keeps as many."""
    from kdlab.studies.pairs import Pairs
    from kdlab.studies.verdicts import judge

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
    note = f", {verdict.note}" if verdict.note else ""
    print(f"a selector beats chance: {verdict.answer}, p {verdict.p:.3f}{note}")


def main() -> int:
    """Both, or one of them."""
    parser = argparse.ArgumentParser(prog="python -m experiments.l2a.selector", description=__doc__)
    parser.add_argument("--out", default="runs")
    parser.add_argument("--swapped", type=int, default=5, metavar="N", help="seeds with swapped answers (default: 5)")
    parser.add_argument("--chance", type=int, default=10, metavar="N", help="pairs of seeds by chance (default: 10)")
    take_settings(parser)
    arguments = parser.parse_args()
    return ended(lambda: measure(arguments))


def measure(arguments: argparse.Namespace) -> int:
    """What was asked for; words of the one part's method don't go to the other."""
    settings = {**SETTING, "out": arguments.out, **settings_of(arguments)}
    if arguments.swapped:
        own = {key: value for key, value in settings.items() if not key.startswith("l2a.")}
        swapped({**WITH_SWAPPED, **own}, arguments.swapped)
    if arguments.chance:
        others = {key: value for key, value in settings.items() if not key.startswith("swapped.")}
        against_chance({**WITH_CHANCE, **others}, arguments.chance)
    return 0


if __name__ == "__main__":
    sys.exit(main())
