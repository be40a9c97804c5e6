"""``python -m experiments.grid FILE [key=value …]``: runs every cell of a table and prints it.

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

SECTIONS = {"fill", "common", "cells", "paper"}


def read_grid(file: Path, words: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Settings of each cell, and the paper's figures.

    Args:
        file: The YAML file.
        words: ``key=value`` words.

    Raises:
        SystemExit: The file has other sections, or a word is none.
    """
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not content.get("cells") or set(content) - SECTIONS:
        raise SystemExit(f"{file} must hold 'cells', and besides only {', '.join(sorted(SECTIONS - {'cells'}))}.")
    fill, over = dict(content.get("fill", {})), {}
    for word in words:
        key, sign, text = word.partition("=")
        if not sign:
            raise SystemExit(f"'{word}' is no key=value.")
        (fill if key in fill else over)[key] = yaml.safe_load(text)
    cells = {}
    for name, changes in content["cells"].items():
        settings = {**content.get("common", {}), **changes, **over}
        cells[name] = {k: v.format(**fill) if isinstance(v, str) else v for k, v in settings.items()}
    return cells, content.get("paper", {})


def show(results: dict[str, list[dict[str, Any]]], paper: dict[str, Any]) -> str:
    """The table: each cell's metrics on dev, mean ± sd over seeds, in points, and the paper's figure."""
    first = next(iter(results.values()))[0]["student"]["metrics"]
    columns = [(split, metric) for split in first for metric in first[split]]
    lines = ["| cell | " + " | ".join(f"{s} {m}" for s, m in columns) + " | n | s | paper |"]
    lines.append("|---" * (len(columns) + 4) + "|")
    for name, records in results.items():
        shown = []
        for split, metric in columns:
            values = [100 * r["student"]["metrics"][split][metric] for r in records]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            shown.append(f"{statistics.mean(values):.1f}{spread}")
        seconds = statistics.mean(r["training"]["seconds"] for r in records)
        tail = f"{len(records)} | {seconds:.0f} | {paper.get(name, '')}"
        lines.append(f"| {name} | {' | '.join(shown)} | {tail} |")
    if any(r["source"]["embedded"] for records in results.values() for r in records):
        lines.append("\nEMBEDDED CORPUS: kdlab's own grammar, not GLUE; the paper's figures are GLUE's.")
    return "\n".join(lines)


def main() -> int:
    """Runs the cells one after the other, then prints the table."""
    from kdlab.errors import KdlabError
    from kdlab.run import run

    parser = argparse.ArgumentParser(prog="python -m experiments.grid", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("words", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    cells, paper = read_grid(arguments.file, arguments.words)
    try:
        results = {name: run(settings) for name, settings in cells.items()}
    except KdlabError as e:
        sys.stderr.write(f"kdlab: error: {e}\n")
        return 2
    print(show(results, paper))
    return 0


if __name__ == "__main__":
    sys.exit(main())
