"""``robust``: its rows, its attacks, its loss, what it refuses, and wrong copies that must be found."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import json
import math
from contextlib import contextmanager

import numpy as np
import pytest
import robust_checks
import test_contract as contract
import torch
from helpers import SCORES, tiny_data, tiny_method, train
from robust_checks import (
    NEW,
    OWN,
    begun,
    check_append,
    check_attacked,
    check_continue,
    check_kept_within_an_epoch,
    check_loss,
    check_nothing_moves,
    check_redrawn,
    check_teachers_answers,
    data_with,
    right_split,
    rows,
)

import kdlab.methods.robust
import kdlab.methods.shared.attacked
from kdlab.attacks.victim import EncoderVictim
from kdlab.config.resolve import Draft
from kdlab.data.examples import Examples
from kdlab.data.tasks import AUGMENTED_ROWS
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import Prediction, predict
from kdlab.losses.soft_targets import soft_cross_entropy, supervised
from kdlab.methods.base import Phase, TrainingConfig
from kdlab.methods.finetune import FineTune
from kdlab.methods.robust import Robust
from kdlab.methods.robust_settings import RobustConfig
from kdlab.methods.shared.attacked import Attacked, attack_rows
from kdlab.system.cost import Cost
from kdlab.types import Need, RecipeResource

METHOD, ATTACKED = kdlab.methods.robust, kdlab.methods.shared.attacked
CHECKS = [getattr(robust_checks, name) for name in dir(robust_checks) if name.startswith("check_")]
CHECKS = [check for check in CHECKS if not check.__name__.startswith("check_against")]


def run(check, cache):
    check(*([cache] if inspect.signature(check).parameters else []))


def history(folder):
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


@pytest.mark.parametrize("check", CHECKS)
def test_it_does_what_it_says(check, cache):
    run(check, cache)


# --- wrong copies ----------------------------------------------------------------------------------------------------


def label_of_the_next_row(self, train):
    """The gold label of another row."""
    made = right_split(self, train)
    made.labels = np.asarray(train.labels)[(self.rows.numpy() + 1) % OWN]
    return made


def label_that_the_student_gives(self, train):
    """A text that fools the student has the label that it was taken for."""
    made = right_split(self, train)
    made.labels = np.where(self.ended.numpy() == 2, 1 - np.asarray(made.labels), made.labels)
    return made


@contextmanager
def teacher_as_victim(self, data):
    """The teacher is attacked."""
    yield EncoderVictim(self.frozen_teacher, self.task.labels, data.tokenizer, data.max_length)


@contextmanager
def with_dropout(self, data):
    """The student is attacked in train mode."""
    victim = EncoderVictim(self.student, self.task.labels, data.tokenizer, data.max_length)
    self.student.train()
    yield victim


@contextmanager
def left_in_eval_mode(self, data):
    """The student stays as the attack wants it."""
    yield EncoderVictim(self.student, self.task.labels, data.tokenizer, data.max_length)


right_attack, right_begin = Robust._attack, Robust.begin_epoch


def once(self, place, own, data):
    """What was attacked in the first epoch serves all."""
    if self.attacked is None:
        return right_attack(self, place, own, data)
    return dataclasses.replace(self.attacked, place=place)


def made_anew(self, epoch, data):
    """What a checkpoint holds is not looked at."""
    self.attacked = None
    right_begin(self, epoch, data)


def kept_for_ever(self, state):
    """What a checkpoint holds serves later epochs too."""
    self.attacked = Attacked(**state["attacked"])
    self.attacked = dataclasses.replace(self.attacked, place="train/1")


def first_rows(count, **_):
    """The first rows are attacked, in each epoch."""
    return torch.arange(count)


def successes_alone(rows, examples, *rest):
    """Rows on which no attack succeeded stand as they are."""
    made = attack_rows(rows, examples, *rest)
    return [
        one if one.status == "succeeded" else dataclasses.replace(one, texts=ATTACKED.texts_of(examples, row))
        for row, one in zip(rows, made, strict=True)
    ]


def of_another(encoder, split, size, device):
    """Somebody else answers for the teacher."""
    return predict(tiny_method("finetune").student, split, size, device)


def shifted_answers(encoder, split, size, device):
    """The answers stand beside other rows."""
    made = predict(encoder, split, size, device)
    return Prediction(made.logits.roll(1, 0), Cost())


def on_train(self, augmented=False):
    """``continue`` trains on train's own rows, whatever was added."""
    return list(range(NEW)) if augmented else list(range(OWN))


def of_new_rows(self, augmented=False):
    """Rows that were made of others are attacked as well."""
    return list(range(OWN, OWN + NEW)) if augmented else list(range(NEW, OWN + NEW))


def once_t(student, teacher, t, scale, regression):
    return soft_cross_entropy(student, teacher, t, False, regression) * (t if scale else 1)


WRONG = {
    "gold label of another row": (Attacked, "split", label_of_the_next_row, check_attacked),
    "the label that the student gives": (Attacked, "split", label_that_the_student_gives, check_attacked),
    "the teacher attacked": (Robust, "_as_victim", teacher_as_victim, check_attacked),
    "attacked with dropout": (Robust, "_as_victim", with_dropout, check_attacked),
    "left in eval mode": (Robust, "_as_victim", left_in_eval_mode, check_nothing_moves),
    "failed attacks left out": (METHOD, "attack_rows", successes_alone, check_attacked),
    "augmented rows attacked": (Examples, "own", of_new_rows, check_attacked),
    "not redrawn": (Robust, "_attack", once, check_redrawn),
    "the same rows in each epoch": (torch, "randperm", first_rows, check_redrawn),
    "attacked anew within an epoch": (Robust, "begin_epoch", made_anew, check_kept_within_an_epoch),
    "kept for later epochs": (Robust, "restore_method_state", kept_for_ever, check_kept_within_an_epoch),
    "another one's soft answers": (METHOD, "predict", of_another, check_teachers_answers),
    "soft answers of other rows": (METHOD, "predict", shifted_answers, check_teachers_answers),
    "continue on train": (Examples, "own", on_train, check_continue),
    "continue without fine-tuning": (Robust, "phases_of", classmethod(lambda *_: [Phase("augmented")]), check_continue),
    "append without train": (METHOD, "APPEND", "nothing", check_append),
    "sign of the gold loss": (METHOD, "supervised", lambda *a: -supervised(*a), check_loss),
    "sign of the soft loss": (METHOD, "soft_cross_entropy", lambda *a: -soft_cross_entropy(*a), check_loss),
    "t instead of t²": (METHOD, "soft_cross_entropy", once_t, check_loss),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_copy_is_rejected(name, cache, monkeypatch):
    where, attribute, wrong, check = WRONG[name]
    run(check, cache)
    monkeypatch.setattr(where, attribute, wrong)
    with pytest.raises(AssertionError):
        run(check, cache)


def test_a_resume_that_attacks_anew_is_noticed(cache, tmp_path, monkeypatch):
    resumes = contract.test_a_stopped_training_ends_as_one_that_was_not
    resumes("robust", 3, cache, tmp_path / "right")
    monkeypatch.setattr(Robust, "restore_method_state", lambda self, state: None)
    with pytest.raises(AssertionError):
        resumes("robust", 3, cache, tmp_path / "wrong")


# --- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [2, 3, 20])
def test_processes_share_out_the_attacks_and_all_know_of_all(processes, cache, monkeypatch):
    data = data_with(cache)
    module = tiny_method("robust")
    chosen = [9, 3, 12, 0, 7]

    def attacked():
        victim = EncoderVictim(module.student, module.task.labels, data.tokenizer, data.max_length)
        return attack_rows(chosen, data.examples["train"], module.recipe, victim, 5, lambda text: None)

    whole = attacked()
    assert len({one.texts for one in whole}) == len(chosen)
    parts = []
    monkeypatch.setattr(ATTACKED, "world_size", lambda: processes)
    for number in range(processes):
        monkeypatch.setattr(ATTACKED, "rank", lambda number=number: number)
        monkeypatch.setattr(ATTACKED, "gather", lambda own: (parts.append(own), [dict.fromkeys(chosen), own])[1])
        attacked()
    assert sum(map(len, parts)) == len(chosen)  # each is attacked once
    monkeypatch.setattr(ATTACKED, "gather", lambda own: parts)
    assert attacked() == whole


# --- trained ---------------------------------------------------------------------------------------------------------


def test_two_phases_have_schedules_of_their_own(cache, tmp_path):
    own = {"finetune_epochs": 1, "finetune_learning_rate": 1e-2}
    module = tiny_method("robust", use="continue", **own)
    fitted = train(module, data_with(cache), tmp_path, warmup=0.0, epochs=3)
    steps = [row for row in history(tmp_path) if row["train/loss"]]
    assert len(steps) == fitted.steps == 2 + 3 * 2  # 16 rows, then 6 and 8, in batches of 8
    rates = [float(row["lr"]) for row in steps]
    assert rates[:2] == pytest.approx([5e-3, 0.0])
    assert rates[2:] == pytest.approx([1e-3 * (5 - i) / 6 for i in range(6)])
    behind = [row for row in history(tmp_path) if row["train/right"]]
    assert [int(row["step"]) for row in behind] == [4, 6, 8]
    assert all(0 <= float(row["train/right"]) <= 1 for row in behind)
    assert all(0 <= float(row["train/fooled"]) <= 1 for row in behind if row["train/fooled"])


def test_the_second_phase_starts_from_the_best_epoch_of_the_first(cache, tmp_path):
    module = tiny_method("robust", use="continue", online=None, attacked=0.1, alpha=0.0)
    first, second = module.phases()
    assert (first.choose, second.choose) == (True, True)
    assert (first.epochs, first.learning_rate, second.epochs, second.learning_rate) == (None,) * 4
    assert [phase.name for phase in Robust.phases_of(RobustConfig(use="continue", finetune_epochs=0))] == ["augmented"]
    train(module, data_with(cache), tmp_path)
    assert sorted(file.name for file in (tmp_path / "checkpoints").glob("*done.json")) == [
        "student-0-finetune-done.json"
    ]


@pytest.mark.parametrize("use", ["append", "continue"])
def test_scores_learn_from_augmented_rows(use, cache, tmp_path):
    module = tiny_method("robust", SCORES, use=use, online=None, attacked=0.1, alpha=0.5)
    fitted = train(module, data_with(cache, task=SCORES), tmp_path)
    assert module.teacher is None  # cached logits are enough
    assert math.isfinite(fitted.value)
    assert all(float(row["train/kd"]) >= 0 for row in history(tmp_path) if row["train/loss"])


def test_some_attacked_texts_are_kept(cache, tmp_path):
    module = tiny_method("robust", show=2, attacked=1.0, alpha=0.0)
    train(module, tiny_data(cache), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "augmented.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["step"] for line in lines} <= {1, 5}  # the first steps of two epochs of four batches
    assert 0 < len(lines) <= 4
    assert all(line["original"] != line["generated"] for line in lines)
    silent = tiny_method("robust", show=0, attacked=1.0, alpha=0.0)
    train(silent, tiny_data(cache), tmp_path / "silent")
    assert not (tmp_path / "silent" / "augmented.jsonl").exists()


def test_an_attacked_student_gets_harder_to_fool(cache, tmp_path):
    """Trained on attacks it is fooled less than one that never saw any."""
    fooled = {}
    for online in (False, True):
        own = {} if online else {"online": None, "attacked": 0.1}
        module = tiny_method("robust", alpha=0.0, use="append", **({"attacked": 1.0} | own))
        data = data_with(cache, new=2)
        train(module, data, tmp_path / str(online), epochs=25, learning_rate=3e-3)
        again = tiny_method("robust", attacked=1.0, alpha=0.0, student=module.student.eval())
        fooled[online] = float(begun(data, module=again).attacked.figures()["fooled"])
    assert fooled[True] < fooled[False]


# --- settings --------------------------------------------------------------------------------------------------------


def test_what_it_takes_of_a_teacher():
    assert Robust.needs_of(RobustConfig()) == frozenset()
    assert Robust.needs_of(RobustConfig(alpha=0.5)) == {Need.LOGITS}
    assert Robust.needs_of(RobustConfig(online="pruthi")) == frozenset()
    assert Robust.needs_of(RobustConfig(online="pruthi", alpha=0.5)) == {Need.LOGITS, Need.TEACHER}
    assert Robust.resources_of(RobustConfig()) == {}
    wish = RecipeResource("pruthi", "words", "robust.online")
    assert Robust.resources_of(RobustConfig(online="pruthi", resources="words")) == {"recipe": wish}


@pytest.mark.parametrize(
    ("settings", "phase", "count"),
    [
        ({}, 0, 22),
        ({"use": "continue"}, 0, 16),
        ({"use": "continue"}, 1, 6),
        ({"online": "pruthi", "attacked": 0.5}, 0, 30),
        ({"online": "pruthi", "attacked": 0.01}, 0, 23),  # one at least
        ({"online": "pruthi", "attacked": 0.47}, 0, 30),  # 7.52
        ({"use": "continue", "online": "pruthi", "attacked": 1.0}, 1, 22),
    ],
)
def test_how_many_rows_an_epoch_has(settings, phase, count):
    config, sizes = RobustConfig(**settings), {"train": OWN + NEW, AUGMENTED_ROWS: NEW}
    assert Robust.rows_in(config, sizes, Robust.phases_of(config)[phase]) == count
    assert Robust.rows_of(config, sizes) == Robust.rows_in(config, sizes, Robust.phases_of(config)[-1])


def test_attacks_alone_are_enough(cache):
    data = tiny_data(cache)
    module = begun(data, use="continue")
    assert rows(data.training_split) == rows(module.attacked.split(data.split("train")))
    assert len(data.training_split) == 8


@pytest.mark.parametrize("use", ["append", "continue"])
def test_without_augmented_rows_and_attacks_there_is_nothing_to_do(use, cache, tmp_path):
    module = tiny_method("robust", use=use, online=None, attacked=0.1, alpha=0.0)
    said = rf"robust.use={use} trains on augmented examples, and there are none: give a file of kdlab augment"
    with pytest.raises(KdlabError, match=said):
        train(module, tiny_data(cache), tmp_path)


def test_scores_can_not_be_attacked():
    with pytest.raises(KdlabError, match=r"robust\.online=pruthi attacks labels, and scored has scores"):
        Robust.check_training(RobustConfig(online="pruthi"), TrainingConfig(), SCORES)
    Robust.check_training(RobustConfig(), TrainingConfig(), SCORES)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use": "appand"}, "There is no robust.use of the name 'appand': did you mean append?"),
        ({"online": "deepwordbag"}, "There is no recipe 'deepwordbag': did you mean deepwordbug?"),
        ({"online": "textfooler"}, "robust.online=textfooler: the recipe needs a sentence encoder, and in training"),
        ({"online": "bae"}, "robust.online=bae: the recipe needs a masked LM, and in training nobody answers but"),
        ({"online": "no/such.py:Attack"}, "There is no file no/such.py"),
        ({"online": "pruthi", "attacked": 0.0}, "robust.attacked is 0.0: it must be positive"),
        ({"online": "pruthi", "attacked": 1.5}, r"robust.attacked is 1.5: it must lie in \[0, 1\]"),
        ({"attacked": 0.5}, "robust.attacked=0.5 is about attacks in training, and no recipe is named"),
        ({"resources": "words"}, "robust.resources=words is about attacks in training, and no recipe is named"),
        ({"finetune_epochs": 3}, "robust.finetune_epochs=3: robust.use=append fine-tunes nobody"),
        ({"finetune_learning_rate": 1.0}, "robust.finetune_learning_rate=1.0: robust.use=append fine-tunes nobody"),
        ({"use": "continue", "finetune_epochs": -1}, "robust.finetune_epochs is -1"),
        ({"use": "continue", "finetune_learning_rate": 0.0}, "robust.finetune_learning_rate is 0.0"),
        ({"alpha": 2.0}, r"robust.alpha is 2.0: it must lie in \[0, 1\]"),
        ({"temperature": 0.0}, "robust.temperature is 0.0: it must be positive"),
        ({"show": -1}, "robust.show is -1"),
    ],
)
def test_bad_input(settings, said):
    with pytest.raises(KdlabError, match=said):
        RobustConfig(**settings).validate()


def test_settings_that_go_together():
    config = RobustConfig(use="continue", finetune_epochs=0, online="pruthi", attacked=1.0, alpha=1.0)
    config.validate()
    assert config.attacked_of(7) == 7
    assert [phase.name for phase in Robust.phases_of(config)] == ["augmented"]


@pytest.mark.parametrize(("profile", "batch", "epochs"), [("auto", 32, 3), ("paper", 64, 10)])
def test_the_studys_adam_has_no_weight_decay(profile, batch, epochs):
    draft = Draft(Robust, FineTune, {"method": "robust", "profile": profile})
    training = draft.resolved.run.training
    assert (training.weight_decay, training.batch_size, training.epochs) == (0.0, batch, epochs)
    assert draft.resolved.run.teacher.weight_decay == 0.01


def test_without_its_recipe_it_attacks_nobody():
    given = tiny_method("robust")
    bare = Robust(RobustConfig(online="pruthi"), given.student, None, given.task)
    with pytest.raises(ValueError, match="robust was given no recipe"):
        _ = bare.recipe
