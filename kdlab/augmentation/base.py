"""What every augmenter is: it makes new texts of an example, and says what it changed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from kdlab.errors import KdlabError
from kdlab.system.draw import Draw
from kdlab.transformations.tables import StopWords, WordTable
from kdlab.transformations.words import Edit, Words, apply_edits, like

if TYPE_CHECKING:  # a process that works with tables alone needs no torch
    from kdlab.transformations.masked_lm import Filler
    from kdlab.transformations.translation import Translator

TRIES = 6
"""How often a copy is drawn until it differs from its source and from the copies before it."""


@dataclass(frozen=True)
class Source:
    """An example that new ones are made of.

    Attributes:
        id: The example's own identifier.
        texts: Its one or two texts.
        sides: Which of them may be changed.
        label: Index of its label, or its score; None without one.
    """

    id: int
    texts: tuple[str, ...]
    sides: tuple[int, ...]
    label: int | float | None = None


@dataclass(frozen=True)
class Made:
    """A new example.

    Attributes:
        texts: Its texts.
        edits: What makes them of the source's.
        log_prob: Natural logarithm of the probability with which the augmenter makes it; None where it knows none.
    """

    texts: tuple[str, ...]
    edits: tuple[Edit, ...]
    log_prob: float | None = None


@dataclass(frozen=True)
class Tools:
    """What augmenters work with; each takes what it ``wants``.

    Attributes:
        tables: Kind of resource to its candidates for words.
        stop_words: Words that carry no content.
        filler: A masked LM.
        labelled: A masked LM that was told the labels of this task.
        translators: There and back.
    """

    tables: dict[str, WordTable] = field(default_factory=dict)
    stop_words: StopWords | None = None
    filler: Filler | None = None
    labelled: Filler | None = None
    translators: tuple[Translator, ...] = ()


@dataclass
class Settings:
    """Settings of an augmenter; its section is its name."""

    def validate(self, section: str) -> None:
        """Raises ``KdlabError`` for a value out of range."""


def check_share(key: str, value: float) -> None:
    """Raises ``KdlabError`` for what is no fraction above 0."""
    if not 0 < value <= 1:
        raise KdlabError(f"{key}={value}: it is a fraction of the words, above 0 and at most 1.")


class Augmenter(ABC):
    """Makes new examples of old ones; what it makes of an example depends on that example and the seed alone.

    Args:
        config: Its settings, an instance of ``Config``.
        tools: What it works with.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Settings]] = Settings
    wants: ClassVar[frozenset[str]] = frozenset()
    """Kinds of resources and models, as ``Tools`` names them."""

    def __init__(self, config: Any, tools: Tools) -> None:
        self.config = config
        self.tools = tools

    @abstractmethod
    def augment(self, sources: Sequence[Source], copies: int, seed: int) -> list[list[Made]]:
        """New examples.

        Args:
            sources: N examples.
            copies: How many of each are wanted.
            seed: Of all choices.

        Returns:
            For each source up to so many, all different from it and from each other; fewer where it has no more.
        """

    def wanted(self, source: Source, copies: int) -> int:
        """New examples of a source that so many copies come to."""
        return copies

    def draw(self, seed: int, source: Source, copy: int, turn: int = 0) -> Draw:
        """The choices of one copy, whatever others are made with it."""
        return Draw(f"{self.name} {seed} {source.id} {source.sides} {copy} {turn}")


class WordAugmenter(Augmenter):
    """Changes words of one text at a time, by tables and chance alone."""

    @abstractmethod
    def change(self, words: Words, draw: Draw, copy: int) -> list[tuple[int, str, str]] | None:
        """One way to change a text.

        Args:
            words: The text.
            draw: Its choices.
            copy: Number of the copy.

        Returns:
            Position, old and new word of each edit; None where the text has nothing that could be changed.
        """

    def augment(self, sources: Sequence[Source], copies: int, seed: int) -> list[list[Made]]:
        """See ``Augmenter.augment``."""
        return [self._copies(source, copies, seed) for source in sources]

    def one(self, source: Source, texts: dict[int, Words], draw: Draw, copy: int) -> Made | None:
        """One copy; None where nothing of the source can be changed.

        Args:
            source: The example.
            texts: Its texts that may be changed, by side.
            draw: The copy's choices.
            copy: Its number.
        """
        changes = {side: self.change(words, draw, copy) for side, words in texts.items()}
        if all(change is None for change in changes.values()):
            return None
        edits = tuple(Edit(side, *change) for side, changed in changes.items() for change in changed or ())
        return Made(apply_edits(source.texts, edits), edits)

    def _copies(self, source: Source, copies: int, seed: int) -> list[Made]:
        texts = {side: Words(source.texts[side]) for side in source.sides}
        found: dict[tuple[str, ...], Made] = {}
        for copy in range(copies):
            for turn in range(TRIES):
                made = self.one(source, texts, self.draw(seed, source, copy, turn), copy)
                if made is None:
                    break
                if made.texts != source.texts and made.texts not in found:
                    found[made.texts] = made
                    break
        return list(found.values())


@dataclass
class SwapSettings(Settings):
    """Settings of augmenters that change a share of the words.

    Attributes:
        share: Of the words, one at least; the study changes a fifth.
    """

    share: float = 0.2

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        check_share(f"{section}.share", self.share)


class TableSwap(WordAugmenter):
    """Content words replaced by candidates of a table."""

    kind: ClassVar[str]
    """Of the table."""

    def change(self, words: Words, draw: Draw, copy: int) -> list[tuple[int, str, str]] | None:
        """See ``WordAugmenter.change``."""
        table = self.tools.tables[self.kind]
        places = replaceable(words, table, self.tools.stop_words)
        if not places:
            return None
        chosen = sorted(draw.some(places, min(how_many(self.config.share, len(words)), len(places))))
        return [(i, words.words[i], like(words.words[i], draw.pick(table[words.lower[i]]))) for i in chosen]


def insertions(
    words: Words, table: WordTable, stop_words: StopWords | None, count: int, draw: Draw
) -> list[tuple[int, str, str]] | None:
    """Candidates for content words, each inserted before a word that chance chooses, or at the end.

    Args:
        words: The text.
        table: Candidates.
        stop_words: Words that have none.
        count: How many are inserted.
        draw: Chance.

    Returns:
        Position, nothing and the new word; None where no word has candidates.
    """
    places = replaceable(words, table, stop_words)
    if not places:
        return None
    new = [draw.pick(table[words.lower[draw.pick(places)]]) for _ in range(count)]
    return sorted(((draw.below(len(words) + 1), "", word) for word in new), key=lambda change: change[0])


def how_many(share: float, words: int) -> int:
    """A share of the words, one at least, rounded half up."""
    return max(1, math.floor(share * words + 0.5))


def content_words(words: Words, stop_words: StopWords | None) -> list[int]:
    """Positions of the words that are no stop words."""
    return [i for i, word in enumerate(words.lower) if stop_words is None or word not in stop_words]


def replaceable(words: Words, table: WordTable, stop_words: StopWords | None) -> list[int]:
    """Positions of the content words for which a table has candidates."""
    return [i for i in content_words(words, stop_words) if table[words.lower[i]]]
