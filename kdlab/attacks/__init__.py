"""Attacks on classifiers: whether a few other words or letters in a text make a model change its mind.

An attack is a goal, constraints, a transformation and a search (Morris et al. 2020); a recipe composes them. The engine
attacks hundreds of texts side by side, so that their questions to the models meet in batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdlab.system.own_code import find_class

if TYPE_CHECKING:
    from kdlab.attacks.recipes.base import Recipe

RECIPES: dict[str, tuple[str, str]] = {
    "textfooler": ("kdlab.attacks.recipes.textfooler:TextFooler", "near words, most important first (Jin 2019)"),
    "bae": ("kdlab.attacks.recipes.bae:BAE", "a masked LM's words, most important first (Garg 2020)"),
    "deepwordbug": ("kdlab.attacks.recipes.deepwordbug:DeepWordBug", "typing errors by chance (Gao 2018)"),
    "pruthi": ("kdlab.attacks.recipes.pruthi:Pruthi", "the worst typing error in one word (Pruthi 2019)"),
}
"""Recipe to class and one line."""


def load_recipe(name: str) -> type[Recipe]:
    """The class of a recipe.

    Args:
        name: A name in ``RECIPES``, or ``path/to/file.py:Class``.

    Raises:
        KdlabError: No such recipe, file or class, or the class is no ``Recipe``.
    """
    from kdlab.attacks.recipes.base import Recipe

    return find_class(name, RECIPES, Recipe, "recipe")  # type: ignore[type-abstract]


def recipe_name(word: str) -> str:
    """A recipe's name, as tables and folders have it.

    Args:
        word: As in ``load_recipe``.

    Raises:
        KdlabError: No such recipe, file or class, or the class is no ``Recipe``.
    """
    if word in RECIPES:
        return word
    kind = load_recipe(word)
    return kind.name or kind.__name__.lower()
