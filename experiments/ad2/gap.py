"""``python -m experiments.ad2.gap``: does AD²'s perturbation change the student's answer?

Trains ``ad2`` with each preset (or with radii given as numbers) and prints, as means over the first epoch, the gap
KL(S(x) ‖ S(x+δ)), that of a random δ of equal norm, their ratio, ‖δ‖ and the ascent's gain. A gap is real from 0.01
nats and ten times the random one on. Words ``key=value`` go to the run.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.program import ended, settings_of, take_settings

FIGURES = ("gap", "gap_random", "delta_norm", "gain")


def first_epoch(history: Path) -> dict[str, float]:
    """Means of the figures over the steps before the first validation."""
    with history.open(encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    end = next(int(row["step"]) for row in rows if row["val/loss"])
    steps = [row for row in rows if row["train/loss"] and int(row["step"]) <= end]
    return {name: sum(float(row[f"train/{name}"]) for row in steps) / len(steps) for name in FIGURES}


def measure(task: str, choice: str, words: dict[str, Any]) -> tuple[dict[str, float], float]:
    """One run.

    Args:
        task: Name of a task.
        choice: ``paper``, ``effective``, or a radius, which is the step's length as well.
        words: Further settings.

    Returns:
        The figures, and the task's first metric on dev.
    """
    from kdlab.errors import KdlabError
    from kdlab.pipeline.run import run
    from kdlab.planning.plan import make_plan

    own = {"ad2.preset": choice} if choice.isalpha() else {"ad2.epsilon": choice, "ad2.step_size": choice}
    fixed = {"method": "ad2", "task": task, "training.log_every": 1, "ad2.measure_random": True}
    settings = {**fixed, **own, **words}
    plan = make_plan(settings)
    if len(plan.seeds) > 1:
        raise KdlabError("seeds: the gap is that of one run; name the student's seed with seed=.")
    (record,) = run(settings)
    split, metric = plan.task.reported_splits[0], plan.task.spec.metrics[0]
    history = plan.folder(plan.seeds[0]) / "history" / "metrics.csv"
    return first_epoch(history), record.student.metrics[split][metric]


def main() -> int:
    """Trains, then prints one table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.ad2.gap", description=__doc__)
    parser.add_argument("--tasks", default="rte,mrpc")
    parser.add_argument("--choices", default="paper,effective", help="presets or radii")
    take_settings(parser)
    arguments = parser.parse_args()
    return ended(lambda: table(arguments.tasks.split(","), arguments.choices.split(","), settings_of(arguments)))


def table(tasks: Sequence[str], choices: Sequence[str], words: dict[str, Any]) -> int:
    """A line for each task and choice."""
    words = {"profile": "embedded", **words}
    lines = ["| task | δ | gap, nats | of a random δ | ratio | mean norm | gain | dev |", "|---" * 8 + "|"]
    for task in tasks:
        for choice in choices:
            found, dev = measure(task, choice, words)
            ratio = found["gap"] / found["gap_random"] if found["gap_random"] > 0 else float("nan")
            shown = f"{found['gap']:.2e} | {found['gap_random']:.2e} | {ratio:.0f} | {found['delta_norm']:.3g}"
            lines.append(f"| {task} | {choice} | {shown} | {found['gain']:.2e} | {dev:.4f} |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
