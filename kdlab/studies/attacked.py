"""What is recorded of the attacks on a run's student: figures with intervals, and what became of each example."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.attacks.attempt import FAILED, SKIPPED, SUCCEEDED
from kdlab.attacks.outcome import Outcome
from kdlab.evaluation.metrics import wilson
from kdlab.pipeline.victims import ATTACKS, STUDENT
from kdlab.results.attacks import FIGURES, read_attacks, read_rows
from kdlab.studies.columns import ACCURACY, AUA, DROP, QUERIES, SUCCESS, WORDS, Column
from kdlab.system.foreign import door

_ADVICE = "remove it, and the attacks are shown again"
_SHARES = {ACCURACY: "accuracy", AUA: "under_attack", SUCCESS: "success"}
_MEANS = {WORDS: "words_changed", QUERIES: "queries"}


def attack_figure(column: Column, run: Path, who: str = STUDENT) -> float | None:
    """A figure of attacks, as a fraction or in its own unit; the mean where the column is about several recipes.

    Args:
        column: Which.
        run: The run's folder.
        who: ``student`` or ``teacher``.

    Returns:
        None where a recipe has not attacked, or has nothing to say: words changed where nothing succeeded.

    Raises:
        KdlabError: The record can't be read.
    """
    folder = run / ATTACKS / who
    recorded = read_attacks(folder)
    with door(folder / FIGURES, _ADVICE):
        each = [_figure(column.metric, recorded.get(recipe, {}).get("figures")) for recipe in column.recipes]
    known = [value for value in each if value is not None]
    return statistics.fmean(known) if known and len(known) == len(each) else None


def attack_interval(column: Column, run: Path, who: str = STUDENT) -> tuple[float, float] | None:
    """The 95 % interval (Wilson) of a share of examples by one recipe; None for what is none, or is not there.

    Args:
        column: Which share.
        run: The run's folder.
        who: ``student`` or ``teacher``.

    Raises:
        KdlabError: The record can't be read.
    """
    if len(column.recipes) != 1 or column.metric not in (*_SHARES, DROP):
        return None
    folder = run / ATTACKS / who
    entry = read_attacks(folder).get(column.recipes[0])
    if entry is None:
        return None
    with door(folder / FIGURES, _ADVICE):
        found = entry["figures"]
        part = found[_SHARES.get(column.metric, "success")]
        count, of = int(part["count"]), int((found["accuracy"] if column.metric == DROP else part)["of"])
        return wilson(count, of) if of else None


def _figure(metric: str, figures: dict[str, Any] | None) -> float | None:
    if figures is None:
        return None
    if metric in _MEANS:
        value = figures[_MEANS[metric]]
    elif metric == DROP:
        right, under = (figures[name]["value"] for name in ("accuracy", "under_attack"))
        value = None if None in (right, under) else right - under
    else:
        value = figures[_SHARES[metric]]["value"]
    return None if value is None else float(value)


def read_attacked(run: Path, column: Column) -> tuple[list[Any], NDArray[np.float64]]:
    """What attacks on a run's student made of each example.

    Args:
        run: The run's folder.
        column: Which figure; the mean over recipes where it is about several.

    Returns:
        What tells the examples apart, and the figure of each, ``(N,)``; NaN where an example has none: its label was
        wrong from the start, or for words changed no attack succeeded.

    Raises:
        KdlabError: The attacks are not there, can't be read, or are on different examples.
    """
    folder = run / ATTACKS / STUDENT
    rows = [read_rows(folder, recipe) for recipe in column.recipes]
    examples = [[(one.id, one.texts) for one in each] for each in rows]
    with door(folder, "run the study again"):
        if any(each != examples[0] for each in examples):
            raise ValueError("its recipes have attacked different examples")
    figures = np.array([[_of_example(column.metric, one) for one in each] for each in rows], dtype=float)
    return examples[0], figures.mean(0)


def _of_example(metric: str, one: Outcome) -> float:
    nothing = float("nan")
    if metric == WORDS:
        return 100 * len(one.changed) / max(one.words, 1) if one.status == SUCCEEDED else nothing
    if metric == QUERIES:
        return nothing if one.status == SKIPPED else float(one.queries)
    if metric == SUCCESS:
        return nothing if one.status == SKIPPED else float(one.status == SUCCEEDED)
    return float({ACCURACY: one.status != SKIPPED, AUA: one.status == FAILED, DROP: one.status == SUCCEEDED}[metric])
