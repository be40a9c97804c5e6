"""Synonyms from WordNet's dict files, versions 3.0 and 3.1 (https://wordnet.princeton.edu/documentation/wndb5wn).

NLTK's reader wants files besides (``lexnames``, the exceptions) that the packages of Debian and npm leave out; here the
data and index files are enough. Base forms follow WordNet's own rules (``morphy``), and what the ``.exc`` files say
where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
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


def files_of(folder: Path) -> list[Path]:
    """The files that synonyms are read from.

    Raises:
        KdlabError: One is missing.
    """
    needed = [folder / f"{kind}.{part}" for part in PARTS for kind in ("data", "index")]
    for file in needed:
        if not file.is_file():
            raise KdlabError(f"There is no {file}: give the dict folder of WordNet 3.0 or 3.1 whole.")
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
        with door(folder / f"data.{part}", "give the dict folder of WordNet 3.0 or 3.1 whole", "can't be read"):
            exceptions = _exceptions(folder / f"{part}.exc")
            forms = {word: _candidates(word, part, exceptions) for word in found}
            offsets = _index(folder / f"index.{part}", {form for each in forms.values() for form in each})
            with opened(folder / f"data.{part}") as data:
                lemmas = {at: _lemmas(data, at) for each in offsets.values() for at in each}
            for word, candidates in forms.items():
                for form in (form for form in candidates if form in offsets):
                    found[word] |= dict.fromkeys(lemma for at in offsets[form] for lemma in lemmas[at])
    return {
        word: tuple(other for other in others if other.lower() != word and "_" not in other and is_word(other))
        for word, others in found.items()
    }


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


def _lemmas(data: BinaryIO, offset: int) -> list[str]:
    """The words of the synset at a byte; an adjective's may have its place behind it, as in ``galore(ip)``."""
    data.seek(offset)
    fields = data.readline().decode("utf-8").split(" ")
    if len(fields) < 4 or int(fields[0]) != offset:
        raise ValueError(f"no synset stands at byte {offset}")
    return [word.partition("(")[0] for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]


def _fields(file: Path) -> Iterator[list[str]]:
    """The fields of each line but those of the licence, which start with a blank."""
    with opened(file) as raw:
        lines: Iterable[bytes] = raw
        for line in lines:
            if not line.startswith(b" ") and line.strip():
                yield line.decode("utf-8").split()
