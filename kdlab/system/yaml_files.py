"""Errors of reading YAML as sentences with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from kdlab.errors import KdlabError

# PyYAML lets plain errors of its constructors through: a date of month 13, "!!bool x", an alias inside itself
YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


@contextmanager
def reading_yaml(path: Path) -> Iterator[None]:
    """For code that parses a YAML file: whatever PyYAML raises becomes one sentence.

    Args:
        path: The file, for the message.

    Raises:
        KdlabError: It is not valid YAML; the message names the line where PyYAML knows it.
    """
    try:
        yield
    except YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        what = getattr(error, "problem", None) or str(error).split("\n")[0] or type(error).__name__
        raise KdlabError(f"{where}: not valid YAML ({what}): correct the file.") from error
