"""What attacks make of a word: near words, a masked LM's words, typing errors."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence

from kdlab.attacks.asks import AskWords, Steps, at_once
from kdlab.attacks.contract import UnderAttack
from kdlab.attacks.text import AttackText
from kdlab.system.draw import Draw
from kdlab.transformations.attack_words import words_from_text

_LETTER = re.compile("[a-zA-Z]")


class Transformation(ABC):
    """Makes texts with one change more."""

    @abstractmethod
    def candidates(self, text: AttackText, places: Sequence[int], attempt: UnderAttack) -> Steps[list[AttackText]]:
        """Texts with another word at one of some places, in the order of places.

        Args:
            text: The text as it stands.
            places: Positions of words.
            attempt: The attack on the example.
        """


class TableSwap(Transformation):
    """Another word of a table, written as the old one.

    Args:
        table: Lower-case word to its candidates.
    """

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        self.table = table

    def candidates(self, text: AttackText, places: Sequence[int], attempt: UnderAttack) -> Steps[list[AttackText]]:
        """See ``Transformation.candidates``."""
        return at_once(
            [
                text.replaced(i, new)
                for i in places
                for other in self.table.get(text.words[i].lower(), ())
                if (new := written_like(other, text.words[i])) != text.words[i]
            ]
        )


class MaskedLMSwap(Transformation):
    """A masked LM's words for a place, in the text as it stands.

    Args:
        mask: Its mask token.
    """

    def __init__(self, mask: str) -> None:
        self.mask = mask

    def candidates(self, text: AttackText, places: Sequence[int], attempt: UnderAttack) -> Steps[list[AttackText]]:
        """See ``Transformation.candidates``."""
        if not places:
            return []
        answers = yield AskWords([text.with_token(i, self.mask) for i in places])
        return [
            text.replaced(i, new)
            for i, words in zip(places, answers, strict=True)
            for new in words
            if new != text.words[i] and _LETTER.search(new) and len(words_from_text(new)) == 1
        ]


Change = Callable[[str, Draw], list[str]]
"""A word and chance to other words."""


class CharacterSwap(Transformation):
    """Typing errors, of several kinds; a text that two kinds make stands once.

    Args:
        changes: The kinds, in the order in which they draw by chance.
    """

    def __init__(self, changes: Collection[Change]) -> None:
        self.changes = tuple(changes)

    def candidates(self, text: AttackText, places: Sequence[int], attempt: UnderAttack) -> Steps[list[AttackText]]:
        """See ``Transformation.candidates``."""
        made: dict[tuple[str, ...], AttackText] = {}
        for change in self.changes:
            for i in places:
                for new in change(text.words[i], attempt.draw):
                    one = text.replaced(i, new)
                    made.setdefault(one.texts, one)
        return at_once(list(made.values()))


def written_like(word: str, old: str) -> str:
    """A word in the case of another one, as TextAttack has it; as it is where that one mixes cases."""
    if old.islower():
        return word.lower()
    if old.isupper() and len(old) > 1:
        return word.upper()
    if old[0].isupper() and old[1:].islower():
        return word.capitalize()
    return word
