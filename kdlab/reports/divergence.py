"""How far students are from their teachers, over methods: a table, and a picture in the manner of CILDA's figure 2.

    python -m kdlab.reports.divergence runs/* --figure divergence.svg

A run is a folder that ``kdlab run`` wrote; runs are averaged where they differ in nothing but the seed. The figures are
those of its record; of older records, which have none, they are computed from the predictions on dev. The table goes to
standard output, tab-separated; the picture is an SVG file that is written without any plotting library.
"""

from __future__ import annotations

import argparse
import html
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kdlab.errors import KdlabError, nearest
from kdlab.evaluation.metrics import divergence
from kdlab.system.files import write_atomic

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
        method: The method, and where its runs differ in more than the seed, which of them.
        seeds: The student seeds.
        values: Measure to one value a seed; scores have no KL.
        embedded: Whether the data is the embedded corpus.
    """

    task: str
    method: str
    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    embedded: bool


def read_run(folder: Path) -> dict[str, dict[str, float]]:
    """The divergence of a run on each dev split; empty without a teacher.

    Args:
        folder: What ``kdlab run`` wrote.

    Raises:
        KdlabError: It is no finished run.
    """
    metrics = _metrics(folder)
    if metrics.get("teacher") is None:
        return {}
    if "divergence" in metrics:
        found: dict[str, dict[str, float]] = metrics["divergence"]
        return found
    return {split: _of_predictions(folder, split) for split in metrics["student"]["metrics"]}


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as e:
        raise KdlabError(
            f"{folder} is no finished run, for its metrics.json can't be read ({e}), and is left out."
        ) from e


def _of_predictions(folder: Path, split: str) -> dict[str, float]:
    """From the logits of student and teacher on a split."""
    path = folder / "predictions" / f"{split}.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        ours, theirs = (torch.tensor([line[f"{who}_logits"] for line in lines]) for who in ("student", "teacher"))
    except (OSError, ValueError, LookupError) as e:
        raise KdlabError(f"{path} can't be read ({e}): leave its run out, or run it again with --fresh.") from e
    return divergence(ours, theirs, regression=ours.shape[1] == 1)


def collect(folders: Sequence[Path], say: Callable[[str], None]) -> list[Row]:
    """The rows of all runs that have a teacher, tasks and methods in the order in which they come.

    Args:
        folders: Of runs; one that is unfinished, or repeats a seed of an experiment, is left out.
        say: Told of each that is left out, in a sentence.

    Raises:
        KdlabError: None is a finished run with a teacher.
    """
    found: dict[tuple[str, str, bool], dict[str, dict[int, dict[str, float]]]] = {}
    for folder in folders:
        try:
            metrics, splits = _metrics(folder), read_run(folder)
            embedded, method, seed = bool(metrics["source"]["embedded"]), str(metrics["method"]), int(metrics["seed"])
            experiment = str(metrics["fingerprints"].get("experiment", ""))
            task = str(metrics["task"])
        except (KdlabError, LookupError, TypeError, AttributeError) as e:
            say(str(e) if isinstance(e, KdlabError) else f"{folder} is no run of kdlab's.")
            continue
        for split, values in splits.items():
            name = " ".join([task, *([split] if split != "dev" else []), *(["(embedded)"] if embedded else [])])
            seeds = found.setdefault((name, method, embedded), {}).setdefault(experiment, {})
            if seed in seeds:
                say(f"{folder} repeats seed {seed} of {method} on {name} and is left out.")
            seeds.setdefault(seed, values)
    if not found:
        raise KdlabError("None of these is a finished run with a teacher, and without one there is no divergence.")
    rows = []
    for (name, method, embedded), experiments in found.items():
        for experiment, seeds in experiments.items():
            measures = [m for m in MEASURES if all(m in values for values in seeds.values())]
            by_measure = {m: tuple(one[m] for one in seeds.values()) for m in measures}
            which = f" {experiment[:6]}" if len(experiments) > 1 else ""  # of other settings, data or teacher
            rows.append(Row(name, method + which, tuple(seeds), by_measure, embedded))
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
    """Grouped bars, a group a task and a bar a method, with a point for each seed; an SVG document.

    Args:
        rows: From ``collect``.
        measure: ``kl`` or ``mse``.

    Raises:
        KdlabError: No row has this measure.
    """
    shown = [row for row in rows if measure in row.values]
    if not shown:
        raise KdlabError(f"None of these runs has a {measure}, for scores have none: use --measure mse.")
    tasks, methods = (list(dict.fromkeys(getattr(row, name) for row in shown)) for name in ("task", "method"))
    top = max(max(row.values[measure]) for row in shown) or 1.0
    across, up = (WIDTH - LEFT - 150) / len(tasks), HEIGHT - TOP - BOTTOM
    bar = 0.8 * across / len(methods)
    parts = [_text(LEFT, 18, MEASURES[measure] + " on dev; bars: means, points: seeds" + _stamp(shown), size=13)]
    for i in range(5):
        y = TOP + up * (1 - i / 4)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 150}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{top * i / 4:.3g}", anchor="end"))
    for row in shown:
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


def _note(sentence: str) -> None:
    sys.stderr.write(f"note: {sentence}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table and writes the picture; 2 for an error of the user's, one sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m kdlab.reports.divergence", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="SVG file for the picture; none is drawn without it"
    )
    parser.add_argument("--measure", default="kl", metavar="{kl,mse}", help="what is drawn (default: kl)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.measure not in MEASURES:
            raise nearest(arguments.measure, MEASURES, "measure")
        rows = collect(arguments.runs, _note)
        sys.stdout.write(table(rows))
        if arguments.figure is not None:
            write_atomic(arguments.figure, picture(rows, arguments.measure))
            sys.stdout.write(f"Figure: {arguments.figure}\n")
    except KdlabError as e:
        sys.stderr.write(f"error: {' '.join(str(e).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
