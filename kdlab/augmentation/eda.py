"""EDA: easy data augmentation (Wei and Zou 2019, https://arxiv.org/abs/1901.11196).

Each copy is made by one of four operations. The paper's lists for them are WordNet's synonyms and a list of stop words.
Its public code lower-cases the text and takes out apostrophes, may insert stop words and fails on a short text; here
what is not edited stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kdlab.augmentation.base import Settings, WordAugmenter, check_share, how_many, insertions, replaceable
from kdlab.errors import KdlabError, nearest
from kdlab.system.draw import Draw
from kdlab.transformations.tables import STOP_WORDS, SYNONYMS
from kdlab.transformations.words import Words, like

Change = list[tuple[int, str, str]]
OPERATIONS = ("replace", "insert", "swap", "delete")


@dataclass
class EDASettings(Settings):
    """Settings of EDA.

    Attributes:
        alpha: Share of the words that an operation changes, one at least; the chance of each word to be deleted. The
            paper advises .05 for 500 training examples or fewer with 16 copies, .1 with 4 copies of larger sets.
        operations: Those that are taken, in turn from copy to copy: ``replace`` by a synonym, ``insert`` a synonym of a
            word anywhere, ``swap`` two words, ``delete``.
    """

    alpha: float = 0.1
    operations: str = ",".join(OPERATIONS)

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        check_share(f"{section}.alpha", self.alpha)
        if not self.chosen:
            raise KdlabError(f"{section}.operations is empty: name some of {', '.join(OPERATIONS)}.")
        for name in self.chosen:
            if name not in OPERATIONS:
                raise nearest(name, OPERATIONS, "operation of EDA")

    @property
    def chosen(self) -> list[str]:
        """The operations."""
        return [name.strip() for name in self.operations.split(",") if name.strip()]


class EDA(WordAugmenter):
    """One of four operations a copy."""

    name = "eda"
    Config = EDASettings
    wants = frozenset({SYNONYMS, STOP_WORDS})

    def change(self, words: Words, draw: Draw, copy: int) -> Change | None:
        """See ``WordAugmenter.change``: the copy's operation, or the first behind it that the text has room for."""
        operations: dict[str, Callable[[Words, Draw], Change]] = {
            "replace": self.replace,
            "insert": self.insert,
            "swap": self.swap,
            "delete": self.delete,
        }
        chosen = self.config.chosen
        for i in range(len(chosen)):
            changes = operations[chosen[(copy + i) % len(chosen)]](words, draw)
            if changes:
                return changes
        return None

    def replace(self, words: Words, draw: Draw) -> Change:
        """Content words replaced by synonyms; a word that stands there twice is replaced in both places, alike."""
        table = self.tools.tables[SYNONYMS]
        places = draw.shuffled(sorted({words.lower[i] for i in replaceable(words, table, self.tools.stop_words)}))
        chosen = {word: draw.pick(table[word]) for word in places[: how_many(self.config.alpha, len(words))]}
        return [
            (i, word, like(word, chosen[lower]))
            for i, (word, lower) in enumerate(zip(words.words, words.lower, strict=True))
            if lower in chosen
        ]

    def insert(self, words: Words, draw: Draw) -> Change:
        """Synonyms of content words, inserted anywhere."""
        count = how_many(self.config.alpha, len(words))
        return insertions(words, self.tools.tables[SYNONYMS], self.tools.stop_words, count, draw) or []

    def swap(self, words: Words, draw: Draw) -> Change:
        """Pairs of words in each other's place."""
        if len(set(words.words)) < 2:
            return []
        order = list(range(len(words)))
        for _ in range(how_many(self.config.alpha, len(words))):
            one, other = draw.some(range(len(words)), 2)
            order[one], order[other] = order[other], order[one]
        return [(i, words.words[i], words.words[j]) for i, j in enumerate(order) if words.words[i] != words.words[j]]

    def delete(self, words: Words, draw: Draw) -> Change:
        """Each word with a chance; one stays, and one goes at least."""
        if len(words) < 2:
            return []
        gone = [i for i in range(len(words)) if draw.chance(self.config.alpha)] or [draw.below(len(words))]
        if len(gone) == len(words):
            gone.remove(draw.pick(gone))
        return [(i, words.words[i], "") for i in gone]
