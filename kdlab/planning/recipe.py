"""A recipe that attacks a student in training, with the lexical resources that it works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kdlab.attacks import load_recipe
from kdlab.attacks.attempt import Attack
from kdlab.attacks.kit import kit_for
from kdlab.data.task_data import TaskData
from kdlab.data.tasks import TRAIN
from kdlab.planning.attack import FORMAT
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint
from kdlab.system.own_code import about_class
from kdlab.transformations.resources import Resources
from kdlab.transformations.tables import Origin
from kdlab.types import RecipeResource


@dataclass(frozen=True)
class RecipePlan:
    """A recipe, ready to attack.

    Attributes:
        name: As the user calls it.
        about_recipe: Its name, and for a user's own file its content's fingerprint.
        origins: Where its resources come from.
        columns: Names of the task's text columns, by which a recipe knows a premise.
        attack: What it composes.
    """

    name: str
    about_recipe: tuple[str, ...]
    origins: tuple[Origin, ...]
    columns: tuple[str, ...]
    attack: Attack = field(repr=False)

    @property
    def key(self) -> str:
        """Fingerprint of what it makes of a text and a student."""
        return fingerprint(
            "recipe",
            FORMAT,
            list(self.about_recipe),
            list(self.columns),
            [[origin.kind, origin.sha256] for origin in self.origins],
        )

    @property
    def substituted(self) -> tuple[str, ...]:
        """Resources that stand in for others, in sentences."""
        return tuple(dict.fromkeys(origin.sentence for origin in self.origins if origin.sentence))

    def describe(self) -> str:
        """As the plan says it."""
        works_with = ", ".join(f"{origin.kind} of {origin.name}" for origin in self.origins)
        return f"{self.name}{f' with {works_with}' if works_with else ''}, fingerprint {self.key[:12]}"

    def about(self) -> dict[str, Any]:
        """As the record says it."""
        origins = [{"kind": o.kind, "name": o.name, "sha256": o.sha256} for o in self.origins]
        return {"recipe": self.name, "resources": origins, "fingerprint": self.key}


def plan_recipe(wish: RecipeResource, task: TaskData, cache: Cache) -> RecipePlan:
    """Reads the resources, and composes the attack.

    Args:
        wish: What the method wants.
        task: Whose training rows are attacked.
        cache: Where digests and neighbours are kept.

    Raises:
        KdlabError: No such recipe or folder, or a resource can't be read.
    """
    kind = load_recipe(wish.recipe)
    rows = task.splits[TRAIN]
    text, pair, _ = task.spec.file_columns
    columns = (text,) if pair is None else (text, pair)
    texts = zip(rows.text, rows.text_pair, strict=True) if rows.text_pair is not None else ((one,) for one in rows.text)
    name = kind.name or kind.__name__.lower()
    kit = kit_for(name, kind.needs, texts, Resources(wish.folder, cache), columns=columns)
    return RecipePlan(name, tuple(about_class(wish.recipe)), kit.origins, columns, kind().build(kit))
