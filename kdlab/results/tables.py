"""Tables for the terminal: one run, and the mean and standard deviation over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from kdlab.data.selection import METRIC, parse_rule
from kdlab.results.run_record import RunRecord
from kdlab.system.console import Reporter


def show_record(record: RunRecord, reporter: Reporter) -> None:
    """The closing table of a run.

    Args:
        record: The run's figures.
        reporter: Where it is shown.
    """
    splits = record.student.metrics
    columns = [(split, name) for split, values in splits.items() for name in values]
    header = ["", *(f"{split} {name}" for split, name in columns), "parameters", "samples/s"]
    body = []
    for who, model in (("teacher", record.teacher), ("student", record.student)):
        if model is not None:
            values = [f"{model.metrics[split][name]:.4f}" for split, name in columns]
            body.append([who, *values, f"{model.parameters:,}", _speed(model.samples_per_second)])
    if record.retained:
        shares = [record.retained[split].get(name) for split, name in columns]
        body.append(["retained", *("" if share is None else f"{share:.1f} %" for share in shares), "", ""])
    if record.constant:
        body.append(["constant", *(f"{record.constant[split][name]:.4f}" for split, name in columns), "", ""])
    reporter.table(header, body)
    reporter.say(_stamp(record))


def show_seeds(records: Sequence[RunRecord], reporter: Reporter) -> None:
    """Mean ± standard deviation of the student over seeds (n - 1 in the denominator).

    Args:
        records: The figures of each seed.
        reporter: Where it is shown.
    """
    first = records[0]
    seeds = ", ".join(str(record.seed) for record in records)
    reporter.say(f"Student over {len(records)} seeds ({seeds}), teacher seed {first.teacher_seed}:")
    header = ["split", "metric", "mean ± sd", "lowest", "highest", "teacher"]
    body = []
    for split, values in first.student.metrics.items():
        for name in values:
            each = [record.student.metrics[split][name] for record in records]
            mean, sd = mean_and_sd(each)
            teacher = f"{first.teacher.metrics[split][name]:.4f}" if first.teacher else "–"
            body.append([split, name, f"{mean:.4f} ± {sd:.4f}", f"{min(each):.4f}", f"{max(each):.4f}", teacher])
    reporter.table(header, body)
    reporter.say(_stamp(first))


def chosen_words(record: RunRecord) -> str:
    """What chose the checkpoint, in a sentence without its end."""
    chosen, rule = record.selection, parse_rule(record.selection.rule)
    if rule.count:
        return f"Mean of the weights of the last {rule.count} epochs, up to {chosen.epoch}"
    if not rule.chooses:
        return f"Checkpoint of the last epoch, {chosen.epoch}"
    text = f"Checkpoint of epoch {chosen.epoch}, chosen by {rule.words(chosen.metric)} on {chosen.split}"
    if chosen.ties and rule.rule == METRIC:
        others = "another epoch" if chosen.ties == 1 else f"{chosen.ties} other epochs"
        text += f" ({others} had the same {chosen.metric})"
    return text


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is 0 for one value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _speed(samples_per_second: float) -> str:
    return "–" if math.isnan(samples_per_second) else f"{samples_per_second:,.0f}"


def _stamp(record: RunRecord) -> str:
    text = f"{chosen_words(record)}."
    if record.training.metrics:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in record.training.metrics.items())
        text += f" On {record.training.examples:,} rows of train: {figures}."
    if record.source.embedded:
        text += " EMBEDDED CORPUS: not a GLUE figure."
    if record.substituted:
        text += " SUBSTITUTED: " + "; ".join(record.substituted) + "."
    return text
