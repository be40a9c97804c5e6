"""``min_steps``: more epochs where the data makes few steps, and nothing where the user says how long to train."""

from __future__ import annotations

import pytest

from kdlab.config.resolve import PRESETS
from kdlab.errors import KdlabError
from kdlab.methods.shared.players import Cycle
from kdlab.methods.shared.settings import TrainingConfig
from kdlab.planning.plan import make_plan
from kdlab.training.steps import count_steps, epochs_for

FEW = {"task": "rte", "profile": "embedded", "accelerator": "cpu", "precision": "32", "data.limit_train": "100"}
FLOOR = {"training.min_steps": 60, "teacher.min_steps": 30}


@pytest.mark.parametrize(("floor", "epochs"), [(0, 4), (12, 4), (13, 5), (60, 20), (61, 21)])
def test_epochs_are_raised_to_the_floor(floor: int, epochs: int):
    training = TrainingConfig(epochs=4, min_steps=floor)
    assert epochs_for(90, training) == epochs  # 3 steps an epoch
    assert count_steps(90, training, epochs) >= floor


def test_only_the_students_turns_count():
    cycle = Cycle((("generator", 2), ("student", 1)))
    training = TrainingConfig(epochs=1, min_steps=10)
    assert epochs_for(90, training, cycle) == 10  # one of three batches is the student's
    accumulated = TrainingConfig(epochs=1, min_steps=6, batch_size=32, accumulate=2)
    assert epochs_for(90, accumulated) == 2  # 6 batches of 16, two a step


def test_a_raised_plan_is_the_plan_with_so_many_epochs(cache):
    raised = make_plan({**FEW, **FLOOR, "method": "kd"}, cache)
    assert (raised.epochs(), raised.steps(), raised.config.teacher.epochs) == ("20 epochs", 60, 10)
    said = make_plan({**FEW, "method": "kd", "training.epochs": 20, "teacher.epochs": 10}, cache)
    assert raised.identity(0) == said.identity(0)
    assert raised.settings.plain["training"]["epochs"] == 20


def test_what_the_user_says_wins(cache):
    assert make_plan({**FEW, **FLOOR, "method": "kd", "training.max_steps": 5}, cache).steps() == 5
    with pytest.raises(
        KdlabError, match=r"training.epochs=2 makes fewer steps than training.min_steps=60, .* 20 epochs"
    ):
        make_plan({**FEW, **FLOOR, "method": "kd", "training.epochs": 2}, cache)
    assert make_plan({**FEW, **FLOOR, "method": "kd", "training.epochs": 30}, cache).epochs() == "30 epochs"
    with pytest.raises(KdlabError, match=r"training.min_steps"):
        make_plan({**FEW, "method": "kd", "training.min_steps": -1}, cache)


def test_the_floor_is_300_steps_unless_a_paper_is_repeated(cache):
    plan = make_plan({**FEW, "method": "kd"}, cache)
    assert (plan.steps(), plan.config.training.epochs, plan.config.teacher.epochs) == (300, 100, 100)
    own = make_plan({**FEW, "method": "kd", "training.epochs": 2, "teacher.max_steps": 9}, cache)
    assert (own.steps(), own.config.training.min_steps, own.config.teacher.min_steps) == (6, 0, 0)
    assert PRESETS["paper"]["training.min_steps"] == PRESETS["paper"]["teacher.min_steps"] == 0
    assert PRESETS["paper"]["data.select_by"] == "metric"


def test_phases_of_their_own_length_stay(cache):
    plan = make_plan({**FEW, **FLOOR, "method": "annealing_kd"}, cache)
    assert plan.epochs() == "14 epochs of annealing and 20 epochs of gold"
