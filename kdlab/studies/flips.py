"""How likely a mean gain over examples is where each example's gain might as well be a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLIPS = 99_999
_LARGEST = 120  # denominator: shares of 4 recipes over 30 seeds, say
_STEPS = 2 * 10**8  # of an exact count; a second or two
_BATCH = 2**24  # drawn signs held at a time

Values = NDArray[Any]


def p_of_flips(gains: Values) -> float:
    """The one-sided p of a mean gain above 0: the share of all ways to flip signs that give as much or more.

    Exact where gains are fractions with a small denominator, as those of answers that are right or wrong are: the sums
    are counted one example after the other. With gains of 1, 0 and -1 this is McNemar's exact test. Otherwise, as for
    numbers of queries, signs are drawn.

    Args:
        gains: Of each example, ``(N,)``.
    """
    gains = np.asarray(gains, dtype=float)
    gains = gains[np.abs(gains) > 1e-12]  # a gain of 0 stays so, whatever its sign
    if not len(gains):
        return 1.0
    whole = _as_whole(gains)
    sizes = None if whole is None else np.abs(whole)
    if whole is None or sizes is None or len(sizes) * int(sizes.sum()) > _STEPS:
        return _drawn(gains)
    chances = np.zeros(int(sizes.sum()) + 1)  # of what the positive signs sum up to
    chances[0] = 1.0
    for size in sizes.tolist():
        chances *= 0.5
        chances[size:] += chances[:-size].copy()
    return min(float(chances[int(whole[whole > 0].sum()) :].sum()), 1.0)


def _as_whole(gains: Values) -> NDArray[np.int64] | None:
    """Gains times their denominator; None where that is not small."""
    for denominator in range(1, _LARGEST + 1):
        scaled = gains * denominator
        if np.allclose(scaled, np.rint(scaled), rtol=0, atol=1e-6):
            whole: NDArray[np.int64] = np.rint(scaled).astype(np.int64)
            return whole
    return None


def _drawn(gains: Values) -> float:
    random, seen, reached = np.random.default_rng(0), 0, 1  # what was measured is one of the ways
    sum_of_all, least = gains.sum(), gains.sum() - 1e-9 * np.abs(gains).sum()
    at_a_time = max(_BATCH // len(gains), 1)
    while seen < _FLIPS:
        many = min(at_a_time, _FLIPS - seen)
        lost = random.integers(2, size=(many, len(gains)), dtype=np.int8) @ gains
        reached += int((sum_of_all - 2 * lost >= least).sum())
        seen += many
    return reached / (_FLIPS + 1)
