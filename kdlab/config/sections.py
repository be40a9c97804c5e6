"""Sections of settings beside those of a run: each a dataclass, checked as a run's settings are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from omegaconf import OmegaConf

from kdlab.config.checks import check_values
from kdlab.config.resolve import set_value


def take_sections(
    kinds: Mapping[str, type[Any]], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections with what the user says in them, and what he says besides.

    Args:
        kinds: Section to its dataclass.
        overrides: Dotted settings.

    Raises:
        KdlabError: A setting that a section doesn't have, or a value of the wrong type.
    """
    tree = OmegaConf.create({name: OmegaConf.structured(kind) for name, kind in kinds.items()})
    OmegaConf.set_struct(tree, True)
    known = [f"{name}.{f.name}" for name, kind in kinds.items() for f in fields(kind)]
    rest = {}
    for key, value in overrides.items():
        if key.partition(".")[0] in kinds:
            set_value(tree, key, value, known)
        else:
            rest[key] = value
    check_values(OmegaConf.to_container(tree, resolve=True), set(kinds))  # type: ignore[arg-type]
    return {name: OmegaConf.to_object(tree[name]) for name in kinds}, rest
