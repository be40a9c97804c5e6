"""How far students are from their teachers, over methods: a table, and a picture in the manner of CILDA's figure 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kdlab.commands.arguments import Parser, expanded
from kdlab.system.imports import large_imports
from kdlab.system.shown import shown

EXAMPLE = "kdlab divergence runs/* --figure divergence.svg"
INTERRUPTED = "nothing was written"


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab divergence``."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--figure", metavar="FILE", help="PNG, SVG or PDF file for a picture; none is drawn without it")
    parser.add_argument("--measure", default="kl", metavar="{kl,mse}", help="what is drawn (default: kl)")


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab divergence RUN … [--figure FILE]``."""
    with large_imports():
        from kdlab.reports.divergence import check_measure, collect, picture, table
        from kdlab.reports.pictures import check_picture, save_picture

    check_measure(arguments.measure)
    file = None if arguments.figure is None else expanded("--figure", arguments.figure)
    if file is not None:
        check_picture(file)
    rows = collect([expanded("RUN", run) for run in arguments.runs], _note)
    sys.stdout.write(table(rows))
    if file is not None:
        save_picture(picture(rows, arguments.measure), file)
        sys.stdout.write(f"Figure: {shown(str(file))}\n")
    return 0


def _note(sentence: str) -> None:
    sys.stderr.write(f"note: {shown(sentence)}\n")
