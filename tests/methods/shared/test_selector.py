"""The selector's states and episodes."""

from __future__ import annotations

import torch

from kdlab.methods.shared.context import plain_state
from kdlab.methods.shared.selector import Episode, Selector, state_of


def test_a_state_has_both_answers_as_probabilities_or_scores():
    theirs, ours = torch.tensor([[0.0, 200.0]]), torch.tensor([[1.0, 1.0]])
    assert state_of(theirs, ours, False).tolist() == [[0.0, 1.0, 0.5, 0.5]]
    assert state_of(theirs[:, :1] + 3, ours[:, :1], True).tolist() == [[3.0, 1.0]]


def test_a_new_selector_keeps_every_second_one_whatever_it_sees():
    one, other = Selector(2, 128, False), Selector(2, 128, False)
    for selector, seed in ((one, 0), (other, 1)):
        selector.draw(seed)
    assert one(torch.randn(5, 4)).tolist() == [0.0] * 5
    assert not torch.equal(one.hidden.weight, other.hidden.weight)
    kept = one.hidden.weight.clone()
    one.draw(7)  # a later phase goes on with what was learned
    assert torch.equal(one.hidden.weight, kept)


def test_units_tell_probabilities_apart_and_are_not_saturated_by_scores():
    """Whether two networks agree is a pattern that no sum of linear units shows."""
    answers = torch.tensor([[p, q] for p in (0.3, 0.7) for q in (0.4, 0.6)])
    states = state_of(torch.stack([1 - answers[:, 0], answers[:, 0]], 1).log(), torch.zeros(4, 2), False)
    states[:, 2], states[:, 3] = 1 - answers[:, 1], answers[:, 1]
    selector = Selector(2, 128, False)
    selector.draw(0)
    units = torch.tanh(selector.hidden(states))
    agree, linear = torch.tensor([1.0, -1.0, -1.0, 1.0]), torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert ((agree @ units).abs().mean() / (linear @ units).abs().mean()).item() > 0.1
    scores = Selector(1, 128, True)
    scores.draw(0)
    assert torch.tanh(scores.hidden(torch.tensor([[4.0, 5.0]]))).abs().mean() < 0.95


def test_an_episode_comes_back_from_a_checkpoint():
    episode = Episode()
    episode.add(torch.rand(2, 4), torch.tensor([1.0, 0.0]), torch.tensor([0.7, 0.2]), torch.tensor([5, 3]))
    episode.reward(0.25)
    again = Episode.from_state(plain_state("l2a", episode.state_dict()))
    assert again.rewards == [0.25]
    for name in ("states", "actions", "drawn", "index"):
        assert torch.equal(getattr(again, name)[0], getattr(episode, name)[0])
    again.reward(1.0)
    assert episode.rewards == [0.25]  # a copy
