"""Synonyms and antonyms from WordNet's dict files, versions 3.0 and 3.1 (https://wordnet.princeton.edu/documentation/wndb5wn).

NLTK's reader wants files besides (``lexnames``, the exceptions) that the packages of Debian and npm leave out; here the
data and index files are enough. Base forms follow WordNet's own rules (``morphy``), and what the ``.exc`` files say
where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kdlab.errors import KdlabError
from kdlab.system.foreign import door, opened
from kdlab.transformations.words import is_word

PARTS = ("noun", "verb", "adj", "adv")
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
        *(("men", "man"), ("ies", "y")),
    ),
    "verb": (*(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}


_PART_OF = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
ADVICE = "give the dict folder of WordNet 3.0 or 3.1 whole"


def files_of(folder: Path) -> list[Path]:
    """The files that synonyms are read from.

    Raises:
        KdlabError: One is missing.
    """
    needed = [folder / f"{kind}.{part}" for part in PARTS for kind in ("data", "index")]
    for file in needed:
        if not file.is_file():
            raise KdlabError(f"There is no {file}: {ADVICE}.")
    exceptions = [folder / f"{part}.exc" for part in PARTS]
    return needed + [file for file in exceptions if file.is_file()]


def synonyms(folder: Path, words: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Single words that share a synset with a word or its base forms: nouns, verbs, adjectives, adverbs, by sense.

    Args:
        folder: With ``data.*`` and ``index.*``.
        words: In lower case.

    Raises:
        KdlabError: A file is missing or damaged.
    """
    found: dict[str, dict[str, None]] = {word: {} for word in sorted(words)}
    for part in PARTS:
        with door(folder / f"data.{part}", ADVICE, "can't be read"):
            forms, offsets = _senses(folder, part, found)
            with opened(folder / f"data.{part}") as data:
                lemmas = {at: _lemmas(_synset(data, at)) for each in offsets.values() for at in each}
            for word, candidates in forms.items():
                for form in (form for form in candidates if form in offsets):
                    found[word] |= dict.fromkeys(lemma for at in offsets[form] for lemma in lemmas[at])
    return {
        word: tuple(other for other in others if other.lower() != word and "_" not in other and is_word(other))
        for word, others in found.items()
    }


@dataclass(frozen=True)
class Antonyms:
    """Which words are the opposite of which, in any of their senses.

    Only what WordNet itself links counts: "good" and "bad", and their forms, but not "good" and "awful", which is bad.

    Attributes:
        bases: Word to the base forms that WordNet has of it.
        entries: Word to the antonyms of its base forms, in lower case.
    """

    bases: Mapping[str, frozenset[str]]
    entries: Mapping[str, frozenset[str]]

    def are(self, one: str, other: str) -> bool:
        """Whether two of the words that were asked for are antonyms, whatever their case."""
        pairs = ((one.lower(), other.lower()), (other.lower(), one.lower()))
        return any(self.entries.get(a, frozenset()) & self.bases.get(b, frozenset()) for a, b in pairs)


def antonyms(folder: Path, words: Collection[str]) -> Antonyms:
    """Antonyms among words, as pointers of the kind ``!`` link them.

    Args:
        folder: With ``data.*`` and ``index.*``.
        words: In lower case: those that were replaced, and those that replaced them.

    Raises:
        KdlabError: A file is missing or damaged.
    """
    bases: dict[str, set[str]] = {word: set() for word in words}
    entries: dict[str, set[str]] = {word: set() for word in words}
    for part in PARTS:
        with door(folder / f"data.{part}", ADVICE, "can't be read"):
            forms, offsets = _senses(folder, part, bases)
            with opened(folder / f"data.{part}") as data:
                opposites = {form: set(_opposites(data, part, form, each)) for form, each in offsets.items()}
            for word, candidates in forms.items():
                for form in (form for form in candidates if form in offsets):
                    bases[word].add(form)
                    entries[word] |= opposites[form]
    return Antonyms(*({word: frozenset(each) for word, each in found.items()} for found in (bases, entries)))


def _senses(folder: Path, part: str, words: Collection[str]) -> tuple[dict[str, list[str]], dict[str, list[int]]]:
    """What may be the base forms of each word, and where the synsets of those stand that are some."""
    exceptions = _exceptions(folder / f"{part}.exc")
    forms = {word: _candidates(word, part, exceptions) for word in words}
    return forms, _index(folder / f"index.{part}", {form for each in forms.values() for form in each})


def _candidates(word: str, part: str, exceptions: dict[str, list[str]]) -> list[str]:
    """A word and what may be its base forms; exceptions win over rules."""
    if word in exceptions:
        return list(dict.fromkeys([word, *exceptions[word]]))
    cut = [word.removesuffix(end) + new for end, new in _ENDINGS[part] if word.endswith(end) and len(word) > len(end)]
    return list(dict.fromkeys([word, *cut]))


def _exceptions(file: Path) -> dict[str, list[str]]:
    return {form: bases for form, *bases in _fields(file)} if file.is_file() else {}


def _index(file: Path, wanted: Collection[str]) -> dict[str, list[int]]:
    """Word to the places of its synsets, the most usual sense first."""
    return {word: [int(offset) for offset in rest[-int(rest[1]) :]] for word, *rest in _fields(file) if word in wanted}


def _synset(data: BinaryIO, offset: int) -> list[str]:
    """The fields of the synset at a byte: offset, file, type, number of words (hexadecimal), words, pointers."""
    data.seek(offset)
    fields = data.readline().decode("utf-8").split(" ")
    if len(fields) < 4 or int(fields[0]) != offset:
        raise ValueError(f"no synset stands at byte {offset}")
    return fields


def _lemmas(synset: list[str]) -> list[str]:
    """The words of a synset; an adjective's may have its place behind it, as in ``galore(ip)``."""
    return [word.partition("(")[0] for word in synset[4 : 4 + 2 * int(synset[3], 16) : 2]]


def _opposites(data: BinaryIO, part: str, form: str, offsets: Iterable[int]) -> Iterator[str]:
    """The antonyms of a base form: a pointer has a symbol, a byte, a part of speech, and the words that it links."""
    for offset in offsets:
        synset = _synset(data, offset)
        lemmas = [lemma.lower() for lemma in _lemmas(synset)]
        start = 4 + 2 * len(lemmas)
        for at in range(start + 1, start + 1 + 4 * int(synset[start]), 4):
            symbol, place, kind, words = synset[at : at + 4]
            source, target = int(words[:2], 16), int(words[2:], 16)
            if symbol == "!" and _PART_OF.get(kind) == part and lemmas[source - 1] == form:
                yield _lemmas(_synset(data, int(place)))[target - 1].lower()


def _fields(file: Path) -> Iterator[list[str]]:
    """The fields of each line but those of the licence, which start with a blank."""
    with opened(file) as raw:
        lines: Iterable[bytes] = raw
        for line in lines:
            if not line.startswith(b" ") and line.strip():
                yield line.decode("utf-8").split()
