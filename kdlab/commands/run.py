"""Train a student and record it. Any setting can follow as key=value: see --print-config."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from kdlab.commands.arguments import Parser, add_jobs, expanded, parse_override
from kdlab.commands.list import KINDS, show
from kdlab.errors import KdlabError
from kdlab.system.imports import large_imports

EXAMPLE = "kdlab run --method mixkd --task rte --seeds 5 mixkd.alpha_sm=0.5 training.epochs=5"
INTERRUPTED = "the same command goes on from the last checkpoint"
TAKES_SETTINGS = True

# flag -> setting, type, metavar, help
SETTINGS: dict[str, tuple[str, type, str, str]] = {
    "--method": ("method", str, "NAME", "a method of --list methods, or path/to/file.py:Class"),
    "--task": ("task", str, "NAME", "a task of --list tasks, or path/to/task.yaml"),
    "--profile": ("profile", str, "{auto,paper,embedded}", "where data and encoders come from (default: auto)"),
    "--data-dir": ("data.dir", str, "DIR", "folder in the original GLUE layout"),
    "--limit-train": ("data.limit_train", str, "N", "part of the training data: 10%%, 1%% or 500"),
    "--target-per-class": ("data.target_per_class", int, "N", "so many training examples of each label"),
    "--source": ("data.source", str, "TASK", "train on the rows of this task besides: a source domain"),
    "--teacher": ("teacher.source", str, "MODEL", "folder, name on the hub, or 'embedded'"),
    "--student": (
        "student.source",
        str,
        "SPEC",
        "checkpoint, [DONOR:]layers:bottom:3 (top, skip, 0,2,4), or bilstm",
    ),
    "--ood-dir": ("evaluation.ood_dir", str, "DIR", "folder with the files of evaluation.ood=[…]"),
    "--seed": ("seed", int, "N", "the student's seed (default: 0)"),
    "--seeds": ("seeds", int, "N", "run N student seeds and print mean and sd"),
    "--out": ("out", str, "DIR", "where records are written (default: runs)"),
    "--accelerator": ("accelerator", str, "{auto,cpu,gpu}", "where to compute (default: auto)"),
    "--devices": ("devices", int, "N", "how many devices (default: 1)"),
    "--precision": ("precision", str, "{auto,32,bf16,16}", "arithmetic (default: auto)"),
}


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab run``."""
    for flag, (key, kind, metavar, text) in SETTINGS.items():
        parser.add_argument(flag, dest=key, type=kind, metavar=metavar, help=text)
    add_jobs(parser)
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings; flags and key=value go over it")
    parser.add_argument(
        "--logger",
        action="append",
        metavar="{csv,wandb,tensorboard}",
        help="log there too (CSV is always written); may be repeated",
    )
    parser.add_argument("--compile", action="store_true", help="compile the encoders (torch.compile); slower to start")
    parser.add_argument(
        "--fresh", action="store_true", help="run again though a finished record is there, and keep that"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration and stop")
    parser.add_argument("--list", choices=KINDS, help="list what there is and stop")


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab run …``."""
    if arguments.list:
        show(arguments.list)
        return 0
    settings = _settings(arguments)
    with large_imports():
        from kdlab.pipeline.run import run

    run(settings, arguments.dry_run, arguments.print_config, words, arguments.jobs)
    return 0


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Dotted settings: the YAML file's, over them the flags', over them the key=value words."""
    settings: dict[str, Any] = {}
    if arguments.config:
        from kdlab.config.files import read_file

        settings = read_file(expanded("--config", arguments.config))
    for key, _, _, _ in SETTINGS.values():
        if getattr(arguments, key) is not None:
            settings[key] = getattr(arguments, key)
    if arguments.logger:
        settings["logger"] = ["csv", *(name for name in dict.fromkeys(arguments.logger) if name != "csv")]
    for flag in ("fresh", "compile"):
        if getattr(arguments, flag):
            settings[flag] = True
    for word in arguments.extra:
        if word.startswith("--") and "." in word and "=" not in word:
            raise KdlabError(f"A setting is written {word}=VALUE, with '=' and no space.")
        if word.startswith("-") and "=" not in word:
            raise arguments.parser.unknown_flag(word)
        key, value = parse_override(word, "kdlab run")
        settings[key] = value
    for key, value in settings.items():
        if isinstance(value, str) and value.startswith("~"):
            expanded(key, value)
    return settings
