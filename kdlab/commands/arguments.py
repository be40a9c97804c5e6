"""What the verbs' command lines share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from kdlab.errors import KdlabError


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, like every other."""

    def error(self, message: str) -> NoReturn:
        raise KdlabError(f"{message[0].upper()}{message[1:]}: see {self.prog} --help.")


def _expanded(key: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as e:
        raise KdlabError(f"{key} '{text}': there is no such home folder.") from e


def _parse_override(word: str) -> tuple[str, Any]:
    """``key=value`` of the command line; the value is read as YAML reads it.

    Raises:
        KdlabError: No ``=`` in it, or a value that is no YAML.
    """
    key, sign, text = word.removeprefix("--").partition("=")
    if not sign or not key:
        raise KdlabError(f"'{word}' is neither a flag nor key=value: see kdlab run --help.")
    import yaml

    from kdlab.config.files import YAML_ERRORS

    try:
        return key, yaml.safe_load(text) if text else ""
    except YAML_ERRORS as e:
        raise KdlabError(f"The value of '{word}' can't be read: put quotes around it.") from e
