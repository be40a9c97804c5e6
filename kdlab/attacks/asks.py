"""What an attack asks for while it runs: it waits, and the engine answers many attacks' questions at once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class AskVictim:
    """For the victim's logits of texts; the answer is a tensor ``(N, C)``.

    Attributes:
        items: N examples, each one text or two.
    """

    items: list[tuple[str, ...]]


@dataclass(frozen=True)
class AskWords:
    """For a masked LM's words in the place of its mask; the answer is a list of words for each, the best first.

    Attributes:
        items: N texts with one mask each.
    """

    items: list[str]


@dataclass(frozen=True)
class AskSimilarity:
    """For the cosine of the sentence embeddings of pairs of texts; the answer is a tensor ``(N,)``.

    Attributes:
        items: N pairs.
    """

    items: list[tuple[str, str]]


Ask = AskWords | AskSimilarity | AskVictim
Steps = Generator[Ask, Any, R]
"""A computation that asks now and then, and ends with a result."""


def at_once(result: R) -> Steps[R]:
    """A computation that asks nobody."""
    yield from ()
    return result
