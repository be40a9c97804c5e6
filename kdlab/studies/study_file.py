"""A study's file as it is written: its parts by their keys, and the line of each for messages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kdlab.errors import KdlabError, nearest
from kdlab.system.foreign import read_yaml

SECTIONS = (
    *("title", "source", "statistic", "runs", "tasks", "seeds", "profiles", "fill", "common", "of_task", "cells"),
    *("vary", "rows", "paper", "logs", "elsewhere", "claims", "search", "picture", "heatmap", "count"),
)


class StudyFile:
    """A study's file with the lines of its parts, for messages.

    Args:
        path: The file.

    Raises:
        KdlabError: It can't be read, or is no study.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content, self._root = read_yaml(path)
        if not isinstance(content, dict) or not content.get("cells"):
            raise KdlabError(f"{path} is no study: it must hold 'cells', and the settings of each below its name.")
        self._content: dict[str, Any] = self._named(content, ())
        for name in self._content:
            if name not in SECTIONS:
                raise self.error((name,), str(nearest(str(name), SECTIONS, "section")).rstrip("."))

    def _named(self, value: Any, where: tuple[Any, ...]) -> Any:
        """A value whose mappings have texts as keys; a number is as good a name as any."""
        if not isinstance(value, dict):
            return value
        for key in value:
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise self.error((*where, key), f"YAML reads a name here as {key!r:.40}: write quotes around it")
        return {str(key): self._named(inner, (*where, str(key))) for key, inner in value.items()}

    def error(self, where: Iterable[Any], what: str) -> KdlabError:
        """A message that names the line of a part, given by its keys from the top."""
        return KdlabError(f"{self.path}:{self.line(where)}: {what}.")

    def line(self, where: Iterable[Any]) -> int:
        """The line in which a part's key stands, or of the last of its keys that is there."""
        node, line = self._root, 1
        for key in where:
            if not isinstance(node, yaml.MappingNode):
                break
            found = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        return line

    def text(self, name: str) -> str:
        """A section that is a text; empty where it is not there."""
        value = self._content.get(name)
        if value is not None and not isinstance(value, str):
            raise self.error((name,), f"'{name}' must be a text")
        return value or ""

    def whole(self, name: str) -> int | None:
        """A section that is a whole number from 1; None where it is not there."""
        value = self._content.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise self.error((name,), f"'{name}' must be a whole number from 1")
        return value

    def names(self, where: tuple[Any, ...], value: Any) -> tuple[str, ...]:
        """A list of names."""
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise self.error(where, f"'{where[-1]}' must be a list of names, such as [rte, sst2]")
        return tuple(value)

    def part(self, *where: Any) -> dict[str, Any]:
        """A part that holds settings or figures, given by its keys; empty where it is not there."""
        value: Any = self._content
        for key in where:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(where, f"'{where[-1]}' must hold settings, one a line, such as 'method: kd'")
        return dict(value)

    def value(self, *where: Any) -> Any:
        """Whatever stands there."""
        value: Any = self._content
        for key in where:
            value = value.get(key) if isinstance(value, dict) else None
        return value
