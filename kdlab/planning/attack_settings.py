"""What the user asks of attacks, whoever is attacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kdlab.attacks import load_recipe, recipe_name
from kdlab.attacks.attempt import FIXED, MODES
from kdlab.attacks.kit import KINDS
from kdlab.attacks.recipes.base import Recipe
from kdlab.config.schema import EvaluationConfig
from kdlab.data.spec import TaskSpec
from kdlab.errors import KdlabError, nearest
from kdlab.system.own_code import about_class

SIDES = {"text": (0,), "pair": (1,), "both": (0, 1)}
"""What of a pair may be changed, to the numbers of its texts."""


@dataclass(frozen=True)
class AttackSettings:
    """What the user asks for.

    Attributes:
        recipes: Names, or ``path/to/file.py:Class``.
        count: Examples, drawn by the seed; None takes all.
        seed: Draws examples, and the random choices of attacks.
        mode: ``fixed`` or ``compat``.
        side: What of a pair may be changed: ``text``, ``pair`` or ``both``; None leaves it to the recipe.
        resources: Folder of lexical resources; None takes ``$KDLAB_RESOURCES``.
        masked_lm: A masked LM for recipes that need one; None takes the checkpoint that the teacher is made of.
        head_steps: Steps in which its head is trained where it comes without one.
        sentence_encoder: A BERT-like model, whose states are averaged; None takes the masked LM's checkpoint.
        similarity: The similarity that passes; None takes the recipe's.
    """

    recipes: tuple[str, ...]
    count: int | None = None
    seed: int = 0
    mode: str = FIXED
    side: str | None = None
    resources: str | None = None
    masked_lm: str | None = None
    head_steps: int = 1000
    sentence_encoder: str | None = None
    similarity: float | None = None

    def check(self) -> None:
        """Raises ``KdlabError`` for what is wrong whatever is attacked."""
        if not self.recipes:
            raise KdlabError("--recipe names no recipe: see kdlab list recipes.")
        if self.count is not None and self.count < 1:
            raise KdlabError(f"-n {self.count}: it says how many examples are drawn, 1 or more.")
        if type(self.seed) is not int or self.seed < 0:
            raise KdlabError(f"--seed {self.seed}: it must be a whole number, 0 or more.")
        if self.mode not in MODES:
            raise nearest(self.mode, MODES, "mode")
        if self.side is not None and self.side not in SIDES:
            raise KdlabError(f"--side {self.side}: it is one of {', '.join(SIDES)}.")
        if self.similarity is not None and not -1 <= self.similarity <= 1:
            raise KdlabError(f"--similarity {self.similarity}: it is a cosine or a share of an angle, from -1 to 1.")
        if self.head_steps < 1:
            raise KdlabError(f"masked_lm.head_steps={self.head_steps}: it must be 1 or more.")


def attacks_in_run(asked: EvaluationConfig, spec: TaskSpec) -> AttackSettings | None:
    """What a run's settings say of attacks; None where they ask for none.

    Args:
        asked: Those of its evaluation.
        spec: The task.

    Raises:
        KdlabError: They ask for what can't be done.
    """
    if not asked.attack:
        return None
    settings = AttackSettings(
        recipes=tuple(asked.attack),
        count=asked.attack_examples,
        seed=asked.attack_seed,
        mode=asked.attack_mode,
        resources=asked.attack_resources,
        masked_lm=asked.attack_masked_lm,
    )
    settings.check()
    check_task(spec)
    named_recipes(settings.recipes)
    return settings


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe as it was asked for.

    Attributes:
        name: As tables and files have it.
        kind: Its class.
        about: Its name, and for a user's own file its content's fingerprint.
    """

    name: str
    kind: type[Recipe]
    about: tuple[str, ...]


def check_task(spec: TaskSpec) -> None:
    """Raises ``KdlabError`` for a task that has no labels."""
    if spec.regression:
        raise KdlabError(f"{spec.name} has scores and no labels, so nothing can be attacked: give another task.")


def named_recipes(names: Sequence[str]) -> tuple[NamedRecipe, ...]:
    """Recipes as they were asked for, each once.

    Args:
        names: As in ``load_recipe``.

    Raises:
        KdlabError: There is no such recipe, or its needs or its name are no good.
    """
    found: dict[str, NamedRecipe] = {}
    for word in dict.fromkeys(names):
        kind = load_recipe(word)
        unknown = [need for need in kind.needs if need not in KINDS]
        if unknown:
            raise KdlabError(f"Recipe {word} needs '{unknown[0]}', which is none of {', '.join(KINDS)}.")
        name = recipe_name(word)
        if name in found or not name.replace("-", "").replace("_", "").isalnum():
            raise KdlabError(f"Recipe {word} is called '{name}': give it a name of its own, of letters and digits.")
        found[name] = NamedRecipe(name, kind, tuple(about_class(word)))
    return tuple(found.values())
