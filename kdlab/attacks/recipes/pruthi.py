"""Misspellings by Pruthi et al. (2019, arXiv:1905.11268), as TextAttack 0.3.11 composes them."""

from __future__ import annotations

from functools import partial

from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed, Short, StopWords, WordsChanged
from kdlab.attacks.kit import STOP_WORDS, Kit
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import Greedy
from kdlab.attacks.transformations import CharacterSwap
from kdlab.system.draw import Draw
from kdlab.transformations.characters import deletions, insertions, neighbour_swaps, qwerty


class Pruthi(Recipe):
    """Every typing error inside a word of four letters or more, in one word at most."""

    name = "pruthi"
    needs = (STOP_WORDS,)

    def build(self, kit: Kit) -> Attack:
        """See ``Recipe.build``."""
        return Attack(
            transformation=CharacterSwap([_swaps, _deletions, partial(insertions, skip_ends=True), _keys]),
            search=Greedy(),
            unchangeable=[Short(4), StopWords(kit.stop_words), Changed(), *kit.sides],
            constraints=[WordsChanged(1)],
        )


def _swaps(word: str, draw: Draw) -> list[str]:
    return neighbour_swaps(word, skip_ends=True)


def _deletions(word: str, draw: Draw) -> list[str]:
    return deletions(word, skip_ends=True)


def _keys(word: str, draw: Draw) -> list[str]:
    return qwerty(word, skip_ends=True)
