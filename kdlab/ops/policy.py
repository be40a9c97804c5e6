"""Arithmetic of a policy that keeps or drops examples, and of the weights that its opinion gives them (L2A)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHTS = ("payoff", "batch", "counted", "literal")
MEAN, FORECAST, NONE = "mean", "forecast", "none"
BASELINES = (FORECAST, MEAN, NONE)
_FEWEST = 20  # steps to which a forecast is fitted; it would take too much of what shorter episodes say
_MOST = 2.0  # times that a step weighs an action more than it was drawn


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


def advantages(rewards: Sequence[float], discount: float, baseline: str) -> list[float]:
    """The return of each step of an episode less what was to be expected of it.

    ``forecast`` expects what the step's place and the reward of the step before foretell: the returns of constant
    rewards, those of rewards that rise evenly, and ``r_{t-1}``, each with a factor that is fitted to the episode by
    least squares. An optimiser's momentum spreads what a step is worth over the next ten, a student that gets better
    more slowly towards the end of an epoch gives rewards with a trend, and discounted returns end with the episode;
    beside ``mean``, the mean return, all three look like the merit of actions. Nothing that is foretold depends on the
    actions of the step, so that the expected gradient stays as it is, but for what the fit takes of them. The first
    step, of which nothing is foretold, has no advantage. An episode of fewer than 20 steps, or with a reward that is no
    number, has ``mean``.

    Args:
        rewards: Of each step, in order.
        discount: γ in [0, 1].
        baseline: One of ``BASELINES``.

    Raises:
        ValueError: There is no such baseline.
    """
    if baseline not in BASELINES:
        raise ValueError(f"no baseline '{baseline}'")
    returns = np.array(discounted_returns(rewards, discount))
    expected = np.zeros_like(returns)
    if baseline != NONE and len(returns):
        expected[:] = returns.mean()
    if baseline == FORECAST and len(returns) >= _FEWEST and np.isfinite(returns).all():
        courses = ([1.0] * len(returns), np.linspace(-1, 1, len(returns)).tolist())
        before = np.stack([*(discounted_returns(one, discount)[1:] for one in courses), rewards[:-1]], axis=1)
        expected[0], expected[1:] = returns[0], before @ np.linalg.lstsq(before, returns[1:], rcond=None)[0]
    return (returns - expected).tolist()  # type: ignore[no-any-return]


def policy_loss(logits: Tensor, actions: Tensor, advantage: float, drawn: Tensor) -> Tensor:
    """``-A · mean_i w_i log π(a_i | s_i)``; REINFORCE's loss (Williams 1992; Eq. 15 of Feng et al. 2021) where w is 1.

    L2A's selector makes its steps behind the epoch, and each but the first is of another policy than the one that drew
    the actions. Without ``w_i``, the chance of an action now by its chance when it was drawn, a step of negative
    advantage drives a policy that has moved further the same way, wherever it has moved. ``w_i`` stands for the example
    alone, not for the rest of its batch, and is 2 at most, which leaves a little of that.

    Args:
        logits: Of keeping each example, ``(B,)``.
        actions: 1 where it was kept and 0 where it was dropped, ``(B,)``.
        advantage: The step's return less a baseline.
        drawn: The chance of keeping each when the actions were drawn, ``(B,)``.
    """
    losses = F.binary_cross_entropy_with_logits(logits.float(), actions.float(), reduction="none")
    then = torch.where(actions > 0, drawn, 1 - drawn)
    weights = ((-losses.detach()).exp() / then.clamp_min(torch.finfo(then.dtype).tiny)).clamp_max(_MOST)
    return advantage * (weights * losses).mean()


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
