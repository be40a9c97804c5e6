"""Evaluate the student of finished runs, and the teacher where it still is, on sets out of domain and under attack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from kdlab.commands.arguments import Parser, expanded
from kdlab.commands.attack import add_attack_settings, attack_settings
from kdlab.errors import KdlabError
from kdlab.system.imports import large_imports

EXAMPLE = "kdlab evaluate runs/kd-mnli-local-s0-1234abcd --on hans scitail --ood-dir DIR"
INTERRUPTED = "what is recorded is kept"


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab evaluate``."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder that kdlab run printed behind 'Record:'")
    parser.add_argument("--on", nargs="+", default=[], metavar="SET", help="sets of kdlab list ood, paws, or all")
    parser.add_argument("--attack", nargs="+", default=[], metavar="RECIPE", help="recipes of kdlab list recipes")
    add_attack_settings(parser)
    parser.add_argument("--ood-dir", metavar="DIR", help="folder with their files; the hub is asked without it")
    parser.add_argument(
        "--fresh", action="store_true", help="evaluate again what is recorded, and keep the old figures"
    )
    parser.add_argument(
        "--accelerator", default="auto", metavar="{auto,cpu,gpu}", help="where to compute (default: auto)"
    )


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab evaluate RUN --on SET …`` or ``kdlab evaluate RUN --attack RECIPE …``."""
    if not arguments.on and not arguments.attack:
        raise KdlabError(
            "Say what is evaluated: --on SET, of kdlab list ood, or --attack RECIPE, of kdlab list recipes."
        )
    settings = attack_settings(arguments, arguments.attack)
    if not arguments.attack and settings != type(settings)(recipes=()):
        raise KdlabError("-n, --seed, --mode and the like say how is attacked, and --attack names no recipe: add it.")
    runs = [str(expanded("RUN", run)) for run in arguments.runs]
    folder = arguments.ood_dir and str(expanded("--ood-dir", arguments.ood_dir))
    with large_imports():
        from kdlab.pipeline.attack_models import attack_runs
        from kdlab.pipeline.evaluate import evaluate_runs

    if arguments.on:
        evaluate_runs(runs, arguments.on, folder, arguments.fresh, arguments.accelerator)
    if arguments.attack:
        attack_runs(runs, settings, arguments.accelerator, arguments.fresh)
    return 0
