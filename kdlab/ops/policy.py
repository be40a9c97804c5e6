"""Arithmetic of a policy that keeps or drops examples, and of the weights that its opinion gives them (L2A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHTS = ("payoff", "batch", "counted", "literal")


def discounted_returns(rewards: Sequence[float], discount: float) -> list[float]:
    """``r(τ)_t = Σ_k γ^k r_{t+k}`` to the end of the episode (Feng et al. 2021, Eq. 14).

    Args:
        rewards: Of each step, in order.
        discount: γ in [0, 1].
    """
    returns, worth = [], 0.0
    for reward in reversed(rewards):
        worth = reward + discount * worth
        returns.append(worth)
    return returns[::-1]


def policy_loss(logits: Tensor, actions: Tensor, advantage: float) -> Tensor:
    """``-A · mean_i log π(a_i | s_i)``, whose gradient is REINFORCE's (Williams 1992; Eq. 15 of Feng et al. 2021).

    Args:
        logits: Of keeping each example, ``(B,)``.
        actions: 1 where it was kept and 0 where it was dropped, ``(B,)``.
        advantage: The step's return less a baseline.
    """
    return advantage * F.binary_cross_entropy_with_logits(logits.float(), actions.float())


def policy_entropy(logits: Tensor) -> Tensor:
    """Mean entropy of keep or drop in nats, at most log 2; a scalar.

    Args:
        logits: Of keeping each example, ``(B,)``.
    """
    keep = torch.sigmoid(logits.float())
    return -(keep * F.logsigmoid(logits.float()) + (1 - keep) * F.logsigmoid(-logits.float())).mean()


def candidate_weights(form: str, keep: Tensor, log_prob: Tensor, origin: Tensor, alpha: float) -> Tensor:
    """How much each candidate counts in the generator's likelihood (Feng et al. 2021, Eq. 7 to 9).

    Candidates are drawn from P_s, so each counts by Q / P_s. ``payoff`` takes ``Q ∝ P_s · exp(π/α)`` around each
    example, which leaves ``exp(π/α)``, normalised over its candidates. The others are departures that were tried: Eq. 9
    to the letter (``literal``, ``log P_s + π``) is negative for every sentence and pushes good ones away; ``counted``,
    ``exp((log P_s + π)/α)``, counts P_s twice, once by the draw; ``batch`` normalises ``exp(π/α)`` over all candidates
    together, as the code of the paper's ancestor does (Ke et al. 2019).

    Args:
        form: One of ``WEIGHTS``.
        keep: π, the chance that the selector keeps each candidate, ``(N,)``.
        log_prob: ``log P_s`` of each, ``(N,)``; only ``counted`` and ``literal`` read it.
        origin: Which example each was made of, ``(N,)`` int64.
        alpha: α > 0.

    Returns:
        ``(N,)`` float64: those of one example sum to 1; of ``batch`` all to the number of examples; ``literal`` to
        anything.

    Raises:
        ValueError: There is no such form.
    """
    keep, log_prob = keep.double(), log_prob.double()
    if form == "literal":
        return log_prob + keep
    if form not in WEIGHTS:
        raise ValueError(f"no weights '{form}'")
    scores = (keep + log_prob if form == "counted" else keep) / alpha
    group = _groups(origin)
    examples = int(group.max()) + 1 if len(group) else 0
    if form == "batch":
        return torch.softmax(scores, 0) * examples
    most = torch.full((examples,), -torch.inf, dtype=scores.dtype).scatter_reduce(0, group, scores, "amax")
    sized = (scores - most[group]).exp()
    return sized / torch.zeros(examples, dtype=scores.dtype).index_add(0, group, sized)[group]


def _groups(origin: Tensor) -> Tensor:
    """Numbers from 0 for the examples that candidates were made of, ``(N,)``."""
    return torch.unique(origin, return_inverse=True)[1]  # type: ignore[no-any-return]


def effective_sample_size(weights: Tensor, origin: Tensor) -> float:
    """``(Σ w)² / Σ w²`` of the candidates of one example, the mean over examples: from 1 to their number.

    Args:
        weights: ``(N,)``.
        origin: Which example each candidate was made of, ``(N,)`` int64.
    """
    group = _groups(origin)
    examples = int(group.max()) + 1 if len(group) else 0
    if not examples:
        return 0.0
    zeros = torch.zeros(examples, dtype=torch.float64)
    sums = zeros.index_add(0, group, weights.double())
    squares = zeros.index_add(0, group, weights.double().square())
    return float((sums.square() / squares.clamp_min(torch.finfo(torch.float64).tiny)).mean())
