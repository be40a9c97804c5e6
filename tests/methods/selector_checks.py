"""What L2A's reward, selector steps and generator weights must satisfy, as functions; see objective_checks."""

from __future__ import annotations

import math

import torch
from helpers import tiny_batch, tiny_method
from objective_checks import _close

from kdlab.methods.base import PhaseContext, TrainingConfig

REWARDS = (0.25, -0.5, 0.0, 0.75)


def begun(**settings):
    """The method at the start of its phase."""
    return begin(tiny_method("l2a", **settings))


def begin(module):
    """Begins the method's first phase."""
    module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 4, 0))
    module.shared_rng = torch.Generator().manual_seed(0)
    return module


def check_reward(patch):
    """A step's reward is what it adds to the score on the reward part, asked for when the student has moved."""
    for by, sign in (("metric", 1.0), ("loss", -1.0)):
        _check_rewards(patch, by, sign)


def _check_rewards(patch, by, sign):
    module, batch, told = begun(reward_by=by), tiny_batch(logits=True), []
    scores = iter((0.5, 0.75, 0.25, 0.25))

    def score(split, metric="metric"):
        told.append((split, metric, module.student_step))
        return sign * next(scores)

    patch.setattr(module, "score", score)
    for step in range(3):
        assert module.loss_of("student", batch) is not None
        module.student_step = step + 1
        assert module.loss_of("selector", batch) is None
    assert told == [("reward", by, step) for step in range(4)]
    assert module.episode.rewards == [0.25, -0.5, 0.0]
    assert module.terms.means()["reward"] == -0.25 / 3
    seen = module.episode
    for states, actions, drawn, index in zip(seen.states, seen.actions, seen.drawn, seen.index, strict=True):
        theirs, ours = batch.teacher_logits.softmax(1), module.student.classify(batch).softmax(1)
        _close(states, torch.cat([theirs, ours], 1))
        assert set(actions.tolist()) <= {0.0, 1.0}
        _close(drawn, torch.sigmoid(module.selector(states)))
        assert index.tolist() == list(range(6))


def check_selector_steps(patch):
    """Behind an epoch each batch's step minimises ``-(Σ γ^k r_{t+k} - mean) · w · log π(a|s)``, mean over examples."""
    for baseline in ("mean", "none"):
        module, seen = begun(discount=0.5, baseline=baseline), []
        draw = torch.Generator().manual_seed(1)
        with torch.no_grad():
            module.selector.keep.weight.normal_(generator=draw)
        module.pool = _pool(8)
        for reward in REWARDS:
            states = torch.rand(2, 4, generator=draw)
            actions, drawn = ((torch.rand(2, generator=draw) < 0.5).float() for _ in range(2))
            module.episode.add(states, actions, 0.4 + 0.2 * drawn, torch.arange(2) + 2 * len(seen))
            module.episode.reward(reward)
        stored = module.episode
        patch.setattr(module, "step", lambda player, losses, seen=seen: seen.append((player, losses)))
        module.end_epoch(0)
        assert [player for player, _ in seen] == ["selector"] * 4
        returns = [sum(0.5**k * r for k, r in enumerate(REWARDS[t:])) for t in range(4)]
        mean = sum(returns) / 4 if baseline == "mean" else 0.0
        parts = (stored.states, stored.actions, stored.drawn, returns)
        for (_, losses), states, actions, drawn, value in zip(seen, *parts, strict=True):
            keep = torch.sigmoid(module.selector(states))
            now = torch.where(actions > 0, keep, 1 - keep)
            then = torch.where(actions > 0, drawn, 1 - drawn)
            likelihood = ((now / then).clamp(max=2).detach() * now.log()).mean()
            _close(losses.total, -(value - mean) * likelihood)
            assert losses.total.requires_grad
        assert module.episode.rewards == []
        assert math.isfinite(module.terms.means()["effective_samples"])


def _pool(size):
    """A pool of which two candidates each are of one row."""
    import numpy as np

    from kdlab.methods.shared.candidates import Pool

    rows = np.repeat(np.arange(size // 2), 2)
    nothing = np.zeros(size)
    return Pool(None, [("ba",)] * size, [()] * size, rows, nothing, nothing.astype(np.float32))  # type: ignore[arg-type]
