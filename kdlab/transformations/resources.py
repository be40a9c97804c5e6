"""Lexical resources from a folder: WordNet, neighbours in word vectors, stop words; with stand-ins of our own.

Each resource becomes a table of the words that are asked for, small enough to go to every process that works with it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from kdlab.errors import KdlabError
from kdlab.system.cache import Cache
from kdlab.system.files import files_digest, fingerprint
from kdlab.system.foreign import read_text
from kdlab.transformations import stand_ins, vectors, wordnet
from kdlab.transformations.tables import NEIGHBOURS, STOP_WORDS, SYNONYMS, VECTORS, Origin, StopWords, WordTable

FOLDER = "KDLAB_RESOURCES"
"""Environment variable that names the folder where ``--resources`` does not."""

_BELOW = ("", "wordnet", "dict", "wordnet/dict", "corpora/wordnet", "nltk/corpora/wordnet", "package/dict")
_STOP_WORD_FILES = (
    "stop_words.txt",
    "stopwords/english",
    "corpora/stopwords/english",
    "nltk/corpora/stopwords/english",
)
_NEIGHBOUR_FILES = ("counterfitted_neighbors.json", "counter-fitted-vectors.txt")
_VECTOR_FILE = re.compile(r"(glove|counter-fitted)[^/]*\.txt")


class Resources:
    """What a folder holds of lexical resources.

    Args:
        folder: ``--resources``; None takes ``$KDLAB_RESOURCES``, and without that the stand-ins.
        cache: Where digests and neighbours are kept.

    Raises:
        KdlabError: There is no such folder.
    """

    def __init__(self, folder: str | None, cache: Cache) -> None:
        named = folder or os.environ.get(FOLDER) or None
        self.cache = cache
        self.folder = None
        if named is not None:
            with contextlib.suppress(RuntimeError):  # no such home folder
                self.folder = Path(named).expanduser()
            if self.folder is None or not self.folder.is_dir():
                where = "--resources" if folder else f"${FOLDER}"
                raise KdlabError(
                    f"There is no folder {named}, which {where} names: give the folder with WordNet's files."
                )

    def synonyms(self, words: Iterable[str]) -> WordTable:
        """Words of the same meaning, by WordNet."""
        found = self._first([f"{below}/data.noun".lstrip("/") for below in _BELOW])
        if found is None:
            return self._stand_in(SYNONYMS, "WordNet's data.noun")
        folder = found.parent
        digest = files_digest(folder, wordnet.files_of(folder), self.cache.facts.digest)
        return WordTable(Origin(SYNONYMS, self._name(found), digest), wordnet.synonyms(folder, _lower(words)))

    def neighbours(self, words: Iterable[str], least: float, most: int) -> WordTable:
        """The nearest words in counter-fitted vectors.

        Args:
            words: Whose.
            least: Cosine at least; a file of neighbours without cosines holds what was near enough for its maker.
            most: How many of each.
        """
        found = self._first(_NEIGHBOUR_FILES)
        if found is None:
            return self._stand_in(NEIGHBOURS, " or ".join(_NEIGHBOUR_FILES))
        if found.suffix != ".json":
            return self._nearest(NEIGHBOURS, found, words, least, most)
        origin = Origin(NEIGHBOURS, self._name(found), self.cache.facts.digest(found))
        return WordTable(origin, vectors.read_neighbours(found, _lower(words), most))

    def word_vectors(self, words: Iterable[str], most: int) -> WordTable:
        """The nearest words in any word vectors, as TinyBERT's augmenter wants them (its own are GloVe's)."""
        files = sorted(self.folder.rglob("*.txt")) if self.folder is not None else []
        found = next((file for file in files if _VECTOR_FILE.fullmatch(file.name)), None)
        if found is None:
            table = self.neighbours(words, 0.0, most)
            missing = self._lacks("glove*.txt")
            return WordTable(Origin(VECTORS, table.origin.name, table.origin.sha256, missing), table.entries)
        return self._nearest(VECTORS, found, words, -1.0, most)

    def stop_words(self) -> StopWords:
        """Words that carry no content, a line each in the file."""
        found = self._first(_STOP_WORD_FILES)
        if found is None:
            digest = fingerprint(sorted(stand_ins.STOP_WORDS))
            origin = Origin(STOP_WORDS, "kdlab's own list", digest, self._lacks("stop_words.txt"))
            return StopWords(origin, stand_ins.STOP_WORDS)
        words = frozenset(line.strip().lower() for line in read_text(found).splitlines() if line.strip())
        return StopWords(Origin(STOP_WORDS, self._name(found), self.cache.facts.digest(found)), words)

    def _nearest(self, kind: str, file: Path, words: Iterable[str], least: float, most: int) -> WordTable:
        """Neighbours by the vectors of a file, found out once."""
        origin, asked = Origin(kind, self._name(file), self.cache.facts.digest(file)), _lower(words)
        about = [vectors.FORMAT, origin.sha256, sorted(asked), least, most]
        known = self.cache.facts.known("neighbours", about, lambda: dict(vectors.nearest(file, asked, least, most)))
        return WordTable(origin, {word: tuple(others) for word, others in known.items()})

    def _name(self, file: Path) -> str:
        """A file as records name it, wherever the folder lies."""
        return file.relative_to(self.folder).as_posix() if self.folder is not None else file.name

    def _first(self, names: Collection[str]) -> Path | None:
        if self.folder is None:
            return None
        return next((self.folder / name for name in names if (self.folder / name).is_file()), None)

    def _lacks(self, what: str) -> str:
        return f"{what}, which the --resources folder lacks" if self.folder else f"{what} (no --resources folder)"

    def _stand_in(self, kind: str, what: str) -> WordTable:
        entries = stand_ins.SYNONYMS
        digest = fingerprint({word: list(others) for word, others in entries.items()})
        return WordTable(Origin(kind, "kdlab's own synonyms", digest, self._lacks(what)), entries)


def _lower(words: Iterable[str]) -> set[str]:
    return {word.lower() for word in words}
