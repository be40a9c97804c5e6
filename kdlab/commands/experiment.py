"""Run what is missing of a study, and print its table beside the paper's figures, with verdicts on its claims.

A study is a YAML file, or the name of one below experiments/ (mixkd/table1). Words key=value go over all cells, or
replace what the file fills in; tasks=[rte,sst2] chooses some of its tasks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdlab.commands.arguments import Parser, add_jobs, expanded, parse_override
from kdlab.errors import KdlabError
from kdlab.system.imports import large_imports
from kdlab.system.shown import shown

EXAMPLE = "kdlab experiment mixkd/table1 --profile embedded --seeds 3 tasks=[rte,sst2]"
INTERRUPTED = "the same command goes on with the cells that are not recorded yet"
TAKES_SETTINGS = True
FOLDER = "experiments"


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab experiment``."""
    parser.add_argument("study", metavar="STUDY", help="a study's file, or its name below experiments/")
    parser.add_argument("--profile", choices=("embedded", "paper"), help="what stands in for data and encoders")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds of each cell (default: the file's)")
    parser.add_argument("--dry-run", action="store_true", help="show the cells and stop")
    add_jobs(parser)


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab experiment STUDY [key=value …]``."""
    file = find_file(arguments.study)
    over: dict[str, Any] = dict(parse_override(word, "kdlab experiment") for word in arguments.extra)
    if arguments.seeds is not None:
        over["seeds"] = arguments.seeds
    with large_imports():
        from kdlab.studies.experiment import experiment

    text = experiment(file, over, arguments.profile, arguments.jobs, words, arguments.dry_run)
    sys.stdout.write(shown(text, keep="\n"))
    return 0


def find_file(name: str) -> Path:
    """The file of a study: a path, or a name below ``experiments/`` here or beside the installed package.

    Raises:
        KdlabError: There is none; the message lists those that are there.
    """
    path = expanded("STUDY", name)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path
    roots = dict.fromkeys([Path(FOLDER), Path(__file__).parents[2] / FOLDER])
    for root in roots:
        if (found := root / f"{name}.yaml").is_file():
            return found
    known = sorted(
        {
            str(file.relative_to(root).with_suffix(""))
            for root in roots
            for file in root.rglob("*.yaml")
            if is_study(file)
        }
    )
    there = f"There are: {', '.join(known)}." if known else f"There is no folder {FOLDER} here: give a file."
    raise KdlabError(f"There is no study '{name[:80]}'. {there}")


def is_study(file: Path) -> bool:
    """Whether a file has cells; others beside it are settings for ``kdlab run --config``, or sweeps."""
    try:
        return "\ncells:" in "\n" + file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
