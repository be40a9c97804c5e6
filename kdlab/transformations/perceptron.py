"""NLTK's averaged perceptron for parts of speech, from its files (NLTK 3.9 and later, ``nltk/tag/perceptron.py``, MIT).

The model is Honnibal's greedy one of 2013: a word has fourteen features, among them the tags of the two words before
it, and the tag whose weights add up to the most wins. Weights have three decimals; here they are thousandths, which add
up exactly. NLTK's sums of floats are rounded, so a tie may fall otherwise there: ``Perceptron.decided`` makes NLTK's
own additions in its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.errors import KdlabError
from kdlab.system.foreign import door, read_fields, read_json
from kdlab.system.shown import clipped, shown

NAME = "averaged_perceptron_tagger_eng"
PARTS = ("weights", "tagdict", "classes")
ADVICE = f"give the files of NLTK's data package '{NAME}'"
_LARGEST = 100_000  # of a weight: fourteen of them still add up exactly
_CLASSES = 4096


class Perceptron:
    """Weights of features.

    Args:
        weights: Feature to tag to weight, of three decimals.
        known: Word to the tag that it always has.
        labels: All tags.

    Attributes:
        labels: C tags, the alphabetically last first: of equal sums NLTK takes the last.
        known: As given.
        rows: Feature to its row.
        nothing: The row of a feature that is not there; it has no weights.
    """

    def __init__(
        self, weights: Mapping[str, Mapping[str, float]], known: Mapping[str, str], labels: Sequence[str]
    ) -> None:
        self.labels = sorted(set(labels), reverse=True)
        self.known = known
        self.rows = {feature: row for row, feature in enumerate(weights)}
        self.nothing = len(weights)
        lengths = np.fromiter(map(len, weights.values()), np.int64, len(weights))
        total = int(lengths.sum())
        self._ends = np.concatenate([[0], np.cumsum(lengths), [total]]).astype(np.int64)  # (rows + 2)
        place = {label: i for i, label in enumerate(self.labels)}
        columns = (place[label] for label in chain.from_iterable(weights.values()))
        self._columns = np.fromiter(columns, np.uint16, total)
        values = chain.from_iterable(each.values() for each in weights.values())
        self._values = np.rint(np.fromiter(values, np.float64, total) * 1000).astype(np.int32)

    def sums(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sums of weights in thousandths: whole numbers.

        Args:
            rows: Of the features of K words, ``(K, F)``.

        Returns:
            ``(K, C)``.
        """
        count, features = rows.shape
        flat = rows.ravel()
        starts = self._ends[flat]
        lengths = self._ends[flat + 1] - starts
        cells = np.repeat(np.arange(count * features) // features * len(self.labels), lengths)
        at = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(len(cells))
        size = count * len(self.labels)
        added = np.bincount(cells + self._columns[at], self._values[at], size)
        return added.astype(np.float64, copy=False).reshape(count, -1)

    def decided(self, rows: Sequence[int]) -> int:
        """The place of a word's tag among ``labels``, by NLTK's additions: of 64-bit floats, in the features' order."""
        sums = [0.0] * len(self.labels)
        for row in rows:
            for at in range(self._ends[row], self._ends[row + 1]):
                sums[self._columns[at]] += int(self._values[at]) / 1000  # the float that JSON's decimals are
        return max(range(len(sums)), key=sums.__getitem__)


def files_of(folder: Path) -> dict[str, Path]:
    """The three files: ``weights``, ``tagdict`` and ``classes``.

    Raises:
        KdlabError: One is missing.
    """
    files = {part: folder / f"{NAME}.{part}.json" for part in PARTS}
    for file in files.values():
        if not file.is_file():
            raise KdlabError(f"There is no {file}: {ADVICE}.")
    return files


def read_perceptron(folder: Path) -> Perceptron:
    """The model of a folder.

    Raises:
        KdlabError: A file is missing or damaged, or they don't go together.
    """
    files = files_of(folder)
    labels = read_json(files["classes"], ADVICE)
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) and label for label in labels):
        raise KdlabError(f"{files['classes']} is no list of tags: {ADVICE}.")
    if len(labels) > _CLASSES:
        raise KdlabError(f"{files['classes']} has {len(labels):,} tags, more than any tagger: {ADVICE}.")
    known = read_fields(files["tagdict"], ADVICE)
    _check_labels(files["tagdict"], known.values(), labels)
    weights = read_fields(files["weights"], ADVICE)
    wrong = next((feature for feature, each in weights.items() if not isinstance(each, dict)), None)
    if wrong is not None:
        raise KdlabError(f"{files['weights']}: '{clipped(shown(wrong), 60)}' has no weights of tags: {ADVICE}.")
    _check_labels(files["weights"], chain.from_iterable(weights.values()), labels)
    _check_numbers(files["weights"], [weight for each in weights.values() for weight in each.values()])
    return Perceptron(weights, known, labels)


def _check_labels(file: Path, found: Any, labels: Sequence[str]) -> None:
    with door(file, ADVICE):  # what is no tag may be a list, which has no hash
        strange = set(found) - set(labels)
    if strange:
        raise KdlabError(f"{file}: '{clipped(shown(str(min(strange, key=str))), 60)}' is none of the tags: {ADVICE}.")


def _check_numbers(file: Path, weights: Sequence[Any]) -> None:
    """Raises ``KdlabError`` unless all are numbers of three decimals and of moderate size."""
    odd: Any = next((weight for weight in weights if type(weight) not in (int, float)), None)
    if odd is None and set(map(type, weights)) <= {int, float}:
        with door(file, ADVICE):
            thousandths = np.array(weights, np.float64) * 1000
        far = ~(np.abs(thousandths) < _LARGEST * 1000) | (np.abs(thousandths - np.rint(thousandths)) > 1e-4)
        if not far.any():
            return
        odd = weights[int(far.argmax())]
    raise KdlabError(f"{file}: {clipped(shown(str(odd)), 60)} is no weight of three decimals: {ADVICE}.")
