"""The examples of a split, as columns, before tokenisation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Examples:
    """One split: parallel columns, one entry per example.

    Attributes:
        ids: The example's own identifier in its source (GLUE's ``index`` where there is one, else its position).
        text: First or only sentence; never blank, but for the test rows of a task whose published file has such rows
            (QQP), because the server wants a prediction for each.
        text_pair: Second sentence, or None for single-sentence tasks.
        labels: Indices into ``TaskSpec.labels``, or scores of a regression task; None for an unlabelled split.
        domain: 0 for rows of the task's own domain and 1 for those of a source domain; None where there is one.
        augmented: Which rows were made of others, by ``kdlab augment``; None where none was. Their ids tell them apart
            too, so this stands in no fingerprint.
    """

    ids: tuple[int, ...]
    text: tuple[str, ...]
    text_pair: tuple[str, ...] | None
    labels: tuple[int, ...] | tuple[float, ...] | None
    domain: tuple[int, ...] | None = None
    augmented: tuple[bool, ...] | None = None

    def __len__(self) -> int:
        return len(self.text)

    def take(self, positions: Sequence[int]) -> Examples:
        """The examples at these positions, in this order."""
        return Examples(
            ids=tuple(self.ids[i] for i in positions),
            text=tuple(self.text[i] for i in positions),
            text_pair=None if self.text_pair is None else tuple(self.text_pair[i] for i in positions),
            labels=None if self.labels is None else tuple(self.labels[i] for i in positions),
            domain=None if self.domain is None else tuple(self.domain[i] for i in positions),
            augmented=None if self.augmented is None else tuple(self.augmented[i] for i in positions),
        )

    @property
    def from_source(self) -> int:
        """How many rows are a source domain's."""
        return sum(self.domain or ())

    def own(self, augmented: bool = False) -> list[int]:
        """Positions of the rows that were not made of others, or of those that were."""
        if self.augmented is None:
            return [] if augmented else list(range(len(self)))
        return [i for i, made in enumerate(self.augmented) if made == augmented]

    def fingerprint(self) -> str:
        """SHA-256 of every column: equal for equal examples, whatever file or hub they came from."""
        digest = hashlib.sha256()
        domain = () if self.domain is None else (self.domain,)
        for column in (self.ids, self.text, self.text_pair, self.labels, *domain):
            digest.update(b"\x00column")
            for value in column or ():
                digest.update(repr(value).encode("utf-8", "surrogatepass"))
                digest.update(b"\x1f")
        return digest.hexdigest()


def joined(one: Examples, other: Examples) -> Examples:
    """Examples one after the other; they are labelled and in pairs where both are."""
    pairs = None if one.text_pair is None or other.text_pair is None else one.text_pair + other.text_pair
    labels: Any = None if one.labels is None or other.labels is None else (*one.labels, *other.labels)
    domain = augmented = None
    if one.domain is not None or other.domain is not None:
        domain = tuple(number for part in (one, other) for number in part.domain or (0,) * len(part))
    if one.augmented is not None or other.augmented is not None:
        augmented = tuple(made for part in (one, other) for made in part.augmented or (False,) * len(part))
    return Examples(one.ids + other.ids, one.text + other.text, pairs, labels, domain, augmented)


@dataclass(frozen=True)
class Loaded:
    """The splits of a task as they were read, and notes about them.

    Attributes:
        splits: Split name (train, dev, test, ...) to its examples, in the order of ``TaskSpec.splits``.
        notes: One line for everything that was skipped, left out or carved.
    """

    splits: dict[str, Examples]
    notes: tuple[str, ...] = ()


def clip(value: str) -> str:
    """A value for a message: quoted, control characters escaped, at most 60 characters."""
    return repr(value if len(value) <= 60 else value[:57] + "...")
