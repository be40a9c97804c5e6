"""Turns, counted by hand."""

from __future__ import annotations

import pytest
import torch

from kdlab.methods.shared.players import Cycle, gradients_for, linear_warmup_decay

TURNS = Cycle((("generator", 2), ("student", 3)))


def test_turns_come_one_after_the_other():
    assert [TURNS.player_at(n)[0] for n in range(12)] == list("ggsssggsssgg")


@pytest.mark.parametrize("cycle", [TURNS, Cycle((("a", 1), ("student", 1), ("a", 2), ("student", 4)))])
def test_steps_are_counted_as_they_are_made(cycle):
    names = {name for name, _ in cycle.turns}
    order = [cycle.player_at(n) for n in range(60)]
    for batches in range(60):
        for name in names:
            made = order[:batches].count(name)
            assert cycle.steps(name, batches) == made
            fewest = next(n for n in range(61) if order[:n].count(name) == made)
            assert cycle.batches(name, made) == fewest


def test_without_turns_every_player_moves_on_every_batch():
    assert Cycle().steps("anyone", 7) == Cycle().batches("anyone", 7) == 7
    with pytest.raises(ValueError, match="every player moves"):
        Cycle().player_at(0)


def test_who_has_no_turn():
    assert TURNS.steps("nobody", 10) == 0


def test_only_one_player_takes_gradients_and_freezing_is_undone():
    a, b, shared, frozen = (torch.nn.Parameter(torch.ones(2)) for _ in range(4))
    frozen.requires_grad_(False)
    players = {"student": [a, shared], "generator": [b, shared, frozen]}
    with gradients_for("generator", players), gradients_for("generator", players):
        assert [p.requires_grad for p in (a, b, shared, frozen)] == [False, True, True, False]
        x = (a * b * shared).sum()
        x.backward()
    assert a.grad is None
    assert b.grad is not None
    assert [p.requires_grad for p in (a, b, shared, frozen)] == [True, True, True, False]
    with pytest.raises(RuntimeError), gradients_for("student", players):
        raise RuntimeError
    assert b.requires_grad


def test_the_rate_rises_and_falls():
    at = linear_warmup_decay(10, 0.2)
    assert [at(s) for s in range(3)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert at(6) == pytest.approx(0.5)
    assert at(10) == at(11) == 0.0
