"""Neighbours of words in word vectors: from a file that lists them, or from the vectors themselves."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdlab.errors import KdlabError
from kdlab.system.foreign import door, opened, read_fields
from kdlab.transformations.words import is_word

FORMAT = 1
"""Raised when neighbours are found in another way."""
_ROWS = 512  # words whose cosines to all others are held at once


def read_neighbours(file: Path, words: Collection[str], most: int, single: bool = True) -> dict[str, tuple[str, ...]]:
    """Neighbours from a JSON file of words and lists of words, the nearest first.

    Args:
        file: The file.
        words: Whose, in lower case.
        most: How many of each.
        single: Whether other single words are taken alone, each once; otherwise the list is taken as it is.

    Raises:
        KdlabError: It is no such file.
    """
    advice = 'it must hold fields such as {"film": ["movie", "cinema"]}'
    content = read_fields(file, advice)
    entries = {}
    for word in sorted(words & content.keys()):
        others = content[word]
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            raise KdlabError(f"{file}: '{word[:60]}' has no list of words: {advice}.")
        entries[word] = (_single(others, word) if single else tuple(others))[:most]
    return entries


def nearest(
    file: Path, words: Collection[str], least: float, most: int, single: bool = True
) -> dict[str, tuple[str, ...]]:
    """The nearest words by cosine, in a text file of a word and its numbers on each line, as GloVe's are.

    Args:
        file: The file.
        words: Whose, in lower case.
        least: Cosine at least.
        most: How many of each; of equal cosines the word that stands first in the file.
        single: Whether other single words are taken alone; otherwise all but the word itself.

    Raises:
        KdlabError: It is no such file; the message names the line.
    """
    names, vectors = read_vectors(file)
    place = {name: i for i, name in reversed(list(enumerate(names)))}
    asked = sorted(words & place.keys())
    entries = {}
    for start in range(0, len(asked), _ROWS):
        part = asked[start : start + _ROWS]
        cosines = vectors[[place[word] for word in part]] @ vectors.T  # (rows, V)
        for word, row in zip(part, cosines, strict=True):
            near = [names[i] for i in _largest(row, 2 * most + 8) if row[i] >= least]
            entries[word] = (_single(near, word) if single else tuple(o for o in near if o != word))[:most]
    return entries


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Positions of the largest values, the largest first, of equal ones the first."""
    if count >= len(values):
        return np.argsort(-values, kind="stable")
    bound = np.partition(values, len(values) - count)[len(values) - count]
    some = np.flatnonzero(values >= bound)
    return some[np.argsort(-values[some], kind="stable")][:count]


def read_vectors(file: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Words and their vectors of length 1, ``(V, D)``; a first line of two numbers, as word2vec writes it, is skipped.

    Raises:
        KdlabError: A line has another number of values than the first, or one that is no number.
    """
    names: list[str] = []
    rows: list[NDArray[np.float32]] = []
    with opened(file) as lines, door(file, "check the file"):
        for number, line in enumerate(lines, 1):
            text = line.decode("utf-8", "replace").rstrip()
            if number == 1 and len(text.split(" ")) == 2:
                continue
            word, *values = text.rsplit(" ", len(rows[0])) if rows else text.split(" ")  # some words have blanks
            try:
                row = np.array(values, dtype=np.float32)
            except ValueError:
                row = np.empty(0, np.float32)
            if not len(row) or (rows and len(row) != len(rows[0])):
                raise KdlabError(
                    f"{file}:{number}: {len(values)} values where {len(rows[0]) if rows else 'some'} numbers are "
                    "expected: give a file with a word and its vector on each line."
                )
            names.append(word)
            rows.append(row)
    if not rows:
        raise KdlabError(f"{file} is empty: give a file with a word and its vector on each line.")
    vectors = np.stack(rows)
    return names, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _single(others: Collection[str], word: str) -> tuple[str, ...]:
    """Other single words, each once, in their order."""
    return tuple(dict.fromkeys(other for other in others if other.lower() != word and is_word(other)))
