"""Many attacks side by side: each waits for an answer, and the questions of all meet in one pass over a model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor

from kdlab.attacks.asks import Ask, AskSimilarity, AskVictim, AskWords, Steps
from kdlab.attacks.attempt import Attempt
from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER
from kdlab.attacks.victim import Victim
from kdlab.errors import KdlabError

BESIDE = 256
"""Attacks at a time."""
_ORDER: tuple[type[Ask], ...] = (AskWords, AskSimilarity, AskVictim)
"""In the order in which a step of an attack asks, so that each gets through a step in a round."""
_WHO: dict[type[Ask], str] = {AskWords: MASKED_LM, AskSimilarity: SENTENCE_ENCODER}


class Words(Protocol):
    """A masked LM that is asked for words."""

    def words(self, texts: list[str]) -> list[list[str]]:
        """Words for the mask of each of N texts, the best first."""


class Sentences(Protocol):
    """A sentence encoder."""

    def cosines(self, pairs: list[tuple[str, str]]) -> Tensor:
        """Cosines of N pairs of texts, ``(N,)``."""


class AlwaysSimilar:
    """Takes all texts for equal: the stand-in where there is no sentence encoder."""

    def cosines(self, pairs: list[tuple[str, str]]) -> Tensor:
        """See ``Sentences.cosines``."""
        return torch.ones(len(pairs))


@dataclass(frozen=True)
class Models:
    """Who answers.

    Attributes:
        victim: Who is attacked.
        masked_lm: For recipes that need one.
        sentences: For recipes that need one.
    """

    victim: Victim
    masked_lm: Words | None = None
    sentences: Sentences | None = None

    def answer(self, kind: type[Ask], items: list[Any]) -> Any:
        """The answers to N questions of a kind, in a list or a tensor of N rows.

        Raises:
            KdlabError: Nobody is there to answer.
        """
        if kind is AskVictim:
            return self.victim.logits(items)
        if kind is AskWords and self.masked_lm is not None:
            return self.masked_lm.words(items)
        if kind is AskSimilarity and self.sentences is not None:
            return self.sentences.cosines(items)
        raise KdlabError(f"The recipe asks a {_WHO[kind]} without saying so: name it in the recipe's needs.")


@dataclass(eq=False)
class _Running:
    """An attack that waits for an answer."""

    attempt: Attempt
    steps: Steps[str]
    ask: Ask

    def resume(self, answer: Any) -> str | None:
        """Takes an answer; how the attack ended, if it did."""
        try:
            self.ask = self.steps.send(answer)
        except StopIteration as end:
            return str(end.value)
        return None


def attack_all(attempts: Iterable[Attempt], models: Models, beside: int = BESIDE) -> Iterator[tuple[Attempt, str]]:
    """Attacks examples, as many side by side as are asked for; nothing in a result depends on how many.

    Args:
        attempts: The attacks; they are drawn from it as others end.
        models: Who answers.
        beside: Attacks at a time.

    Yields:
        An attack and how it ended, as soon as it has.
    """
    waiting, running = iter(attempts), deque[_Running]()
    while True:
        for attempt in islice(waiting, beside - len(running)):
            steps = attempt.run()
            running.append(_Running(attempt, steps, next(steps)))
        if not running:
            return
        for kind in _ORDER:
            asking = [one for one in running if isinstance(one.ask, kind)]
            if not asking:
                continue
            items = [item for one in asking for item in one.ask.items]
            answers = models.answer(kind, items)
            start = 0
            for one in asking:
                end = start + len(one.ask.items)
                status = one.resume(answers[start:end])
                start = end
                if status is not None:
                    running.remove(one)
                    yield one.attempt, status
