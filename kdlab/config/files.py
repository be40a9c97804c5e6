"""Settings in YAML: the file of ``--config``, and nested mappings as dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kdlab.errors import KdlabError
from kdlab.system.yaml_files import reading_yaml


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a ``--config`` YAML file, flattened to dotted keys.

    Raises:
        KdlabError: Missing, not UTF-8, not YAML or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise KdlabError(f"The configuration {path} can't be read: {e.strerror}.") from e
    except UnicodeDecodeError as e:
        line = e.object.count(b"\n", 0, e.start) + 1
        raise KdlabError(f"{path}:{line}: byte 0x{e.object[e.start]:02x} is not UTF-8: save the file as UTF-8.") from e
    with reading_yaml(path):
        content = yaml.safe_load(text)
        if isinstance(content, dict):
            return flatten(content)  # an alias inside itself is found here
    if content is None:
        return {}
    raise KdlabError(f"{path} must hold settings as 'key: value', not a {type(content).__name__}.")


def flatten(content: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
