"""Methods that break the contract are found by the contract test: wrong copies of the two toys."""

from __future__ import annotations

import random

import pytest
import test_contract as contract
import torch
from helpers import tiny_data, tiny_method, train
from toys import Pooled, Rival

from kdlab.data.splits import join_splits


class UntrainedHead(Rival):
    """What is saved is the student with the classifier that nobody trained."""

    def finished_student(self):
        return self.student


class OtherAnswers(Rival):
    """What is validated is not what is saved."""

    def answer(self, batch):
        return self.student.classify(batch)


class ForgetsRewards(Pooled):
    """Checkpoints keep nothing of the epoch under way."""

    def method_state(self):
        return {"seen": [], "last_score": 0.0}


class UnseededPool(Pooled):
    """The pool is another one in every run."""

    def begin_epoch(self, epoch, data):
        super().begin_epoch(epoch, data)
        rows = data.training_split
        data.train_on(rows.take(random.SystemRandom().sample(range(len(rows)), len(rows))))


class UnseededActions(Pooled):
    """The policy's choices come from a generator of its own, which no checkpoint knows."""

    own = torch.Generator()

    def _keep(self, batch, states):
        self.shared_rng = self.own
        return super()._keep(batch, states)


class LeavesEvalMode(Pooled):
    """Its score leaves the student without dropout."""

    def score(self, split):
        value = super().score(split)
        self.student.eval()
        return value


class NeverMoves(Pooled):
    """Every row is dropped."""

    def _keep(self, batch, states):
        return torch.zeros_like(super()._keep(batch, states))


WRONG = {
    "an untrained head is saved": (UntrainedHead, contract.test_what_is_validated_is_what_is_saved),
    "an untrained head is validated": (OtherAnswers, contract.test_what_is_validated_is_what_is_saved),
    "the rewards are not kept": (
        ForgetsRewards,
        lambda kind, *rest: contract.test_a_stopped_training_ends_as_one_that_was_not(kind, 2, *rest),
    ),
    "the pool is not a function of the seed": (UnseededPool, contract.test_two_runs_of_a_seed_are_equal_to_the_bit),
    "the actions are not a function of the seed": (
        UnseededActions,
        contract.test_two_runs_of_a_seed_are_equal_to_the_bit,
    ),
    "a score leaves eval mode": (LeavesEvalMode, contract.test_modes_are_right_in_every_step),
    "the student does not move": (NeverMoves, contract.test_the_student_moves_and_the_teacher_does_not),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_broken_contract_is_found(name, cache, tmp_path):
    kind, check = WRONG[name]
    check(kind.__mro__[1], cache, tmp_path / "right")  # the right one passes
    with pytest.raises(AssertionError):
        check(kind, cache, tmp_path / "wrong")


class TooManyRows(Pooled):
    """Its pool is larger than it says."""

    def begin_epoch(self, epoch, data):
        rows = data.split("train")
        data.train_on(join_splits({"one": rows, "two": rows}))


class AnotherPlayer(Rival):
    """Its players are not those that it declares."""

    @classmethod
    def players_of(cls, config):
        return ("student", "critic")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (TooManyRows, "toomanyrows trains on 32 rows in epoch 0, and rows_of says 24"),
        (AnotherPlayer, r"players\(\) are \('student', 'generator'\), not those of players_of"),
    ],
)
def test_what_a_method_declares_is_held_against_what_it_does(kind, said, cache, tmp_path):
    module = tiny_method(kind)
    with pytest.raises(ValueError, match=said):
        train(module, tiny_data(cache, module=module), tmp_path)
