"""A small victim for both environments: standard library and numpy alone, float64, the same to the last digit.

Counts in sentences of SST-2's train give words, pieces of words and pairs of words a weight; a text's score is their
sum, and a push where its commonest words lean far to one side. The push is why some sentences withstand every attack,
and the weight of unseen pieces why one typo may win: without them a masked LM's candidates win nearly always and one
typo nearly never. Probabilities are rounded, so that neither side's arithmetic shows; ties are many.
"""

from __future__ import annotations

import csv
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from statistics import median, pstdev

import numpy as np
import numpy.typing as npt

LINES, LEAST = 6000, 10  # of train.tsv are counted, if they have that many words
DIGITS = 6  # of a probability
PIECE = 4  # letters
PIECES, PAIRS = 0.3, 0.3  # what they weigh beside words
POWER = 3  # of a word's weight: one word often decides
COMMON = 40  # words lean, which attacks seldom change
FAR, PUSH = 0.6, 200.0  # standard deviations; what is added
UNSEEN = 3.0  # what a piece weighs, to either side, that no counted sentence has
SCALE = 0.04  # of a score in the logistic function


def _pieces(word: str) -> list[str]:
    """Every run of ``PIECE`` letters of a word in brackets."""
    inside = f"<{word}>"
    return [inside[i : i + PIECE] for i in range(max(1, len(inside) - PIECE + 1))]


def _features(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        yield "word", word
        for piece in _pieces(word):
            yield "piece", piece
    for left, right in pairwise(words):
        yield "pair", f"{left} {right}"


class Victim:
    """A classifier of sentiment, fitted in a second."""

    def __init__(self, train: Path) -> None:
        texts: list[str] = []
        counts: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]] = (Counter(), Counter())
        with train.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows)
            for text, label in islice((row for row in rows if len(row[0].split()) >= LEAST), LINES):
                texts.append(text)
                counts[int(label)].update(set(_features(text.lower().split())))
        negative, positive = counts
        self._weights = {
            feature: math.log((positive[feature] + 1) / (negative[feature] + 1))
            for feature in sorted({*negative, *positive})
        }
        seen = {word: count for (kind, word), count in (negative + positive).items() if kind == "word"}
        self._common = frozenset(sorted(seen, key=lambda word: (-seen[word], word))[:COMMON])
        self._words: dict[str, float] = {}
        leans = [self._lean(text.lower().split()) for text in texts]
        self._upright, self._far = median(leans), FAR * pstdev(leans)
        self._middle = median(map(self._score, texts))

    def _lean(self, words: Sequence[str]) -> float:
        return sum(self._weights.get(("word", word), 0.0) for word in words if word in self._common)

    def _word(self, word: str) -> float:
        if word not in self._words:
            pieces = [self._weights.get(("piece", piece), 0.0) for piece in _pieces(word)]
            weight = self._weights.get(("word", word), 0.0) + PIECES * sum(pieces) / len(pieces)
            weight = weight if word in self._common else math.copysign(abs(weight) ** POWER, weight)
            self._words[word] = weight + sum(map(self._surprise, _pieces(word)))
        return self._words[word]

    def _surprise(self, piece: str) -> float:
        if ("piece", piece) in self._weights:
            return 0.0
        return UNSEEN if zlib.crc32(piece.encode()) & 1 else -UNSEEN

    def _score(self, text: str) -> float:
        words = text.lower().split()
        pairs = (self._weights.get(("pair", f"{left} {right}"), 0.0) for left, right in pairwise(words))
        lean = self._lean(words) - self._upright
        push = math.copysign(PUSH, lean) if abs(lean) > self._far else 0.0
        return sum(map(self._word, words)) + PAIRS * sum(pairs) + push

    def scores(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probabilities of negative and of positive, a row a text."""
        odds = (math.exp(-SCALE * (self._score(text) - self._middle)) for text in texts)
        positive = [round(1 / (1 + ratio), DIGITS) for ratio in odds]
        return np.array([(round(1 - p, DIGITS), p) for p in positive], dtype=np.float64).reshape(len(positive), 2)
