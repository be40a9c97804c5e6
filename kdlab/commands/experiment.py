"""Run every cell of a table that is not recorded yet, and print the table.

Words key=value go over all cells, or replace what the file's 'fill' fills in.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kdlab.commands.arguments import Parser, add_jobs, expanded, parse_override
from kdlab.system.imports import large_imports
from kdlab.system.shown import shown

EXAMPLE = "kdlab experiment experiments/ad2/ablations.yaml profile=embedded seeds=5"
INTERRUPTED = "the same command goes on with the cells that are not recorded yet"
TAKES_SETTINGS = True


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab experiment``."""
    parser.add_argument("file", metavar="FILE", help="YAML file with the cells of a table")
    add_jobs(parser)


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab experiment FILE [key=value …]``."""
    file: Path = expanded("FILE", arguments.file)
    over = dict(parse_override(word, "kdlab experiment") for word in arguments.extra)
    with large_imports():
        from kdlab.studies.grid import read_grid, run_grid, show

    cells, paper = read_grid(file, over)
    results = run_grid(cells, arguments.jobs, words)
    if results:
        sys.stdout.write(shown(show(results, paper), keep="\n") + "\n")
    return 0
