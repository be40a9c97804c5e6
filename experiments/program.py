"""What the measuring programs of this folder share: settings on the command line, and ends with a sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import yaml

KEPT = "runs that were finished are kept, and the same command goes on behind them"


def take_settings(parser: argparse.ArgumentParser) -> None:
    """Has a program take words ``key=value``."""
    parser.add_argument("words", nargs="*", metavar="key=value", help="settings of the runs")


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, values read as YAML."""
    parts = (word.partition("=") for word in arguments.words)
    return {key: yaml.safe_load(text) for key, _, text in parts}


def ended(work: Callable[[], int]) -> int:
    """The work's exit code; a mistake ends in a sentence and 2, an interruption in a sentence and 130 or 143."""
    from kdlab.cli import guarded

    return guarded(work, lambda: KEPT)
