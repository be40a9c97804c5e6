"""By how much the accuracy of each of a study's students drops under each recipe: a picture and its figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from kdlab.data.tasks import TaskSpec
from kdlab.reports.drops import Panel, drops
from kdlab.reports.pictures import save_picture
from kdlab.results.tables import mean_and_sd
from kdlab.studies.answers import figure
from kdlab.studies.columns import ACCURACY, AUA, DROP, Column
from kdlab.studies.fill import paper_figure
from kdlab.studies.notes import Results
from kdlab.studies.schema import Columns, Study
from kdlab.studies.table import file_name
from kdlab.system.files import write_atomic

_COLUMNS = ("row", "task", "recipe", "n", "accuracy", "aua", "drop", "drop_sd", "paper", "logs")


def draw_heatmaps(study: Study, specs: Mapping[str, TaskSpec], results: Results, path: Path) -> list[Path]:
    """Draws a picture for each task, as PNG and SVG, and writes its figures as CSV.

    Beside ours a panel has the figures of the paper's logs, or else the paper's own, where the file has such.

    Args:
        study: Names the recipes.
        specs: Of each of its tasks.
        results: Its finished runs.
        path: Of the tables, without a suffix.

    Raises:
        KdlabError: A record can't be read, or a file can't be written.
    """
    files = []
    for task in study.tasks:
        ours = {
            (row, recipe): drop
            for row in study.rows
            for recipe in study.heatmap
            if (drop := _mean(results, row, task, Column(recipe, DROP, recipes=(recipe,)))) is not None
        }
        embedded = any(record.source.embedded for runs in results.values() for record, _ in runs)
        panels = [Panel("ours (EMBEDDED CORPUS)" if embedded else "ours", ours)]
        for name, figures in (("the paper's logs", study.logs), ("the paper", study.paper)):
            theirs = _published(study, figures, specs, task)
            if theirs and len(panels) == 1:
                panels.append(Panel(name, theirs))
        picture = drops(study.rows, study.heatmap, panels, f"{task}: accuracy less accuracy under attack, points")
        stem = f"{path.name}-heatmap-{file_name(Path(task).stem)}"
        for suffix in (".png", ".svg"):
            files.append(path.with_name(stem + suffix))
            save_picture(picture, files[-1])
        files.append(path.with_name(f"{stem}.csv"))
        write_atomic(files[-1], _lines(study, specs, results, task))
    return files


def _lines(study: Study, specs: Mapping[str, TaskSpec], results: Results, task: str) -> str:
    """A line for each row and recipe: our figures in points, means over seeds, and the published drops."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write(_COLUMNS)
    published = [_published(study, figures, specs, task) for figures in (study.paper, study.logs)]
    for row in study.rows:
        for recipe in study.heatmap:
            values = {
                metric: _each(results, row, task, Column(recipe, metric, recipes=(recipe,)))
                for metric in (ACCURACY, AUA, DROP)
            }
            means = [f"{mean_and_sd(each)[0]:.6g}" if each else "" for each in values.values()]
            sd = f"{mean_and_sd(values[DROP])[1]:.6g}" if len(values[DROP]) > 1 else ""
            theirs = [f"{figures[row, recipe]:.6g}" if (row, recipe) in figures else "" for figures in published]
            write([row, task, recipe, len(values[DROP]), *means, sd, *theirs])
    return out.getvalue()


def _each(results: Results, row: str, task: str, column: Column) -> Sequence[float]:
    """A figure in points, one a seed."""
    found = [figure(column, record, folder) for record, folder in results.get((row, task), ())]
    return [100 * value for value in found if value is not None]


def _mean(results: Results, row: str, task: str, column: Column) -> float | None:
    values = _each(results, row, task, column)
    return mean_and_sd(values)[0] if values else None


def _published(
    study: Study, figures: Mapping[str, Mapping[str, Columns]], specs: Mapping[str, TaskSpec], task: str
) -> dict[tuple[str, str], float]:
    """Row and recipe to a published drop."""
    found = {}
    for row in study.rows:
        for recipe in study.heatmap:
            drop = paper_figure(figures.get(row, {}), specs, task, Column(recipe, DROP, recipes=(recipe,)))
            if drop is not None:
                found[row, recipe] = drop.value
    return found
