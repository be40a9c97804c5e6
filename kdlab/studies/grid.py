"""``python -m kdlab.studies.grid FILE [key=value …]``: runs every cell of a table and prints it.

A file holds what all cells share, what each cell changes, and the paper's own figures beside it::

    fill: {donor: embedded, count: 2}           # filled in where a value says {donor}
    common: {method: ad2, task: rte}
    cells:
      skip: {student.source: "{donor}:layers:skip:{count}"}
    paper: {skip: 54.5}

Words of the command line go over all cells (``profile=embedded seeds=5``) or replace what is filled in
(``donor=NAME``). Cells that are recorded already are not run again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import yaml

from kdlab.results.tables import mean_and_sd

SECTIONS = {"fill", "common", "cells", "paper"}


def read_grid(file: Path, words: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Settings of each cell, and the paper's figures.

    Args:
        file: The YAML file.
        words: ``key=value`` words.

    Raises:
        SystemExit: The file can't be read or has other sections, or a word is none.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise SystemExit(f"{file} can't be read: {' '.join(str(e).split())}") from e
    if not isinstance(content, dict) or not content.get("cells") or set(content) - SECTIONS:
        raise SystemExit(f"{file} must hold 'cells', and besides only {', '.join(sorted(SECTIONS - {'cells'}))}.")
    parts = {name: content.get(name) or {} for name in SECTIONS}
    cells_there = parts["cells"].items() if isinstance(parts["cells"], dict) else ()
    for name, part in [*parts.items(), *cells_there]:
        if part is not None and not isinstance(part, dict):
            raise SystemExit(f"{file}: '{name}' must hold settings, one a line, such as 'method: kd'.")
    fill: dict[str, Any] = dict(parts["fill"])
    over: dict[str, Any] = {}
    for word in words:
        key, sign, text = word.partition("=")
        if not sign:
            raise SystemExit(f"'{word}' is no key=value.")
        (fill if key in fill else over)[key] = yaml.safe_load(text)
    cells = {}
    for name, changes in parts["cells"].items():
        settings = {**parts["common"], **(changes or {}), **over}
        try:
            cells[name] = {k: v.format(**fill) if isinstance(v, str) else v for k, v in settings.items()}
        except (LookupError, ValueError) as e:
            known = ", ".join(fill) or "nothing"
            raise SystemExit(f"{file}: cell '{name}' has a {{…}} that 'fill' does not: {e}; it has {known}.") from e
    return cells, parts["paper"]


def show(results: dict[str, list[dict[str, Any]]], paper: dict[str, Any]) -> str:
    """The table, one row for each teacher and each cell.

    Columns are each cell's metrics on dev in points and its divergence KL(teacher ‖ student) on dev in nats, mean ± sd
    over seeds, how many seeds, seconds of training, and the paper's figure where the file gives any.
    """
    first = next(iter(results.values()))[0]["student"]["metrics"]
    columns = [(split, metric) for split in first for metric in first[split]]
    distances = [split for split in first if any(_distance(r, split) is not None for r in _all(results))]
    header = ["cell", *(f"{s} {m}" for s, m in columns), *(f"{s} KL" for s in distances), "n", "s"]
    body = []
    for key, teacher in {r["fingerprints"]["teacher"]: r["teacher"] for r in _all(results) if r["teacher"]}.items():
        figures = [f"{100 * teacher['metrics'][s][m]:.1f}" for s, m in columns]
        body.append([f"teacher {teacher['source']} ({key[:6]})", *figures, *("" for _ in distances), "", ""])
    for name, records in results.items():
        figures = [_spread([100 * r["student"]["metrics"][s][m] for r in records], 1) for s, m in columns]
        for split in distances:
            found = [d for r in records if (d := _distance(r, split)) is not None]
            figures.append(_spread(found, 3) if found else "")
        seconds = statistics.mean(r["training"]["seconds"] for r in records)
        body.append([name, *figures, str(len(records)), f"{seconds:.0f}"])
    if paper:
        header.append("paper")
        body = [[*row, str(paper.get(row[0], ""))] for row in body]
    lines = [f"| {' | '.join(row)} |" for row in (header, *body)]
    lines.insert(1, "|---" * len(header) + "|")
    if any(r["source"]["embedded"] for r in _all(results)):
        lines.append("\nEMBEDDED CORPUS: kdlab's own grammar, not GLUE; a paper's figures are GLUE's.")
    return "\n".join(lines)


def _all(results: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [record for records in results.values() for record in records]


def _distance(record: dict[str, Any], split: str) -> float | None:
    """KL from the teacher; None without a teacher, and for scores."""
    found: float | None = (record.get("divergence") or {}).get(split, {}).get("kl")
    return found


def _spread(values: list[float], digits: int) -> str:
    mean, sd = mean_and_sd(values)
    return f"{mean:.{digits}f}" + (f" ± {sd:.{digits}f}" if len(values) > 1 else "")


def main() -> int:
    """Runs the cells one after the other, then prints the table."""
    from kdlab.errors import KdlabError
    from kdlab.pipeline.run import run
    from kdlab.planning.plan import make_plan
    from kdlab.system.quiet import quiet_libraries

    parser = argparse.ArgumentParser(prog="python -m kdlab.studies.grid", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("words", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    quiet_libraries()
    cells, paper = read_grid(arguments.file, arguments.words)
    try:
        for settings in cells.values():  # what is wrong in the last cell is said before the first is trained
            make_plan(settings)
        results = {name: run(settings) for name, settings in cells.items()}
    except KdlabError as e:
        sys.stderr.write(f"kdlab: error: {e}\n")
        return 2
    sys.stdout.write(show(results, paper) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
