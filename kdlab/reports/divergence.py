"""How far students are from their teachers, by method: a table, and a picture like CILDA's figure 2.

A run is a folder that ``kdlab run`` wrote; runs that differ only in the seed are averaged. The figures come from its
record; for older records, which have none, they are computed from the predictions on dev. The picture is an SVG file,
written without a plotting library.
"""

from __future__ import annotations

import html
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kdlab.errors import KdlabError, nearest
from kdlab.evaluation.metrics import divergence
from kdlab.results.run_record import METRICS, RunRecord, Scores
from kdlab.system.foreign import door, read_text
from kdlab.system.shown import shown

MEASURES = {"kl": "mean KL(teacher ‖ student), nats", "mse": "mean squared difference of logits"}
COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"),
    *("#882255", "#999933", "#332288", "#ddaa99", "#117733", "#000000"),
)
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 820, 380, 70, 30, 60


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
    """The divergence of a run on each dev split; empty without a teacher.

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
            parts = [shown(record.task), *([split] if split != "dev" else []), *(["(embedded)"] if embedded else [])]
            task = " ".join(parts)
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


def picture(rows: Sequence[Row], measure: str) -> str:
    """An SVG document: a group of bars per task, a bar per method, with a point for each seed.

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
    top = max(max(row.values[measure]) for row in drawn) or 1.0
    across, up = (WIDTH - LEFT - 150) / len(tasks), HEIGHT - TOP - BOTTOM
    bar = 0.8 * across / len(methods)
    parts = [_text(LEFT, 18, MEASURES[measure] + " on dev; bars: means, points: seeds" + _stamp(drawn), size=13)]
    for i in range(5):
        y = TOP + up * (1 - i / 4)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 150}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{top * i / 4:.3g}", anchor="end"))
    for row in drawn:
        left = LEFT + across * (tasks.index(row.task) + 0.1) + bar * methods.index(row.method)
        mean, colour = statistics.fmean(row.values[measure]), COLOURS[methods.index(row.method) % len(COLOURS)]
        y = TOP + up * (1 - mean / top)
        parts.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{0.9 * bar:.1f}" height="{up * mean / top:.1f}" fill="{colour}">'
            f"<title>{html.escape(f'{row.method} on {row.task}: {mean:.4g}')}</title></rect>"
        )
        for value in row.values[measure]:
            at = TOP + up * (1 - value / top)
            parts.append(f'<circle cx="{left + 0.45 * bar:.1f}" cy="{at:.1f}" r="2.5" fill="#222222"/>')
    for i, task in enumerate(tasks):
        parts.append(_text(LEFT + across * (i + 0.5), HEIGHT - BOTTOM + 18, task, anchor="middle"))
    for i, method in enumerate(methods):
        y = TOP + 20 * i
        parts.append(f'<rect x="{WIDTH - 135}" y="{y}" width="12" height="12" fill="{COLOURS[i % len(COLOURS)]}"/>')
        parts.append(_text(WIDTH - 118, y + 11, method))
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    inside = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">\n{inside}\n</svg>\n'


def _stamp(rows: Sequence[Row]) -> str:
    return " (EMBEDDED CORPUS)" if any(row.embedded for row in rows) else ""


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{html.escape(words)}</text>'
