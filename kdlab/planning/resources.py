"""What a plan says of what a method wants besides student, teacher and rows, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kdlab.data.sources import Hub
from kdlab.data.task_data import TaskData
from kdlab.methods.contract import MethodContract
from kdlab.models.checkpoint import Checkpoint
from kdlab.planning.backbone import open_checkpoint
from kdlab.planning.generator import plan_generator
from kdlab.planning.recipe import plan_recipe
from kdlab.system.cache import Cache
from kdlab.types import MaskedLMResource, RecipeResource, Resource


class PlannedResource(Protocol):
    """What is decided of a resource before it is made."""

    @property
    def key(self) -> str:
        """Fingerprint of what results."""

    @property
    def substituted(self) -> tuple[str, ...]:
        """What it stands in for, in sentences."""

    def describe(self) -> str:
        """As the plan says it."""

    def about(self) -> dict[str, Any]:
        """As the record says it."""


@dataclass(frozen=True)
class Surroundings:
    """What a resource is planned from.

    Attributes:
        student: The student's own checkpoint; None where it is made of the teacher.
        teacher: The teacher's checkpoint, where there is one.
        task: The data.
        max_length: Longest input in tokens.
        seed: The teacher's, so that student seeds share a resource.
        hub: Whether it answers.
        cache: What is kept between runs.
    """

    student: Checkpoint | None
    teacher: Checkpoint | None
    task: TaskData
    max_length: int
    seed: int
    hub: Hub
    cache: Cache


def plan_resources(method: type[MethodContract], config: Any, around: Surroundings) -> dict[str, PlannedResource]:
    """Decides about every resource of a method.

    Args:
        method: The method's class.
        config: Its settings.
        around: What they are planned from.

    Raises:
        KdlabError: One can't be had, or fits neither student nor teacher.
    """
    return {name: _plan(resource, around) for name, resource in method.resources_of(config).items()}


def _plan(resource: Resource, around: Surroundings) -> PlannedResource:
    if isinstance(resource, MaskedLMResource):
        asked = None if resource.source is None else open_checkpoint(resource.source, around.hub)
        reader = around.teacher or around.student
        if reader is None:
            raise ValueError("a masked LM writes what teacher or student reads, and there is neither")
        return plan_generator(resource, asked, around.student, reader, around.task, around.max_length, around.seed)
    if isinstance(resource, RecipeResource):
        return plan_recipe(resource, around.task, around.cache)
    raise ValueError(f"kdlab knows no resource of kind {type(resource).__name__}")


def resource_keys(resources: Mapping[str, PlannedResource]) -> list[str]:
    """Their fingerprints, in the order of their names."""
    return [resources[name].key for name in sorted(resources)]
