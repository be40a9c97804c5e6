"""A text under attack: its words, which of them have been changed, and copies of it with other words.

Words and what becomes of the text around them are TextAttack's 0.3.11 (``AttackedText``), so that positions, counts and
texts are the same; its traps (a deleted word at the end leaves its blank) are part of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from kdlab.transformations.attack_words import words_from_text

BETWEEN = "\n"
"""What stands between the texts of a pair where they are taken as one."""


@dataclass(eq=False)
class AttackText:
    """One text, or the two of a pair, with the words of both numbered through.

    Attributes:
        texts: One text or two.
        words: Their words, those of the second behind those of the first.
        changed: Positions of the words that have been changed since the original.
        new: Positions of the words that the last change made.
        values: What constraints measured of the last change, by name.
    """

    texts: tuple[str, ...]
    words: tuple[str, ...]
    changed: frozenset[int] = frozenset()
    new: tuple[int, ...] = ()
    values: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str]) -> AttackText:
        """A text as it is given, nothing changed."""
        own = tuple(texts)
        return cls(own, tuple(word for text in own for word in words_from_text(text)))

    @cached_property
    def text(self) -> str:
        """All of it as one text, a pair with a line break between."""
        return BETWEEN.join(self.texts)

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each word in ``text``."""
        found, end = [], 0
        for word in self.words:
            start = self.text.find(word, end)
            end = start + len(word)
            found.append((start, end))
        return tuple(found)

    @cached_property
    def sides(self) -> tuple[int, ...]:
        """Of each word the number of its text: 0, or 1 in the second of a pair."""
        behind = len(self.texts[0])
        return tuple(int(start > behind) for start, _ in self.spans)

    def replaced(self, position: int, new: str) -> AttackText:
        """A copy with another word, with several, or with none in the place of one.

        Args:
            position: Number of the word.
            new: What stands there; empty deletes the word and the blank before it (behind the first word, after it).
        """
        side = self.sides[position]
        before = sum(len(text) + len(BETWEEN) for text in self.texts[:side])
        start, end = (place - before for place in self.spans[position])
        text = self.texts[side]
        left, right = text[:start], text[end:]
        found = words_from_text(new)
        if not found and (right or side < len(self.texts) - 1):
            if position == 0:
                right = right.removeprefix(" ")
            elif left.endswith(" "):
                left = left[:-1]
        texts = (*self.texts[:side], f"{left}{new}{right}", *self.texts[side + 1 :])
        if found == [new]:
            words = (*self.words[:position], new, *self.words[position + 1 :])
            return AttackText(texts, words, self.changed | {position}, (position,))
        shift = len(found) - 1
        changed = self.changed
        if shift:
            changed = frozenset(i + shift * (i > position) for i in changed if i != position)
        places = tuple(range(position, position + len(found)))
        return AttackText(
            texts, tuple(word for one in texts for word in words_from_text(one)), changed.union(places), places
        )

    def with_token(self, position: int, token: str) -> str:
        """The whole text with a token in the place of a word, such as a masked LM's mask."""
        start, end = self.spans[position]
        return f"{self.text[:start]}{token}{self.text[end:]}"

    def window(self, position: int, size: int) -> str:
        """The text from the first to the last of so many words around one, as far as there are so many.

        Args:
            position: Number of the word.
            size: Words, an odd number.
        """
        count, half = len(self.words), (size - 1) // 2
        if position - half < 0:
            first, last = 0, min(size - 1, count - 1)
        elif position + half >= count:
            first, last = max(0, count - size), count - 1
        else:
            first, last = position - half, position + half
        return self.text[self.spans[first][0] : self.spans[last][1]]

    def differences(self, other: AttackText) -> list[int]:
        """Positions at which two texts have other words, as far as both reach."""
        return [i for i, (a, b) in enumerate(zip(self.words, other.words, strict=False)) if a != b]
