"""Answers of two students to the same questions, and the metrics of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEEDS, EXAMPLES = "seeds", "examples"
OVER = (SEEDS, EXAMPLES)
"""What is paired in a test: students of the same seed, or their answers to the same example."""
_DRAWS = 2_000
_BATCH = 2**24  # drawn values held at a time

Values = NDArray[Any]


@dataclass(frozen=True)
class Pairs:
    """Answers of two students to the same questions, seed by seed.

    Attributes:
        better: Of the one that a claim says is better, ``(n, N)``: classes, scores, or a figure of each example.
        than: Of the other one, ``(n, N)``.
        gold: The right answers, ``(N,)``; ignored for a figure of each example.
        metric: ``accuracy``, ``f1``, ``matthews``, ``pearson``, ``spearman``, or ``mean`` of the figures.
        lower: Whether less is better.
        over: What a test pairs, one of ``OVER``; with one seed it is the examples anyhow.
        rows: The rows of a study that they are, the better one first.
    """

    better: Values
    than: Values
    gold: Values
    metric: str
    lower: bool = False
    over: str = SEEDS
    rows: tuple[str, str] = ("", "")

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.better)

    @property
    def differences(self) -> Values:
        """By how much the better one is better, for each seed, ``(n,)``."""
        return self._gain(self.better, self.than, self.gold)

    @property
    def gains(self) -> Values | None:
        """By how much the better one is better on each example, the mean over seeds, ``(N,)``.

        None where the metric is of all examples together.
        """
        if self.metric == "accuracy":
            ours, theirs = ((said == self.gold).astype(float) for said in (self.better, self.than))
        elif self.metric == "mean":
            ours, theirs = self.better, self.than
        else:
            return None
        mean: Values = (ours - theirs).mean(0)
        return -mean if self.lower else mean

    def agreeing(self, sign: int = 1) -> int:
        """In how many seeds the better one is better (1), or worse (-1)."""
        return int((sign * self.differences > 0).sum())

    def _gain(self, better: Values, than: Values, gold: Values) -> Values:
        gain = score(self.metric, better, gold) - score(self.metric, than, gold)
        return -gain if self.lower else gain

    def interval(self, seed: int = 0, draws: int = _DRAWS) -> tuple[float, float]:
        """95 % of the mean difference: percentiles over seeds and examples that are drawn with replacement."""
        random, (n, size) = np.random.default_rng(seed), self.better.shape
        at_a_time = max(_BATCH // max(n * size, 1), 1)
        means: list[Values] = []
        for start in range(0, draws, at_a_time):
            many = min(at_a_time, draws - start)
            rows = random.integers(n, size=(many, n))[:, :, None]
            columns = random.integers(size, size=(many, size))[:, None, :]
            gains = self._gain(self.better[rows, columns], self.than[rows, columns], self.gold[columns])
            means.append(gains.mean(-1))
        low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
        return float(low), float(high)


def score(metric: str, answers: Values, gold: Values) -> Values:
    """A metric over the last axis, ``(…, N)`` to ``(…,)``; a correlation with a constant is 0.

    Args:
        metric: As in ``Pairs``.
        answers: Classes or scores, ``(…, N)``.
        gold: The right ones, ``(N,)``, or of a shape that goes with the answers'.
    """
    if metric == "mean":
        return np.asarray(answers.mean(-1))
    if metric == "accuracy":
        return np.asarray((answers == gold).mean(-1))
    if metric == "f1":
        both = ((answers == 1) & (gold == 1)).sum(-1)
        each = (answers == 1).sum(-1) + (gold == 1).sum(-1)
        return _ratio(2 * both, each)
    if metric == "matthews":
        return _matthews(answers, gold)
    if metric in ("pearson", "spearman"):
        answers, gold = np.broadcast_arrays(answers, gold)
        if metric == "spearman":
            from scipy.stats import rankdata

            answers, gold = rankdata(answers, axis=-1), rankdata(gold, axis=-1)
        a, b = (x - x.mean(-1, keepdims=True) for x in (answers, gold))
        return _ratio((a * b).sum(-1), np.sqrt((a * a).sum(-1) * (b * b).sum(-1)))
    raise ValueError(f"no metric '{metric}'")


def _matthews(answers: Values, gold: Values) -> Values:
    """For any number of classes (Gorodkin 2004)."""
    size = answers.shape[-1]
    right = (answers == gold).sum(-1)
    shape = np.broadcast_shapes(np.shape(answers), np.shape(gold))[:-1]
    both, ours, theirs = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for label in np.union1d(answers, gold):
        said, so = (answers == label).sum(-1).astype(float), (gold == label).sum(-1).astype(float)
        both, ours, theirs = both + said * so, ours + said**2, theirs + so**2
    return _ratio(right * size - both, np.sqrt((size**2 - ours) * (size**2 - theirs)))


def _ratio(above: Values, below: Values) -> Values:
    return np.asarray(np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0))
