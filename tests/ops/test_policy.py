"""A policy's arithmetic, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kdlab.ops.policy import (
    FORECAST,
    MEAN,
    NONE,
    WEIGHTS,
    advantages,
    candidate_weights,
    discounted_returns,
    effective_sample_size,
    policy_entropy,
    policy_loss,
)

KEEP = torch.tensor([0.9, 0.1, 0.5, 0.5, 0.2])
LOGS = torch.tensor([-40.0, -12.0, -3.0, -60.0, -20.0])
ORIGIN = torch.tensor([4, 4, 4, 9, 9])


def test_discounted_returns_by_hand():
    assert discounted_returns([1.0, 0.0, -2.0, 4.0], 0.5) == [1.0 + 0 - 0.5 + 0.5, 0 - 1.0 + 1.0, -2.0 + 2.0, 4.0]
    assert discounted_returns([1.0, 2.0, 3.0], 1.0) == [6.0, 5.0, 3.0]
    assert discounted_returns([1.0, 2.0, 3.0], 0.0) == [1.0, 2.0, 3.0]
    assert discounted_returns([], 0.9) == []


def test_advantages_are_returns_less_what_was_to_be_expected():
    rewards = [1.0, 0.0, 4.0]
    assert advantages(rewards, 0.5, NONE) == [2.0, 2.0, 4.0]
    assert advantages(rewards, 0.5, MEAN) == pytest.approx([2 - 8 / 3, 2 - 8 / 3, 4 - 8 / 3])
    for few in ([], rewards, [0.0, 1.0] * 9, [0.0] * 19 + [math.nan]):  # too few, or nothing to fit to
        assert str(advantages(few, 0.5, FORECAST)) == str(advantages(few, 0.5, MEAN))
    assert advantages([0.0, 1.0] * 10, 0.5, FORECAST) != advantages([0.0, 1.0] * 10, 0.5, MEAN)
    with pytest.raises(ValueError, match="no baseline 'median'"):
        advantages(rewards, 0.5, "median")


def test_a_forecast_takes_out_trends_and_momentum():
    draw = np.random.default_rng(0)
    merits = draw.normal(size=400)
    rewards, moving = [], 0.0
    for step, merit in enumerate(merits):
        moving = 0.9 * moving + 0.1 * merit
        rewards.append(moving + step / 100)
    found = {name: np.corrcoef(merits, advantages(rewards, 0.0, name))[0, 1] for name in (MEAN, FORECAST)}
    assert found[MEAN] < 0.3
    assert found[FORECAST] > 0.99  # .98 without the trend
    assert np.mean(advantages(rewards, 0.0, FORECAST)) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("course", [[0.5] * 30, [0.1 * step - 1 for step in range(30)]])
def test_even_rewards_have_no_advantage_to_the_end_of_the_episode(course, discount):
    assert np.abs(advantages(course, discount, FORECAST)).max() < 1e-9
    if discount:
        assert np.abs(advantages(course, discount, MEAN)).max() > 0.05


def test_the_loss_is_the_negative_log_likelihood_of_what_was_done():
    logits, actions = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    keep = 1 / (1 + (-logits).exp())
    by_hand = -(keep[0].log() + (1 - keep[1]).log() + (1 - keep[2]).log()) / 3
    torch.testing.assert_close(policy_loss(logits, actions, 2.5, keep), 2.5 * by_hand)
    torch.testing.assert_close(policy_loss(logits, actions, -1.0, keep), -by_hand)


def test_actions_of_another_policy_count_by_their_chance_now():
    """What is weighted so has a gradient of mean 0 where nothing depends on the actions, whoever drew them."""
    logit, drawn = torch.tensor([0.5], requires_grad=True), torch.tensor([0.45])
    total = torch.zeros(1)
    for action, chance in ((1.0, 0.45), (0.0, 0.55)):
        loss = policy_loss(logit, torch.tensor([action]), -1.0, drawn)
        total += chance * torch.autograd.grad(loss, logit)[0]
    torch.testing.assert_close(total, torch.zeros(1))
    kept, rare = torch.tensor([1.0]), torch.tensor([0.01])
    by_hand = -2 * torch.sigmoid(logit).log()
    torch.testing.assert_close(policy_loss(logit, kept, 1.0, rare), by_hand.squeeze())  # twice at most
    assert policy_loss(logit, kept, 1.0, torch.tensor([0.0])).isfinite()


def test_entropy_is_that_of_a_coin():
    torch.testing.assert_close(policy_entropy(torch.zeros(4)), torch.tensor(math.log(2)))
    keep = torch.sigmoid(torch.tensor([1.7]))
    by_hand = -(keep * keep.log() + (1 - keep) * (1 - keep).log()).squeeze()
    torch.testing.assert_close(policy_entropy(torch.tensor([1.7])), by_hand)


@pytest.mark.parametrize("good", [0, 1])
def test_the_gradient_of_a_two_armed_toy_points_the_right_way(good):
    """Kept when it should be, the toy gains 1, dropped it gains nothing: what is good is kept more often."""
    draw, logit = torch.Generator().manual_seed(0), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([logit], 0.05)
    for _ in range(200):
        action = (torch.rand(1, generator=draw) < torch.sigmoid(logit.detach())).float()
        reward = float(action == good)
        optimizer.zero_grad()
        policy_loss(logit, action, reward - 0.5, torch.sigmoid(logit.detach())).backward()
        optimizer.step()
    keep = float(torch.sigmoid(logit.detach()))
    assert keep > 0.9 if good else keep < 0.1


def test_the_expected_gradient_is_the_gradient_of_the_expected_reward():
    """Over all actions of two examples, weighted by their chance, for a reward that is a function of both."""
    logits = torch.tensor([0.4, -0.7], dtype=torch.float32, requires_grad=True)
    rewards = {(0, 0): 0.1, (0, 1): -0.3, (1, 0): 0.9, (1, 1): 0.2}
    expected = torch.zeros(())
    found = torch.zeros(2)
    for action, reward in rewards.items():
        keep = torch.sigmoid(logits)
        chance = torch.stack([k if a else 1 - k for k, a in zip(keep, action, strict=True)]).prod()
        expected = expected + chance * reward
        loss = policy_loss(logits, torch.tensor(action, dtype=torch.float32), reward, torch.sigmoid(logits.detach()))
        found += chance.detach() * torch.autograd.grad(loss, logits)[0]
    (gradient,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(-2 * found, gradient)  # the loss is a mean over two examples


def test_payoff_weights_are_positive_and_sum_to_one_over_an_example():
    weights = candidate_weights("payoff", KEEP, LOGS, ORIGIN, 0.6)
    by_hand = [math.exp(k / 0.6) for k in KEEP.tolist()]
    sums = [sum(by_hand[:3])] * 3 + [sum(by_hand[3:])] * 2
    torch.testing.assert_close(weights, torch.tensor([w / s for w, s in zip(by_hand, sums, strict=True)]).double())
    assert (weights > 0).all()
    assert candidate_weights("payoff", KEEP, LOGS - 1e3, ORIGIN, 0.6).equal(weights)  # P_s is in the draw already


def test_other_weights_are_what_they_say():
    literal = candidate_weights("literal", KEEP, LOGS, ORIGIN, 0.6)
    torch.testing.assert_close(literal, LOGS.double() + KEEP.double())
    assert (literal < 0).all()  # each of them would be pushed away
    batch = candidate_weights("batch", KEEP, LOGS, ORIGIN, 0.6)
    torch.testing.assert_close(batch, 2 * torch.softmax(KEEP.double() / 0.6, 0))
    counted = candidate_weights("counted", KEEP, LOGS, ORIGIN, 0.6)
    assert float(counted[:3].sum()) == pytest.approx(1)
    assert effective_sample_size(counted, ORIGIN) < 1.1  # the likeliest candidate alone counts
    with pytest.raises(ValueError, match="no weights 'even'"):
        candidate_weights("even", KEEP, LOGS, ORIGIN, 0.6)
    for form in WEIGHTS:
        assert len(candidate_weights(form, KEEP[:0], LOGS[:0], ORIGIN[:0], 1.0)) == 0


def test_the_effective_sample_size_is_the_number_of_equal_weights():
    assert effective_sample_size(torch.full((5,), 0.3), ORIGIN) == pytest.approx(2.5)  # of 3 and of 2
    assert effective_sample_size(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]), ORIGIN) == pytest.approx(1)
    assert effective_sample_size(torch.zeros(0), ORIGIN[:0]) == 0
