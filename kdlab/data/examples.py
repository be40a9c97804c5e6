"""The examples of one split, as columns, before tokenisation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Examples:
    """One split: parallel columns, one entry an example.

    Attributes:
        ids: The example's own identifier in its source (GLUE's ``index`` where there is one, else its position).
        text: First or only sentence, never blank.
        text_pair: Second sentence, or None for single-sentence tasks.
        labels: Index into ``TaskSpec.labels``, or the score of a regression task; None for an unlabelled test split.
    """

    ids: tuple[int, ...]
    text: tuple[str, ...]
    text_pair: tuple[str, ...] | None
    labels: tuple[int, ...] | tuple[float, ...] | None

    def __len__(self) -> int:
        return len(self.text)

    def take(self, positions: Sequence[int]) -> Examples:
        """The examples at these positions, in this order."""
        return Examples(
            ids=tuple(self.ids[i] for i in positions),
            text=tuple(self.text[i] for i in positions),
            text_pair=None if self.text_pair is None else tuple(self.text_pair[i] for i in positions),
            labels=None if self.labels is None else tuple(self.labels[i] for i in positions),  # type: ignore[arg-type]
        )

    def fingerprint(self) -> str:
        """SHA-256 of every column: equal for equal examples, whatever file or hub they came from."""
        digest = hashlib.sha256()
        for column in (self.ids, self.text, self.text_pair, self.labels):
            digest.update(b"\x00column")
            for value in column or ():
                digest.update(repr(value).encode("utf-8", "surrogatepass"))
                digest.update(b"\x1f")
        return digest.hexdigest()
