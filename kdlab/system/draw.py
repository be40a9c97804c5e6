"""Seeded choices that are the same on every machine and Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Random choices built on ``random.Random.random`` alone, the one method whose stream Python promises to keep.

    Args:
        key: Text the stream depends on, such as ``"rte-0-train"``.
    """

    def __init__(self, key: str) -> None:
        self._random = random.Random(key).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._random()

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit - 1``."""
        return int(self._random() * limit)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[self.below(len(options))]

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """That many different options, in random order."""
        pool = list(options)
        return [pool.pop(self.below(len(pool))) for _ in range(count)]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """All the options in random order."""
        return self.some(options, len(options))
