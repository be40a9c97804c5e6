"""How far students are from their teachers, by method: a table, and a picture like CILDA's figure 2.

A run is a folder that ``kdlab run`` wrote; runs that differ only in the seed are averaged. The figures come from its
record; for older records, which have none, they are computed from the predictions on dev.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from kdlab.data.tasks import DEV, TEST
from kdlab.errors import KdlabError, nearest
from kdlab.evaluation.metrics import divergence
from kdlab.reports.pictures import grouped_bars
from kdlab.results.run_record import METRICS, RunRecord, Scores
from kdlab.system.foreign import door, read_text
from kdlab.system.shown import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = {"kl": "mean KL(teacher ‖ student), nats", "mse": "mean squared difference of logits"}


@dataclass(frozen=True)
class Row:
    """One method on one split of one task, over seeds.

    Attributes:
        task: Task and split, as they are shown.
        method: The method, with part of a fingerprint where its runs differ in more than the seed.
        seeds: The student seeds.
        values: Measure to one value per seed; regression tasks have no KL.
        embedded: Whether the data is the embedded corpus.
    """

    task: str
    method: str
    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    embedded: bool


def check_measure(name: str) -> None:
    """Raises ``KdlabError`` where there is no such measure."""
    if name not in MEASURES:
        raise nearest(name, MEASURES, "measure")


def divergence_of(record: RunRecord, folder: Path) -> Scores:
    """The divergence of a run on each reported split; empty without a teacher.

    Args:
        record: The run's figures.
        folder: The run's folder, with the predictions from which an older record's divergence is computed.

    Raises:
        KdlabError: The predictions can't be read.
    """
    if record.teacher is None:
        return {}
    if record.divergence is not None:
        return record.divergence
    return {split: _of_predictions(folder, split) for split in record.student.metrics}


def _of_predictions(folder: Path, split: str) -> dict[str, float]:
    """From the logits of student and teacher on a split."""
    path = folder / "predictions" / f"{split}.jsonl"
    text = read_text(path)
    with door(path, "leave its run out, or run it again with --fresh"):
        lines = [json.loads(line) for line in text.splitlines()]
        ours, theirs = (torch.tensor([line[f"{who}_logits"] for line in lines]) for who in ("student", "teacher"))
        if ours.shape != theirs.shape or ours.ndim != 2 or not len(lines):
            raise ValueError("its logits are not those of one task")
        return divergence(ours, theirs, regression=ours.shape[1] == 1)


def collect(folders: Sequence[Path], say: Callable[[str], None]) -> list[Row]:
    """The rows of all runs that have a teacher, tasks and methods in the order in which they occur.

    Args:
        folders: Folders of runs; one that is unfinished, or repeats a seed of an experiment, is left out.
        say: Called with a sentence for each one that is left out.

    Raises:
        KdlabError: None is a finished run with a teacher.
    """
    groups: dict[tuple[str, str, bool], dict[str, dict[int, dict[str, float]]]] = {}
    for folder in folders:
        try:
            record = RunRecord.read(folder / METRICS)
            splits = divergence_of(record, folder)
        except KdlabError as e:
            say(f"{e} It is left out.")
            continue
        method, seed, embedded = shown(record.method), record.seed, record.source.embedded
        for split, found in splits.items():
            values = {name: value for name, value in found.items() if math.isfinite(value)}
            parts = [shown(record.task), "" if split in (DEV, TEST) else split, "(embedded)" if embedded else ""]
            task = " ".join(filter(None, parts))
            by_seed = groups.setdefault((task, method, embedded), {}).setdefault(record.fingerprints.experiment, {})
            if seed in by_seed:
                say(f"{folder} repeats seed {seed} of {method} on {task} and is left out.")
            by_seed.setdefault(seed, values)
    if not groups:
        raise KdlabError("None of these is a finished run with a teacher, and without one there is no divergence.")
    rows = []
    for (name, method, embedded), experiments in groups.items():
        for experiment, seeds in experiments.items():
            measures = [m for m in MEASURES if all(m in values for values in seeds.values())]
            by_measure = {m: tuple(one[m] for one in seeds.values()) for m in measures}
            suffix = f" {experiment[:6]}" if len(experiments) > 1 else ""  # settings, data or teacher differ
            rows.append(Row(name, method + suffix, tuple(seeds), by_measure, embedded))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Tab-separated: task, method, seeds, and mean and standard deviation of each measure."""
    lines = ["task\tmethod\tseeds\tkl\tkl sd\tmse\tmse sd\tdata"]
    for row in rows:
        cells = [row.task, row.method, ",".join(map(str, row.seeds))]
        for measure in MEASURES:
            values = row.values.get(measure)
            sd = f"{statistics.stdev(values):.3g}" if values and len(values) > 1 else "–"
            cells += ["–", "–"] if values is None else [f"{statistics.fmean(values):.6g}", sd]
        lines.append("\t".join([*cells, "EMBEDDED CORPUS" if row.embedded else "real"]))
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[Row], measure: str) -> Figure:
    """A group of bars per task, a bar per method, with a point for each seed.

    Args:
        rows: From ``collect``.
        measure: ``kl`` or ``mse``.

    Raises:
        KdlabError: No row has this measure.
    """
    drawn = [row for row in rows if measure in row.values]
    if not drawn:
        raise KdlabError(f"None of these runs has a {measure}, for scores have none: use --measure mse.")
    tasks, methods = (list(dict.fromkeys(getattr(row, name) for row in drawn)) for name in ("task", "method"))
    values = {(row.task, row.method): row.values[measure] for row in drawn}
    stamp = " (EMBEDDED CORPUS)" if any(row.embedded for row in drawn) else ""
    return grouped_bars(tasks, methods, values, MEASURES[measure], f"On dev; bars: means, points: seeds{stamp}")
