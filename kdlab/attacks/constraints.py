"""What attacks may not do: words that are never changed, and candidates that are too far from the text."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from kdlab.attacks.asks import AskSimilarity, Steps, at_once
from kdlab.attacks.contract import UnderAttack
from kdlab.attacks.search import SIMILARITY
from kdlab.attacks.text import AttackText
from kdlab.transformations.tagger import Tagger

_BEFORE, _AFTER = 4, 3  # words around a word that its part of speech is told by
_EITHER = frozenset({"NOUN", "VERB"})


class Unchangeable(ABC):
    """Words that stay as they are."""

    @abstractmethod
    def changeable(self, text: AttackText, attempt: UnderAttack) -> set[int]:
        """Positions of all other words.

        Args:
            text: The text as it stands.
            attempt: The attack on the example.
        """


class Changed(Unchangeable):
    """Those that have been changed already."""

    def changeable(self, text: AttackText, attempt: UnderAttack) -> set[int]:
        """See ``Unchangeable.changeable``."""
        return set(range(len(text.words))) - text.changed


class StopWords(Unchangeable):
    """Stop words.

    TextAttack compares them as they are written, so that ``The`` is none; in ``fixed`` case does not matter.

    Args:
        words: In lower case.
    """

    def __init__(self, words: Collection[str]) -> None:
        self.words = frozenset(words)

    def changeable(self, text: AttackText, attempt: UnderAttack) -> set[int]:
        """See ``Unchangeable.changeable``."""
        own = text.words if attempt.compat else [word.casefold() for word in text.words]
        return {i for i, word in enumerate(own) if word not in self.words}


class Short(Unchangeable):
    """Words of few characters.

    Args:
        least: Characters of a word that may be changed.
    """

    def __init__(self, least: int) -> None:
        self.least = least

    def changeable(self, text: AttackText, attempt: UnderAttack) -> set[int]:
        """See ``Unchangeable.changeable``."""
        return {i for i, word in enumerate(text.words) if len(word) >= self.least}


class OtherSides(Unchangeable):
    """The words of one text of a pair.

    Args:
        sides: The texts that may be changed: 0 for the first, 1 for the second.
    """

    def __init__(self, sides: Collection[int]) -> None:
        self.sides = frozenset(sides)

    def changeable(self, text: AttackText, attempt: UnderAttack) -> set[int]:
        """See ``Unchangeable.changeable``."""
        count = len(text.words)
        if len(text.texts) == 1 or self.sides >= {0, 1}:
            return set(range(count))
        first, found = text.sides.count(0), set[int]()
        for side, positions in enumerate((range(first), range(first, count))):
            if side in self.sides:
                found |= set(positions)  # as TextAttack makes it: a set's order depends on how it was made
        return found


class Constraint(ABC):
    """Lets candidates pass or not."""

    @abstractmethod
    def kept(self, candidates: Sequence[AttackText], text: AttackText, attempt: UnderAttack) -> Steps[list[AttackText]]:
        """Those that pass, in their order.

        Args:
            candidates: The text with one change more, one or more of them.
            text: The text before it.
            attempt: The attack on the example.
        """


class _Alone(Constraint):
    """One that asks nobody."""

    def kept(self, candidates: Sequence[AttackText], text: AttackText, attempt: UnderAttack) -> Steps[list[AttackText]]:
        """See ``Constraint.kept``."""
        return at_once(self.filtered(candidates, attempt.original))

    @abstractmethod
    def filtered(self, candidates: Sequence[AttackText], original: AttackText) -> list[AttackText]:
        """Those that pass, by the example itself."""


class WithinText(_Alone):
    """What was changed has a counterpart in the example; where a swap made two words of one, places may run over."""

    def filtered(self, candidates: Sequence[AttackText], original: AttackText) -> list[AttackText]:
        """See ``_Alone.filtered``."""
        count = len(original.words)
        return [one for one in candidates if all(i < min(count, len(one.words)) for i in one.new)]


class SamePartOfSpeech(_Alone):
    """A new word has the part of speech of the example's, or one is a noun and the other a verb.

    Both are told in the example's context, four words before and three behind.

    Args:
        tagger: Tells parts of speech.
    """

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger

    def filtered(self, candidates: Sequence[AttackText], original: AttackText) -> list[AttackText]:
        """See ``_Alone.filtered``."""
        at: dict[int, list[str]] = {}
        for one in candidates:
            for i in one.new:
                if i < min(len(original.words), len(one.words)):
                    at.setdefault(i, [original.words[i]]).append(one.words[i])
        tags = {i: self._tags(original.words, i, words) for i, words in at.items()}
        return [one for one in candidates if all(i in tags and _fits(tags[i], original, one, i) for i in one.new)]

    def _tags(self, words: Sequence[str], place: int, asked: Sequence[str]) -> dict[str, str]:
        unique = list(dict.fromkeys(asked))
        before, after = words[max(place - _BEFORE, 0) : place], words[place + 1 : place + 1 + _AFTER]
        return dict(zip(unique, self.tagger.tags(before, unique, after), strict=True))


def _fits(tags: dict[str, str], original: AttackText, one: AttackText, place: int) -> bool:
    pair = {tags[original.words[place]], tags[one.words[place]]}
    return len(pair) == 1 or pair <= _EITHER


class EditDistance(_Alone):
    """So many characters at most are inserted, deleted or replaced, the example against the candidate.

    Args:
        most: How many.
    """

    name = "edit distance"

    def __init__(self, most: int) -> None:
        self.most = most

    def filtered(self, candidates: Sequence[AttackText], original: AttackText) -> list[AttackText]:
        """See ``_Alone.filtered``."""
        for one in candidates:
            one.values[self.name] = Levenshtein.distance(original.text, one.text)
        return [one for one in candidates if one.values[self.name] <= self.most]


class WordsChanged(_Alone):
    """So many words at most are others than the example's.

    Args:
        most: How many.
    """

    name = "words changed"

    def __init__(self, most: int) -> None:
        self.most = most

    def filtered(self, candidates: Sequence[AttackText], original: AttackText) -> list[AttackText]:
        """See ``_Alone.filtered``."""
        for one in candidates:
            one.values[self.name] = len(one.differences(original))
        return [one for one in candidates if one.values[self.name] <= self.most]


class SentenceSimilarity(Constraint):
    """What stands around a change means the same, by the embeddings of a sentence encoder.

    In texts that are shorter than the window the similarity counts as 1.

    Args:
        least: The similarity that passes.
        angular: Whether it is 1 minus the angle in half turns, and not the cosine.
        to_original: Whether the example is compared with, and not the text before the change.
        window: Words around the change.
    """

    def __init__(self, least: float, angular: bool, to_original: bool, window: int = 15) -> None:
        self.least = least
        self.angular = angular
        self.to_original = to_original
        self.window = window

    def kept(self, candidates: Sequence[AttackText], text: AttackText, attempt: UnderAttack) -> Steps[list[AttackText]]:
        """See ``Constraint.kept``."""
        reference = attempt.original if self.to_original else text
        long = [one for one in candidates if one.new and len(one.words) >= self.window]
        for one in candidates:
            one.values[SIMILARITY] = 1.0
        if not long:
            return list(candidates)
        last = len(reference.words) - 1
        places = [next(iter(set(one.new))) if attempt.compat else one.new[0] for one in long]  # {7, 8} begins with 8
        before = [reference.window(min(i, last), self.window) for i in places]
        after = [one.window(i, self.window) for one, i in zip(long, places, strict=True)]
        cosines = yield AskSimilarity(list(zip(before, after, strict=True)))
        values = angular(cosines) if self.angular else cosines
        failed = set()
        for one, value, fits in zip(long, values.tolist(), (values >= self.least).tolist(), strict=True):
            one.values[SIMILARITY] = value
            if not fits:
                failed.add(id(one))
        return [one for one in candidates if id(one) not in failed]


def angular(cosines: Tensor) -> Tensor:
    """1 minus the angle in half turns, of cosines of any shape."""
    return 1 - torch.acos(cosines.clamp(-1, 1)) / math.pi
