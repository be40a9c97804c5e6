"""Tables of words and what may stand in their place, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SYNONYMS, NEIGHBOURS, VECTORS, STOP_WORDS = "synonyms", "neighbours", "word vectors", "stop words"
TAGGER = "part-of-speech tagger"


@dataclass(frozen=True)
class Origin:
    """Where a resource comes from.

    Attributes:
        kind: ``synonyms``, ``neighbours``, ``word vectors``, ``stop words`` or ``part-of-speech tagger``.
        name: The file or folder; for a stand-in, what it is.
        sha256: Of its content.
        missing: What was looked for, where a stand-in serves; empty otherwise.
    """

    kind: str
    name: str
    sha256: str
    missing: str = ""

    @property
    def sentence(self) -> str:
        """What stands in for what; empty where nothing does."""
        return f"{self.kind}: {self.name}, for {self.missing}" if self.missing else ""


@dataclass(frozen=True)
class WordTable:
    """Words and what may stand in their place.

    Attributes:
        origin: Where it comes from.
        entries: Lower-case word to its candidates, best or most usual first.
    """

    origin: Origin
    entries: Mapping[str, tuple[str, ...]]

    def __getitem__(self, word: str) -> tuple[str, ...]:
        return self.entries.get(word, ())

    def without(self, stop_words: StopWords | None) -> WordTable:
        """The table without candidates that are stop words."""
        if stop_words is None:
            return self
        kept = {word: tuple(o for o in others if o not in stop_words) for word, others in self.entries.items()}
        return WordTable(self.origin, kept)


@dataclass(frozen=True)
class StopWords:
    """Words that carry no content.

    Attributes:
        origin: Where they come from.
        words: In lower case.
    """

    origin: Origin
    words: frozenset[str]

    def __contains__(self, word: str) -> bool:
        return word.replace("’", "'").lower() in self.words
