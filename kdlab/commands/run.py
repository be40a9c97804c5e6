"""``kdlab run``: train a student and record it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from kdlab.commands.arguments import _expanded, _parse_override, _Parser
from kdlab.errors import KdlabError, nearest

# flag -> setting, type, metavar, help
_SETTINGS: dict[str, tuple[str, type, str, str]] = {
    "--method": ("method", str, "NAME", "a method of --list methods, or path/to/file.py:Class"),
    "--task": ("task", str, "NAME", "a task of --list tasks, or path/to/task.yaml"),
    "--profile": ("profile", str, "{auto,paper,embedded}", "where data and encoders come from (default: auto)"),
    "--data-dir": ("data.dir", str, "DIR", "folder in the original GLUE layout"),
    "--limit-train": ("data.limit_train", str, "N", "part of the training data: 10%%, 1%% or 500"),
    "--teacher": ("teacher.source", str, "MODEL", "folder, name on the hub, or 'embedded'"),
    "--student": ("student.source", str, "SPEC", "checkpoint, or [DONOR:]layers:bottom:3 (top, skip, or 0,2,4)"),
    "--ood-dir": ("evaluation.ood_dir", str, "DIR", "folder with the files of evaluation.ood=[…]"),
    "--seed": ("seed", int, "N", "the student's seed (default: 0)"),
    "--seeds": ("seeds", int, "N", "run N student seeds and print mean and sd"),
    "--out": ("out", str, "DIR", "where records are written (default: runs)"),
    "--accelerator": ("accelerator", str, "{auto,cpu,gpu}", "where to compute (default: auto)"),
    "--devices": ("devices", int, "N", "how many devices (default: 1)"),
    "--precision": ("precision", str, "{auto,32,bf16,16}", "arithmetic (default: auto)"),
}


def _settings(arguments: argparse.Namespace, extra: Sequence[str], parser: _Parser) -> dict[str, Any]:
    """Dotted settings: the YAML file's, over them the flags', over them the key=value words."""
    from kdlab.config.files import read_file

    settings = read_file(_expanded("--config", arguments.config)) if arguments.config else {}
    for key, _, _, _ in _SETTINGS.values():
        if getattr(arguments, key) is not None:
            settings[key] = getattr(arguments, key)
    if arguments.logger:
        settings["logger"] = ["csv", *(name for name in dict.fromkeys(arguments.logger) if name != "csv")]
    for flag in ("fresh", "compile"):
        if getattr(arguments, flag):
            settings[flag] = True
    for word in extra:
        if word.startswith("--") and "." in word and "=" not in word:
            raise KdlabError(f"A setting is written {word}=VALUE, with '=' and no space.")
        if word.startswith("-") and "=" not in word:
            raise nearest(word, [o for a in parser._actions for o in a.option_strings], "flag")
        key, value = _parse_override(word)
        settings[key] = value
    for key, value in settings.items():
        if isinstance(value, str) and value.startswith("~"):
            _expanded(key, value)
    return settings


def _run(arguments: argparse.Namespace, extra: Sequence[str], parser: _Parser, words: Sequence[str]) -> int:
    settings = _settings(arguments, extra, parser)
    from kdlab.pipeline.run import run

    run(settings, dry_run=arguments.dry_run, print_config=arguments.print_config, words=words)
    return 0
