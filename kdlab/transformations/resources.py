"""Lexical resources from a folder: WordNet, neighbours in word vectors, stop words, a tagger; with stand-ins.

Each resource becomes a table of the words that are asked for, small enough to go to every process that works with it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from kdlab.errors import KdlabError
from kdlab.system.cache import Cache
from kdlab.system.files import files_digest, fingerprint
from kdlab.system.foreign import door, read_text
from kdlab.transformations import perceptron, stand_ins, vectors, wordnet
from kdlab.transformations.listed_tagger import ListedTagger
from kdlab.transformations.manifest import ANTONYMS, SOURCES, Entry, Fidelity
from kdlab.transformations.tables import (
    NEIGHBOURS,
    STOP_WORDS,
    SYNONYMS,
    TAGGER,
    VECTORS,
    Origin,
    StopWords,
    WordTable,
)
from kdlab.transformations.tagger import PerceptronTagger, Tagger

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
_TAGGER_FOLDERS = tuple(f"{below}taggers/{perceptron.NAME}" for below in ("", "nltk/", "nltk_data/"))
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
        found = self._wordnet()
        if found is None:
            return self._stand_in(SYNONYMS, "WordNet's data.noun")
        digest = self._digest(found.parent, wordnet.files_of(found.parent))
        return WordTable(Origin(SYNONYMS, self._name(found), digest), wordnet.synonyms(found.parent, _lower(words)))

    def antonyms(self, words: Iterable[str]) -> wordnet.Antonyms | None:
        """Which of these words are each other's opposites, by WordNet; None where it is not there.

        Args:
            words: Those that were replaced, and those that replaced them.
        """
        found = self._wordnet()
        return None if found is None else wordnet.antonyms(found.parent, _lower(words))

    def neighbours(self, words: Iterable[str], least: float, most: int, single: bool = True) -> WordTable:
        """The nearest words in counter-fitted vectors.

        Args:
            words: Whose.
            least: Cosine at least; a file of neighbours without cosines holds what was near enough for its maker.
            most: How many of each.
            single: Whether other single words are taken alone, from the list of neighbours where there is one.
                Otherwise they are as TextAttack's ``WordSwapEmbedding`` has them: the first of what the file has, and
                the vectors go before the list, which may be cut short.
        """
        found = self._neighbour_file(single)
        if found is None:
            return self._stand_in(NEIGHBOURS, " or ".join(_NEIGHBOUR_FILES))
        if found.suffix != ".json":
            return self._nearest(NEIGHBOURS, found, words, least, most, single)
        origin = Origin(NEIGHBOURS, self._name(found), self._digest_of(found))
        return WordTable(origin, vectors.read_neighbours(found, _lower(words), most, single))

    def tagger(self) -> Tagger:
        """Parts of speech as NLTK tags them, from its data package ``averaged_perceptron_tagger_eng``."""
        found = self._tagger_folder()
        if found is None:
            return ListedTagger(self._lacks(f"NLTK's {perceptron.NAME}"))
        model, files = perceptron.read_perceptron(found), perceptron.files_of(found)
        digest = self._digest(found, files.values())
        return PerceptronTagger(Origin(TAGGER, self._name(files["weights"]), digest), model)

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
            return self._own_stop_words()
        words = frozenset(line.strip().lower() for line in read_text(found).splitlines() if line.strip())
        return StopWords(Origin(STOP_WORDS, self._name(found), self._digest_of(found)), words)

    def manifest(self) -> list[Entry]:
        """What there is of the resources of attacks, and what stands in for the rest; files are read for hashes alone.

        Raises:
            KdlabError: A resource is there in part, or a file can't be read.
        """
        noun, near, tagger = self._wordnet(), self._neighbour_file(single=False), self._tagger_folder()
        stop_words = self._first(_STOP_WORD_FILES)
        dict_files = [] if noun is None else wordnet.files_of(noun.parent)
        models = [] if tagger is None else [*perceptron.files_of(tagger).values()]
        cut = "a list of neighbours that its maker has cut" if near is not None and near.suffix == ".json" else ""
        own = self._stand_in(SYNONYMS, "").origin
        return [
            self._entry(SYNONYMS, dict_files, own),
            self._entry(ANTONYMS, dict_files, None),
            self._entry(NEIGHBOURS, [near] if near else [], own, cut),
            self._entry(STOP_WORDS, [stop_words] if stop_words else [], self._own_stop_words().origin),
            self._entry(TAGGER, models, ListedTagger("").origin),
        ]

    def _entry(self, kind: str, files: Sequence[Path], stand_in: Origin | None, instead: str = "") -> Entry:
        """A resource of these files; ``instead`` says what they are where they are not what papers use."""
        if files:
            digest = self._digest(files[0].parent, files) if len(files) > 1 else self._digest_of(files[0])
            size = sum(file.stat().st_size for file in files)
            fidelity: Fidelity = "substituted" if instead else "found"
            return Entry(kind, self._name(files[0]), digest, size, fidelity, instead, SOURCES[kind])
        if stand_in is None:
            return Entry(kind, "", "", 0, "missing", "", SOURCES[kind])
        return Entry(kind, "", stand_in.sha256, 0, "substituted", stand_in.name, SOURCES[kind])

    def _own_stop_words(self) -> StopWords:
        digest = fingerprint(sorted(stand_ins.STOP_WORDS))
        origin = Origin(STOP_WORDS, "kdlab's own list", digest, self._lacks("stop_words.txt"))
        return StopWords(origin, stand_ins.STOP_WORDS)

    def _nearest(
        self, kind: str, file: Path, words: Iterable[str], least: float, most: int, single: bool = True
    ) -> WordTable:
        """Neighbours by the vectors of a file, found out once."""
        origin, asked = Origin(kind, self._name(file), self._digest_of(file)), _lower(words)
        about = [vectors.FORMAT, origin.sha256, sorted(asked), least, most, *([] if single else ["all"])]
        known = self.cache.facts.known(
            "neighbours", about, lambda: dict(vectors.nearest(file, asked, least, most, single))
        )
        return WordTable(origin, {word: tuple(others) for word, others in known.items()})

    def _wordnet(self) -> Path | None:
        return self._first([f"{below}/data.noun".lstrip("/") for below in _BELOW])

    def _neighbour_file(self, single: bool) -> Path | None:
        return self._first(_NEIGHBOUR_FILES if single else _NEIGHBOUR_FILES[::-1])

    def _tagger_folder(self) -> Path | None:
        """Where a file of the tagger is: then the others must be there too."""
        names = [f"{below}/{perceptron.NAME}.{part}.json" for below in _TAGGER_FOLDERS for part in perceptron.PARTS]
        found = self._first(names)
        return None if found is None else found.parent

    def _digest(self, folder: Path, files: Iterable[Path]) -> str:
        with door(folder, "check the files and their permissions"):
            return files_digest(folder, files, self.cache.facts.digest)

    def _digest_of(self, file: Path) -> str:
        with door(file, "check the file and its permissions"):
            return self.cache.facts.digest(file)

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
