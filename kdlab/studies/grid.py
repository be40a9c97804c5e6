"""A table as a file: what all cells share, what each cell changes, and the paper's own figures beside it.

::

    fill: {donor: embedded, count: 2}           # filled in where a value says {donor}
    common: {method: ad2, task: rte}
    cells:
      skip: {student.source: "{donor}:layers:skip:{count}"}
    paper: {skip: 54.5}
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.pipeline import jobs as side_by_side
from kdlab.pipeline.run import check_outputs, open_reporter, run, run_plan
from kdlab.planning.describe import show_plan
from kdlab.planning.plan import make_plan
from kdlab.results.run_record import RunRecord, Scores
from kdlab.results.tables import mean_and_sd
from kdlab.system.cache import Cache
from kdlab.system.foreign import read_yaml

SECTIONS = {"fill", "common", "cells", "paper"}
Cells = dict[str, dict[str, Any]]
"""Cell to its settings."""


def read_grid(file: Path, over: Mapping[str, Any]) -> tuple[Cells, dict[str, Any]]:
    """Settings of each cell, and the paper's figures.

    Args:
        file: The YAML file.
        over: Settings that go over all cells, or replace what is filled in.

    Raises:
        KdlabError: The file can't be read or has other sections.
    """
    parts = _read_sections(file)
    fill = {name: over.get(name, value) for name, value in parts["fill"].items()}
    further = {name: value for name, value in over.items() if name not in fill}
    cells = {}
    for name, changes in parts["cells"].items():
        settings = {**parts["common"], **(changes or {}), **further}
        try:
            cells[str(name)] = {str(k): v.format(**fill) if isinstance(v, str) else v for k, v in settings.items()}
        except (LookupError, ValueError, AttributeError) as e:
            known = ", ".join(fill) or "nothing"
            raise KdlabError(f"{file}: cell '{name}' has a {{…}} that 'fill' does not: {e}; it has {known}.") from e
    return cells, {str(name): figure for name, figure in parts["paper"].items()}


def _read_sections(file: Path) -> dict[str, dict[str, Any]]:
    """The file's sections, each a mapping."""
    content, _ = read_yaml(file)
    if not isinstance(content, dict) or not content.get("cells") or set(content) - SECTIONS:
        raise KdlabError(f"{file} must hold 'cells', and besides only {', '.join(sorted(SECTIONS - {'cells'}))}.")
    parts = {name: content.get(name) or {} for name in SECTIONS}
    cells = parts["cells"].items() if isinstance(parts["cells"], dict) else ()
    for name, part in [*parts.items(), *cells]:
        if part is not None and not isinstance(part, dict):
            raise KdlabError(f"{file}: '{name}' must hold settings, one a line, such as 'method: kd'.")
    return parts


def run_grid(cells: Cells, jobs: int = 1, words: Sequence[str] = ()) -> dict[str, list[RunRecord]]:
    """Runs the cells; what is wrong in the last one is said before the first is trained.

    Args:
        cells: Settings of each cell.
        jobs: How many processes work side by side.
        words: The command line after ``kdlab``, for starting them.

    Returns:
        The records of each cell; empty in a process that works for another one.

    Raises:
        KdlabError: Anything that is wrong with a cell.
    """
    reporter = open_reporter()
    cache, plans = Cache(say=reporter.warn), {}
    for name, settings in cells.items():
        try:
            plans[name] = make_plan(settings, cache)
        except KdlabError as e:
            raise KdlabError(f"Cell '{name}': {e}") from e
    if side_by_side.number():
        side_by_side.work(list(plans.values()), reporter)
        return {}
    side_by_side.check_jobs(jobs, list(plans.values()), reporter)
    if any(plan.hardware.devices > 1 for plan in plans.values()):
        return {name: run(settings) for name, settings in cells.items()}
    for plan in plans.values():
        check_outputs(plan)
    shared = side_by_side.share_out(list(plans.values()), jobs, words, reporter)
    records = {}
    for name, plan in plans.items():
        show_plan(plan, reporter)
        records[name] = run_plan(plan, reporter, shared)
    return records


def show(results: Mapping[str, list[RunRecord]], paper: Mapping[str, Any]) -> str:
    """The table, one row for each teacher and each cell.

    Columns are each cell's metrics on dev in points and its divergence KL(teacher ‖ student) on dev in nats, mean ± sd
    over seeds, how many seeds, seconds of training, and the paper's figure where the file gives any.
    """
    records = [record for cell in results.values() for record in cell]
    columns = list(dict.fromkeys((s, m) for r in records for s, by_name in r.student.metrics.items() for m in by_name))
    splits = dict.fromkeys(split for split, _ in columns)
    distances = [split for split in splits if any(_distance(r, split) is not None for r in records)]
    header = ["cell", *(f"{s} {m}" for s, m in columns), *(f"{s} KL" for s in distances), "n", "s"]
    body = []
    for key, teacher in {r.fingerprints.teacher: r.teacher for r in records}.items():
        if teacher is not None:
            figures = [_points([_metric(teacher.metrics, s, m)]) for s, m in columns]
            body.append([f"teacher {teacher.source} ({str(key)[:6]})", *figures, *("" for _ in distances), "", ""])
    for name, cell in results.items():
        figures = [_points([_metric(r.student.metrics, s, m) for r in cell]) for s, m in columns]
        for split in distances:
            known = [d for r in cell if (d := _distance(r, split)) is not None]
            figures.append(_spread(known, 3) if known else "")
        seconds = statistics.mean(r.training.seconds for r in cell)
        body.append([name, *figures, str(len(cell)), f"{seconds:.0f}"])
    if paper:
        header.append("paper")
        body = [[*row, str(paper.get(row[0], ""))] for row in body]
    lines = [f"| {' | '.join(row)} |" for row in (header, *body)]
    lines.insert(1, "|---" * len(header) + "|")
    if any(r.source.embedded for r in records):
        lines.append("\nEMBEDDED CORPUS: kdlab's own grammar, not GLUE; a paper's figures are GLUE's.")
    return "\n".join(lines)


def _metric(scores: Scores, split: str, metric: str) -> float | None:
    """A figure; None where the cell's task has no such split or metric."""
    return scores.get(split, {}).get(metric)


def _points(values: list[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    return _spread(known, 1) if known else ""


def _distance(record: RunRecord, split: str) -> float | None:
    """KL from the teacher; None without a teacher, and for scores."""
    return (record.divergence or {}).get(split, {}).get("kl")


def _spread(values: list[float], digits: int) -> str:
    mean, sd = mean_and_sd(values)
    return f"{mean:.{digits}f}" + (f" ± {sd:.{digits}f}" if len(values) > 1 else "")
