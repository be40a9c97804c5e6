"""Whether runs bear a claim out: one-sided tests over paired seeds, corrected for the number of claims, and intervals.

A claim says which of two students is better, so the test has a direction. With several seeds the differences between
students of the same seed are flipped in sign in every possible way (Fisher's randomisation test; exact up to 20 seeds;
its smallest p is 1/2ⁿ). With one seed the examples decide (McNemar 1947, exact and one-sided). Holm (1979) corrects
for the claims of a file. The interval comes from a bootstrap on two levels: seeds are drawn, and examples, the same
ones for both students and all seeds, because all were asked the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
POWER = 0.8
REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"
_EXACT = 20  # seeds up to which all sign flips are counted; beyond, so many are drawn
_FLIPS = 99_999
_DRAWS = 2_000
_MOST = 1_000  # seeds; more than anyone runs
_LARGEST = 5.0  # effect in standard deviations; far beyond, the power can't be computed, and is 1
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
    """

    better: Values
    than: Values
    gold: Values
    metric: str
    lower: bool = False

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.better)

    @property
    def differences(self) -> Values:
        """By how much the better one is better, for each seed, ``(n,)``."""
        return self._gain(self.better, self.than, self.gold)

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


@dataclass(frozen=True)
class Verdict:
    """What runs say about a claim.

    Attributes:
        answer: ``reproduced``, ``contradicted`` or ``undecided``.
        effect: Mean difference in the claimed direction, as a fraction.
        low: Lower end of its 95 % interval.
        high: Upper end.
        seeds: How many pairs.
        p: Of the claimed direction, corrected by Holm.
        test: ``sign-flip`` or ``McNemar``.
        needed: Seeds that would decide it with a power of .8 if the effect is what was measured; None where none would.
        note: What keeps it from being decided, a sentence or nothing.
    """

    answer: str
    effect: float
    low: float
    high: float
    seeds: int
    p: float
    test: str
    needed: int | None
    note: str = ""


def judge(claims: Sequence[Pairs], level: float = LEVEL) -> list[Verdict]:
    """A verdict on each claim of a file.

    Args:
        claims: One for each claim; all of them are tested together.
        level: How often a claim that isn't true may be called reproduced, all claims of the file together.
    """
    if not claims:
        return []
    from statsmodels.stats.multitest import multipletests

    pro = [p_value(pairs, 1) for pairs in claims]
    contra = [p_value(pairs, -1) for pairs in claims]
    pro_holm, contra_holm = (multipletests(each, level, method="holm")[1].tolist() for each in (pro, contra))
    verdicts = []
    for pairs, p, against in zip(claims, pro_holm, contra_holm, strict=True):
        answer = REPRODUCED if p <= level else CONTRADICTED if against <= level else UNDECIDED
        effect = float(pairs.differences.mean())
        low, high = pairs.interval()
        needed = seeds_needed(pairs.differences, level / len(claims))
        if needed is not None and answer == UNDECIDED:  # so many as there are haven't decided it
            needed = max(needed, pairs.seeds + 1)
        test = "McNemar" if pairs.seeds == 1 else "sign-flip"
        note = _note(pairs, len(claims), level) if answer == UNDECIDED else ""
        verdicts.append(Verdict(answer, effect, low, high, pairs.seeds, p, test, needed, note))
    return verdicts


def p_value(pairs: Pairs, sign: int = 1) -> float:
    """How likely so large a difference is where there is none.

    Args:
        pairs: At least one seed.
        sign: 1 for the claimed direction, -1 for the other one.
    """
    from scipy import stats

    if pairs.seeds == 1:
        if pairs.metric != "accuracy":
            return 1.0  # McNemar's test is about right and wrong answers, and what is gained there may be lost in F1
        sign = -sign if pairs.lower else sign
        right, wrong = (answers[0] == pairs.gold for answers in (pairs.better, pairs.than)[::sign])
        only, other = int((right & ~wrong).sum()), int((wrong & ~right).sum())
        return float(stats.binomtest(only, only + other, alternative="greater").pvalue) if only + other else 1.0
    gains = sign * pairs.differences
    if not gains.any():
        return 1.0
    many = np.inf if pairs.seeds <= _EXACT else _FLIPS
    flipped = stats.permutation_test(
        (gains,),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=many,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(flipped.pvalue)


def least_seeds(claims: int, level: float = LEVEL) -> int:
    """The fewest seeds whose smallest p, 1/2ⁿ, can be significant among so many claims."""
    return math.ceil(math.log2(claims / level) - 1e-9)


def seeds_needed(differences: Values, level: float) -> int | None:
    """Seeds that would show the measured effect with a power of .8, if its mean and deviation are what they seem.

    Args:
        differences: ``(n,)``, at least two for a deviation.
        level: Of one claim.

    Returns:
        None for one seed, an effect of 0 or against the claim, and more than 1,000 seeds.
    """
    from statsmodels.stats.power import TTestPower

    if len(differences) < 2 or differences.mean() <= 0:
        return None
    least, sd = least_seeds(1, level), float(differences.std(ddof=1))
    if sd == 0:
        return least
    size, power = min(float(differences.mean()) / sd, _LARGEST), TTestPower()
    low, high = max(least, 2), _MOST
    if power.power(size, high, level, alternative="larger") < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        enough = power.power(size, middle, level, alternative="larger") >= POWER
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


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


def _note(pairs: Pairs, claims: int, level: float) -> str:
    """What keeps a claim from being decided with so many seeds, whatever they say."""
    if pairs.seeds == 1:
        return "" if pairs.metric == "accuracy" else "one seed can't decide: McNemar's test is for accuracy alone"
    least = least_seeds(claims, level)
    if pairs.seeds >= least:
        return ""
    beside = f" among {claims} claims" if claims > 1 else ""
    return f"{pairs.seeds} seeds can't decide{beside}, whatever they say: {least} are the fewest"
