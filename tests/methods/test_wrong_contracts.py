"""Methods that break the contract are found by the contract test: wrong copies of the two toys."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import test_contract as contract
import torch
from helpers import tiny_data, tiny_method, train
from toys import Pooled, Rival

from kdlab.config.resolve import Draft
from kdlab.data.splits import join_splits
from kdlab.errors import KdlabError
from kdlab.methods.base import DistillModule, Phase, PhaseContext
from kdlab.methods.finetune import FineTune
from kdlab.methods.kd import KD
from kdlab.methods.shared.context import plain_state
from kdlab.system import distributed
from kdlab.types import LossTerms


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


class DetachedGenerator(Rival):
    """Its second player learns nothing."""

    def _made(self, batch):
        return super()._made(batch).detach()


WRONG = {
    "the second player does not move": (DetachedGenerator, contract.test_the_student_moves_and_the_teacher_does_not),
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


class NoSuper(FineTune):
    """Begins a phase without the base."""

    def begin_phase(self, context):
        pass


class TotalTwice(FineTune):
    """A term has the name of the total."""

    def compute_loss(self, batch):
        losses = super().compute_loss(batch)
        return LossTerms(losses.total, {"loss": losses.total / 2})


class BareTensor(FineTune):
    """Its loss is no LossTerms."""

    def compute_loss(self, batch):
        return super().compute_loss(batch).total


class ForgotNeeds(FineTune):
    """Takes logits that it did not ask for."""

    def compute_loss(self, batch):
        return LossTerms((self.student.classify(batch) - batch.soft_labels()).square().mean())


class DetachedTotal(Rival):
    """The student's loss has no gradient."""

    def loss_of(self, player, batch):
        losses = super().loss_of(player, batch)
        return LossTerms(losses.total.detach(), losses.terms) if player == "student" else losses


class ForgotReturn(Rival):
    """The student has no loss."""

    def loss_of(self, player, batch):
        return None if player == "student" else super().loss_of(player, batch)


class StepsOthers(Rival):
    """The generator's optimiser is over the student's weights."""

    def optimizer_of(self, player, parameters):
        return torch.optim.Adam(self.student.parameters() if player == "generator" else parameters)


class StepsAStranger(FineTune):
    """The student's optimiser is over a weight of nobody's."""

    def optimizer_of(self, player, parameters):
        return torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


class NoOptimizer(FineTune):
    """The return is forgotten."""

    def optimizer_of(self, player, parameters):
        torch.optim.Adam(parameters)


class DetachedAlone(FineTune):
    """Its only loss has no gradient."""

    def compute_loss(self, batch):
        losses = super().compute_loss(batch)
        return LossTerms(losses.total.detach(), losses.terms)


class OneLossARow(FineTune):
    """The mean is forgotten."""

    def compute_loss(self, batch):
        return LossTerms(self.student.classify(batch).square().sum(-1))


class PlainNumber(FineTune):
    """A term is a number."""

    def compute_loss(self, batch):
        total = super().compute_loss(batch).total
        return LossTerms(total, {"ce": float(total.detach())})


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (DetachedTotal, "detachedtotal's student made no step in phase 'train'"),
        (ForgotReturn, "forgotreturn's student made no step in phase 'train'"),
        (StepsOthers, "the optimiser that optimizer_of gives the generator is of other weights than its own"),
        (StepsAStranger, "the optimiser that optimizer_of gives the student is of other weights than its own"),
        (NoOptimizer, "optimizer_of gives the student a NoneType, which is no optimiser"),
        (DetachedAlone, "the total loss of the student has no gradient"),
        (OneLossARow, r"the total loss of the student has the shape \(8,\)"),
        (PlainNumber, "the loss term 'ce' of the student is no tensor"),
        (TooManyRows, "toomanyrows trains on 32 rows in epoch 0, and rows_of says 24"),
        (AnotherPlayer, r"players\(\) are \('student', 'generator'\), and players_of says \('student', 'critic'\)"),
        (NoSuper, r"nosuper overrides begin_phase: it must call super\(\)"),
        (TotalTwice, "a loss term of the student is called 'loss', as its total is"),
        (BareTensor, r"the loss of the student is a Tensor: give LossTerms\(total, terms\)"),
        (ForgotNeeds, "this batch has no teacher logits: add Need.LOGITS"),
    ],
)
def test_what_a_method_declares_is_held_against_what_it_does(kind, said, cache, tmp_path):
    module = tiny_method(kind)
    with pytest.raises(KdlabError, match=said):
        train(module, tiny_data(cache, module=module), tmp_path)


class TwoPhases(Pooled):
    """Its state goes on from one phase to the next."""

    @classmethod
    def phases_of(cls, config):
        return [Phase("first"), Phase("second")]


class ForgetsAtTheBorder(TwoPhases):
    """Its state is another one where a phase is taken from its checkpoint."""

    def restore_method_state(self, state):
        super().restore_method_state({**state, "last_score": state["last_score"] if self.training_began else 0.5})

    @property
    def training_began(self) -> bool:
        return bool(self._trainer)


def test_a_methods_state_goes_over_the_border_of_phases(cache, tmp_path):
    stop = 7  # of three batches an epoch, two epochs a phase: before the second's first checkpoint
    resumes = contract.test_a_stopped_training_ends_as_one_that_was_not
    resumes(TwoPhases, stop, cache, tmp_path / "right")
    with pytest.raises(AssertionError):
        resumes(ForgetsAtTheBorder, stop, cache, tmp_path / "wrong")


def test_checkpoints_of_before_the_contract_are_gone_on_with(cache, tmp_path, monkeypatch):
    """They held ``windows`` and ``last_terms``, and no method's state."""
    right = DistillModule.on_save_checkpoint

    def as_before(self, checkpoint):
        right(self, checkpoint)
        place = checkpoint["kdlab"]
        place["windows"] = [{k: v for k, v in one.items() if k != "last_line"} for one in place.pop("terms")]
        place["last_terms"] = self.terms.last_line
        del place["method"]

    monkeypatch.setattr(DistillModule, "on_save_checkpoint", as_before)
    check_resumes = contract.test_a_stopped_training_ends_as_one_that_was_not
    check_resumes("kd", 2, cache, tmp_path)


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": {1}}, "a is a set"),
        ({"a": [1, {"b": np.float32(1)}]}, "a[1].b is a float32"),
        ({"a": (Phase(),)}, "a[0]"),
    ],
)
def test_a_state_that_no_checkpoint_can_hold_is_refused(state, where):
    with pytest.raises(ValueError, match=re.escape(f"mine: method_state's {where}")):
        plain_state("mine", state)
    fine = {"a": torch.ones(2), "b": [1, 2.0, "c", None, (True, {"d": torch.zeros(1)})]}
    assert plain_state("mine", fine) is fine


def test_a_score_puts_every_part_back_as_it_was(cache, tmp_path):
    module = tiny_method("finetune")
    data = tiny_data(cache)
    module.begin_phase(PhaseContext(data=data))
    module.student.encoder_layers()[0].eval()
    modes = [part.training for part in module.modules()]
    assert 0 <= module.score("dev") <= 1
    assert [part.training for part in module.modules()] == modes
    assert len(set(modes)) == 2
    with pytest.raises(ValueError, match="a score needs data"):
        tiny_method("finetune").score("dev")


@pytest.mark.parametrize(("rank", "flags"), [(0, [True, False]), (1, [True, False])])
def test_processes_that_differ_dont_wait_for_ever(rank, flags, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda count: count.fill_(sum(flags)))
    with pytest.raises(ValueError, match="no gradient in some of the processes only"):
        distributed.agree(flags[rank], "a loss has no gradient")
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda count: count.mul_(2))
    assert distributed.agree(True, "x")
    assert not distributed.agree(False, "x")


class Inherits(KD):
    """A method with the settings of another."""


def test_inherited_settings_are_named_with_the_methods_own_section():
    with pytest.raises(KdlabError, match=r"inherits\.temperature is -1"):
        Draft(Inherits, FineTune, {"method": "inherits", "inherits.temperature": -1})
    assert KD.Config.section == "kd"
