"""Settings in YAML: the file of ``--config``, and nested mappings as dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.system.foreign import read_yaml


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a ``--config`` YAML file, flattened to dotted keys.

    Raises:
        KdlabError: Missing, not UTF-8, not YAML or not a mapping.
    """
    content, _ = read_yaml(path)
    if isinstance(content, dict):
        return flatten(content)
    if content is None:
        return {}
    raise KdlabError(f"{path} must hold settings as 'key: value', not a {type(content).__name__}.")


def flatten(content: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        below = flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        if twice := flat.keys() & below.keys():
            raise KdlabError(f"The setting '{min(twice)}' is given twice: remove one.")
        flat |= below
    return flat
