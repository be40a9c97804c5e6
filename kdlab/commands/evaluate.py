"""Evaluate the student of finished runs, and the teacher where it still is, on sets out of domain."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from kdlab.commands.arguments import Parser, expanded
from kdlab.system.imports import large_imports

EXAMPLE = "kdlab evaluate runs/kd-mnli-local-s0-1234abcd --on hans scitail --ood-dir DIR"
INTERRUPTED = "what is recorded is kept"


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab evaluate``."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder that kdlab run printed behind 'Record:'")
    parser.add_argument("--on", nargs="+", required=True, metavar="SET", help="sets of kdlab list ood, paws, or all")
    parser.add_argument("--ood-dir", metavar="DIR", help="folder with their files; the hub is asked without it")
    parser.add_argument(
        "--fresh", action="store_true", help="evaluate again what is recorded, and keep the old figures"
    )
    parser.add_argument(
        "--accelerator", default="auto", metavar="{auto,cpu,gpu}", help="where to compute (default: auto)"
    )


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab evaluate RUN --on SET …``."""
    runs = [str(expanded("RUN", run)) for run in arguments.runs]
    folder = arguments.ood_dir and str(expanded("--ood-dir", arguments.ood_dir))
    with large_imports():
        from kdlab.pipeline.evaluate import evaluate_runs

    evaluate_runs(runs, arguments.on, folder, arguments.fresh, arguments.accelerator)
    return 0
