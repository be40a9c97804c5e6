"""DeepWordBug (Gao et al. 2018, arXiv:1801.04354), as TextAttack 0.3.11 composes it."""

from __future__ import annotations

from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed, EditDistance, StopWords
from kdlab.attacks.kit import STOP_WORDS, Kit
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import WordImportance
from kdlab.attacks.transformations import CharacterSwap
from kdlab.transformations.characters import (
    one_deletion,
    one_insertion,
    one_neighbour_swap,
    one_substitution,
)


class DeepWordBug(Recipe):
    """One typing error of each kind in a word, by chance, and the worst of them is taken."""

    name = "deepwordbug"
    needs = (STOP_WORDS,)

    def build(self, kit: Kit) -> Attack:
        """See ``Recipe.build``."""
        return Attack(
            transformation=CharacterSwap([one_neighbour_swap, one_substitution, one_deletion, one_insertion]),
            search=WordImportance(unknown="[UNK]"),
            unchangeable=[Changed(), StopWords(kit.stop_words), *kit.sides],
            constraints=[EditDistance(30)],
        )
