"""Tables for people: one run, and the mean and standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from kdlab.system.console import Reporter


def show_record(metrics: dict[str, Any], reporter: Reporter) -> None:
    """The closing table of a run.

    Args:
        metrics: What ``metrics.json`` holds.
        reporter: Where it is shown.
    """
    splits: dict[str, dict[str, float]] = metrics["student"]["metrics"]
    columns = [(split, name) for split, values in splits.items() for name in values]
    header = ["", *(f"{split} {name}" for split, name in columns), "parameters", "samples/s"]
    body = []
    for who in ("teacher", "student"):
        if metrics[who] is not None:
            values = [f"{metrics[who]['metrics'][split][name]:.4f}" for split, name in columns]
            body.append([who, *values, f"{metrics[who]['parameters']:,}", f"{metrics[who]['samples_per_second']:,.0f}"])
    if metrics["retained"]:
        shown = [
            f"{metrics['retained'][split][name]:.1f} %" if name in metrics["retained"][split] else ""
            for split, name in columns
        ]
        body.append(["retained", *shown, "", ""])
    if "constant" in metrics:  # older records have none
        body.append(["constant", *(f"{metrics['constant'][split][name]:.4f}" for split, name in columns), "", ""])
    reporter.table(header, body)
    reporter.say(_stamp(metrics))


def show_seeds(records: Sequence[dict[str, Any]], reporter: Reporter) -> None:
    """Mean ± standard deviation of the student over seeds (n - 1 in the denominator).

    Args:
        records: ``metrics.json`` of each seed.
        reporter: Where it is shown.
    """
    used = ", ".join(str(r["seed"]) for r in records)
    reporter.say(f"Student over {len(records)} seeds ({used}), teacher seed {records[0]['teacher_seed']}:")
    header = ["split", "metric", "mean ± sd", "lowest", "highest", "teacher"]
    body = []
    for split, values in records[0]["student"]["metrics"].items():
        for name in values:
            mean, sd = mean_and_sd([r["student"]["metrics"][split][name] for r in records])
            each = [r["student"]["metrics"][split][name] for r in records]
            teacher = records[0]["teacher"]
            shown = f"{teacher['metrics'][split][name]:.4f}" if teacher else "–"
            body.append([split, name, f"{mean:.4f} ± {sd:.4f}", f"{min(each):.4f}", f"{max(each):.4f}", shown])
    reporter.table(header, body)
    reporter.say(_stamp(records[0]))


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is 0 for one value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _stamp(metrics: dict[str, Any]) -> str:
    chosen = metrics["selection"]
    text = f"Checkpoint of epoch {chosen['epoch']}, chosen by {chosen['metric']} on {chosen['split']}."
    if metrics["source"]["embedded"]:
        text += " EMBEDDED CORPUS: not a GLUE figure."
    if metrics["substituted"]:
        text += " SUBSTITUTED: " + "; ".join(metrics["substituted"]) + "."
    return text
