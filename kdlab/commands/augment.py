"""Make new training examples of a task's own, in a file that kdlab run takes with augment=FILE."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from kdlab.commands.arguments import Parser, expanded, parse_override
from kdlab.errors import KdlabError
from kdlab.system.imports import large_imports

EXAMPLE = "kdlab augment --task rte --with eda embedding -n 10 --out rte.parquet --keep-label-above 0.9"
INTERRUPTED = "the same command goes on from the last finished block"
TAKES_SETTINGS = True

_SETTINGS = {"--task": "task", "--profile": "profile", "--data-dir": "data.dir", "--limit-train": "data.limit_train"}
_SETTINGS |= {"--teacher": "teacher.source", "--seed": "seed", "--accelerator": "accelerator"}


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab augment``."""
    parser.add_argument(
        "--with",
        dest="augmenters",
        nargs="+",
        required=True,
        metavar="NAME",
        help="augmenters of kdlab list augmenters",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the Parquet file that is written")
    parser.add_argument(
        "-n",
        dest="copies",
        type=int,
        metavar="N",
        help="new examples of each, by each augmenter (default: the paper's, or 1)",
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="augment so many of the training rows, drawn by --seed (default: all)"
    )
    parser.add_argument("--side", metavar="{text,pair,both}", help="what of a pair is changed (default: both)")
    for flag, key in _SETTINGS.items():
        parser.add_argument(
            flag, dest=key, metavar=flag.lstrip("-").upper().replace("-", "_"), help=f"as in kdlab run ({key})"
        )
    parser.add_argument(
        "--resources", metavar="DIR", help="folder with WordNet, neighbours and stop words (default: $KDLAB_RESOURCES)"
    )
    parser.add_argument(
        "--keep-label-above",
        type=float,
        metavar="P",
        help="keep rows whose label the teacher gives at least this probability",
    )
    parser.add_argument("--no-teacher", action="store_true", help="don't ask the teacher whether labels are kept")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one a core); they change nothing in the file"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=256,
        metavar="N",
        help="examples that a process takes at a time; changes nothing in the file",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="make blocks again that an interrupted command has finished"
    )


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab augment …``."""
    out = expanded("--out", arguments.out)
    keep = 0.0 if arguments.keep_label_above is None else arguments.keep_label_above
    _check(arguments, out, keep)
    settings = {key: getattr(arguments, key) for key in _SETTINGS.values() if getattr(arguments, key) is not None}
    if "seed" in settings:
        settings |= dict([parse_override(f"seed={settings['seed']}", "kdlab augment")])
    names = [word for word in arguments.augmenters if "=" not in word]
    for word in [*arguments.extra, *(word for word in arguments.augmenters if "=" in word)]:
        if word.startswith("-") and "=" not in word:
            raise arguments.parser.unknown_flag(word)
        key, value = parse_override(word, "kdlab augment")
        settings[key] = value
    if not names:
        raise KdlabError("--with names no augmenter: see kdlab list augmenters.")
    for key, value in settings.items():
        if isinstance(value, str) and value.startswith("~"):
            expanded(key, value)
    with large_imports():
        from kdlab.pipeline.augment import augment_task
        from kdlab.pipeline.parts import Asked

    asked = Asked(
        out=out,
        resources=arguments.resources,
        workers=arguments.workers or 0,
        batch_size=arguments.batch_size,
        with_teacher=not arguments.no_teacher,
        keep_above=keep,
        fresh=arguments.fresh,
    )
    augment_task(names, arguments.copies, arguments.side, settings, asked, arguments.rows)
    return 0


def _check(arguments: argparse.Namespace, out: Path, keep: float) -> None:
    """Raises ``KdlabError`` for what can be seen to be wrong at once."""
    if out.suffix != ".parquet":
        raise KdlabError(f"--out {out}: the file is written in Parquet, so call it {out.with_suffix('.parquet').name}.")
    if not 0 <= keep <= 1:
        raise KdlabError(f"--keep-label-above {keep}: it is a probability, from 0 to 1.")
    if keep and arguments.no_teacher:
        raise KdlabError("--keep-label-above asks the teacher, and --no-teacher forbids it: leave one out.")
    for flag, value in (("--workers", arguments.workers), ("--batch-size", arguments.batch_size)):
        if value is not None and value < 1:
            raise KdlabError(f"{flag} {value}: it must be 1 or more.")
