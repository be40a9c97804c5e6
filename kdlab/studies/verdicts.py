"""Whether runs bear a claim out: one-sided tests over paired seeds or examples, corrected for the number of claims.

A claim says which of two students is better, so the test has a direction. With several seeds the differences between
students of the same seed are flipped in sign in every possible way (Fisher's randomisation test; exact up to 20 seeds;
its smallest p is 1/2ⁿ). With one seed the examples decide (McNemar 1947, exact and one-sided). A claim that is tested
over examples has their gains flipped, each the mean over seeds, and of several seeds, three at least, all must agree,
or their own test must reject: examples say nothing of other seeds, and three seeds without an effect agree on a claim
in one of eight studies. A claim of several pairs is borne out where each of them is (an intersection-union test: the
largest p is the claim's), and contradicted where one is. Holm (1979) corrects for the claims of a file. The interval
comes from a bootstrap on two levels: seeds are drawn, and examples, the same ones for both students and all seeds,
because all were asked the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.studies.flips import p_of_flips
from kdlab.studies.pairs import EXAMPLES, Pairs

LEVEL = 0.05
POWER = 0.8
AGREEING = 3
"""Seeds that must agree, where there are several, before examples decide."""
REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"
_EXACT = 20  # seeds up to which all sign flips are counted; beyond, so many are drawn
_FLIPS = 99_999
_MOST = 1_000  # seeds; more than anyone runs
_MOST_EXAMPLES = 100_000
_LARGEST = 5.0  # effect in standard deviations; far beyond, the power can't be computed, and is 1

Values = NDArray[Any]


@dataclass(frozen=True)
class Verdict:
    """What runs say about a claim; of a claim of several pairs, what the pair says that bears it out least.

    Attributes:
        answer: ``reproduced``, ``contradicted`` or ``undecided``.
        effect: Mean difference in the claimed direction, as a fraction.
        low: Lower end of its 95 % interval.
        high: Upper end.
        seeds: How many pairs.
        p: Of the claimed direction, corrected by Holm.
        test: ``sign-flip``, ``McNemar`` or ``sign-flip over examples``.
        needed: Seeds, or examples where these are tested over, that would decide it with a power of .8 if the effect is
            what was measured; None where none would.
        note: What keeps it from being decided, a sentence or nothing.
        over: What was paired, ``seeds`` or ``examples``.
        agree: In how many seeds the difference has the claimed direction.
        rows: The rows of a study that it is about.
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
    over: str = "seeds"
    agree: int = 0
    rows: tuple[str, str] = ("", "")


def judge(claims: Sequence[Pairs], level: float = LEVEL) -> list[Verdict]:
    """A verdict on each claim of a file.

    Args:
        claims: One for each claim; all of them are tested together.
        level: How often a claim that isn't true may be called reproduced, all claims of the file together.
    """
    return judge_all([[pairs] for pairs in claims], level)


def judge_all(claims: Sequence[Sequence[Pairs]], level: float = LEVEL) -> list[Verdict]:
    """A verdict on each claim of a file, where a claim may say that several pairs are all so.

    Args:
        claims: The pairs of each claim, one at least; all claims are tested together.
        level: How often a claim that isn't true may be called reproduced, all claims of the file together.
    """
    if not claims:
        return []
    from statsmodels.stats.multitest import multipletests

    pro = [[p_value(pairs, 1) for pairs in claim] for claim in claims]
    contra = [[p_value(pairs, -1) for pairs in claim] for claim in claims]
    largest, smallest = [max(each) for each in pro], [min(1.0, len(each) * min(each)) for each in contra]
    pro_holm, contra_holm = (multipletests(each, level, method="holm")[1].tolist() for each in (largest, smallest))
    verdicts = []
    for claim, each, against, p, p_against in zip(claims, pro, contra, pro_holm, contra_holm, strict=True):
        effects = [float(pairs.differences.mean()) for pairs in claim]
        weakest = max(range(len(claim)), key=lambda i: (each[i], -effects[i]))
        opposed = min(range(len(claim)), key=lambda i: (against[i], effects[i]))
        if p <= level and all(_seeds_agree(pairs, 1) for pairs in claim):
            answer, shown = REPRODUCED, claim[weakest]
        elif p_against <= level and _seeds_agree(claim[opposed], -1):
            answer, shown = CONTRADICTED, claim[opposed]
        else:
            answer, shown = UNDECIDED, claim[weakest]
        verdicts.append(_verdict(answer, shown, p, len(claims), level))
    return verdicts


def _verdict(answer: str, pairs: Pairs, p: float, claims: int, level: float) -> Verdict:
    low, high = pairs.interval()
    differences, gains = pairs.differences, pairs.gains
    if pairs.over == EXAMPLES and gains is not None:
        test = "McNemar" if pairs.seeds == 1 and pairs.metric == "accuracy" else "sign-flip over examples"
        needed, there = examples_needed(gains, level / claims), len(gains)
    else:
        test = "McNemar" if pairs.seeds == 1 else "sign-flip"
        needed, there = seeds_needed(differences, level / claims), pairs.seeds
    if needed is not None and answer == UNDECIDED:  # so many as there are haven't decided it
        needed = max(needed, there + 1)
    return Verdict(
        answer=answer,
        effect=float(differences.mean()),
        low=low,
        high=high,
        seeds=pairs.seeds,
        p=p,
        test=test,
        needed=needed,
        note=_note(pairs, claims, level, p) if answer == UNDECIDED else "",
        over=pairs.over,
        agree=pairs.agreeing(),
        rows=pairs.rows,
    )


def _seeds_agree(pairs: Pairs, sign: int) -> bool:
    """Whether seeds don't keep a test over examples from deciding."""
    if pairs.over != EXAMPLES or pairs.seeds == 1:
        return True
    return pairs.seeds >= AGREEING and (pairs.agreeing(sign) == pairs.seeds or _p_of_seeds(pairs, sign) <= LEVEL)


def p_value(pairs: Pairs, sign: int = 1) -> float:
    """How likely so large a difference is where there is none.

    Args:
        pairs: At least one seed.
        sign: 1 for the claimed direction, -1 for the other one.
    """
    if pairs.over == EXAMPLES or pairs.seeds == 1:
        if pairs.metric != "accuracy" and (pairs.over != EXAMPLES or pairs.gains is None):
            return 1.0  # McNemar's test is about right and wrong answers, and what is gained there may be lost in F1
        return 1.0 if pairs.gains is None else p_of_flips(sign * pairs.gains)
    return _p_of_seeds(pairs, sign)


def _p_of_seeds(pairs: Pairs, sign: int) -> float:
    from scipy import stats

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
    return _needed(differences, level, _MOST)


def examples_needed(gains: Values, level: float) -> int | None:
    """Examples that would, with the same students; None for an effect of 0 or less, and for more than 100,000.

    Args:
        gains: Of each example, ``(N,)``.
        level: Of one claim.
    """
    return _needed(gains, level, _MOST_EXAMPLES)


def _needed(differences: Values, level: float, most: int) -> int | None:
    from statsmodels.stats.power import TTestPower

    if len(differences) < 2 or differences.mean() <= 0:
        return None
    least, sd = least_seeds(1, level), float(differences.std(ddof=1))
    if sd == 0:
        return least
    size, power = min(float(differences.mean()) / sd, _LARGEST), TTestPower()
    low, high = max(least, 2), most
    if power.power(size, high, level, alternative="larger") < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        enough = power.power(size, middle, level, alternative="larger") >= POWER
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def _note(pairs: Pairs, claims: int, level: float, p: float) -> str:
    """What keeps a claim from being decided with so many seeds, whatever they say."""
    if pairs.over == EXAMPLES:
        if pairs.gains is None:
            return f"examples can't decide: {pairs.metric} is of all of them together"
        if 1 < pairs.seeds < AGREEING:
            return f"{pairs.seeds} seeds can't decide: {AGREEING} are the fewest, or one alone"
        return f"{pairs.agreeing()} of {pairs.seeds} seeds agree" if pairs.seeds > 1 and p <= level else ""
    if pairs.seeds == 1:
        return "" if pairs.metric == "accuracy" else "one seed can't decide: McNemar's test is for accuracy alone"
    least = least_seeds(claims, level)
    if pairs.seeds >= least:
        return ""
    beside = f" among {claims} claims" if claims > 1 else ""
    return f"{pairs.seeds} seeds can't decide{beside}, whatever they say: {least} are the fewest"
