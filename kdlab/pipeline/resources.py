"""What a method wants besides student, teacher and rows: made as planned, and handed in by name."""

from __future__ import annotations

from collections.abc import Mapping

from kdlab.data.module import TextDataModule
from kdlab.methods.base import DistillModule
from kdlab.pipeline.generator import obtain_generator
from kdlab.planning.generator import GeneratorPlan
from kdlab.planning.recipe import RecipePlan
from kdlab.planning.resources import PlannedResource
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.hardware import Hardware


def hand_in(
    module: DistillModule,
    resources: Mapping[str, PlannedResource],
    data: TextDataModule,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
) -> None:
    """Makes each resource, or takes it from the cache, and gives it to the method.

    Args:
        module: The method.
        resources: What was planned, by name.
        data: The task's data.
        hardware: Where something is trained.
        cache: Where it is kept.
        reporter: Shows progress.

    Raises:
        KdlabError: One can't be made, or the method can't use it.
    """
    for name, planned in resources.items():
        if isinstance(planned, RecipePlan):
            module.take(name, planned.attack)
        elif isinstance(planned, GeneratorPlan):
            module.take(name, obtain_generator(planned, data, hardware, cache, reporter))
        else:
            raise ValueError(f"kdlab can't make a resource of kind {type(planned).__name__}")
