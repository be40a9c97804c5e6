"""What the verbs' command lines share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from kdlab.errors import KdlabError, nearest
from kdlab.system.shown import clipped, shown


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, like every other."""

    def error(self, message: str) -> NoReturn:
        """Raises what is wrong instead of ending the process."""
        raise KdlabError(f"{message[0].upper()}{message[1:]}: see {self.prog} --help.")

    def refuse_extra(self, words: Sequence[str]) -> None:
        """Raises ``KdlabError`` for words that the verb does not know, with the nearest flags."""
        if not words:
            return
        if words[0].startswith("-"):
            raise self.unknown_flag(words[0])
        raise KdlabError(f"'{words[0]}' is nothing that {self.prog} knows: see {self.prog} --help.")

    def unknown_flag(self, word: str) -> KdlabError:
        """The error for a flag that is not there, with the nearest ones."""
        return nearest(word.partition("=")[0], [o for a in self._actions for o in a.option_strings], "flag")


def add_jobs(parser: Parser) -> None:
    """The flag of verbs that make several runs."""
    text = "work on N runs side by side, each in a process with its share of the cores or GPUs (default: 1)"
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=text)


def expanded(name: str, text: str) -> Path:
    """A path whose ``~`` is filled in.

    Args:
        name: The flag or setting, for the message.
        text: What the user wrote.

    Raises:
        KdlabError: There is no such home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as e:
        raise KdlabError(f"{name} '{text}': there is no such home folder.") from e


def parse_override(word: str, prog: str) -> tuple[str, Any]:
    """``key=value`` of the command line; the value is read as YAML reads it.

    Args:
        word: What the user wrote; ``--key=value`` says the same.
        prog: The command, for the message.

    Raises:
        KdlabError: No ``=`` in it, or a value that is no YAML.
    """
    key, sign, text = word.removeprefix("--").partition("=")
    if not sign or not key:
        raise KdlabError(f"'{word}' is neither a flag nor key=value: see {prog} --help.")
    import yaml

    from kdlab.system.foreign import parse_yaml

    try:
        if re.fullmatch(r"\d+:\d+", text):  # 121 for 2:1; the setting for pairs of layers says how one is written
            return key, yaml.safe_load(text)
        return key, parse_yaml(text, "the command line")[0] if text else ""
    except KdlabError as e:
        what = clipped(shown(word), 200)
        raise KdlabError(f"The value of '{what}' can't be read ({clipped(str(e))}): put quotes around it.") from e
