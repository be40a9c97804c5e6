"""What chooses the epoch that a training ends with: each rule against every epoch's weights and scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cli_fixtures import Lab, metrics, open_lab
from helpers import random_logits, tiny_data, tiny_method, train

from kdlab.data.selection import RULES, SelectBy, parse_rule, settle_rule
from kdlab.errors import KdlabError
from kdlab.planning.plan import make_plan

EPOCHS = 6


class Watched:
    """A training with a rule, and what each of its epochs was."""

    def __init__(self, rule: str, cache, folder, **training) -> None:
        self.module = tiny_method("kd", dropout=0.1)
        data = tiny_data(cache)
        data.select_by = parse_rule(rule)
        if rule == "divergence":
            data.validate_against(random_logits(2))
        self.scores: list[dict[str, float]] = []
        self.weights: list[dict[str, torch.Tensor]] = []
        close = self.module.validation.close

        def watched(task):
            self.scores.append(close(task))
            self.weights.append({k: v.clone() for k, v in self.module.student.state_dict().items()})
            return self.scores[-1]

        self.module.validation.close = watched
        self.fitted = train(self.module, data, folder, epochs=EPOCHS, learning_rate=5e-3, **training)

    def ends_with(self, expected: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(v, expected[k]) for k, v in self.module.student.state_dict().items())


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("metric", lambda s: (s["accuracy"],)),
        ("metric+loss", lambda s: (s["accuracy"], -s["loss"])),
        ("loss", lambda s: (-s["loss"],)),
        ("divergence", lambda s: (-s["divergence"],)),
    ],
)
def test_the_best_epoch_is_taken_of_equal_ones_the_first(rule: str, key, cache, tmp_path):
    seen = Watched(rule, cache, tmp_path)
    keys = [key(scores) for scores in seen.scores]
    best = keys.index(max(keys))
    assert seen.ends_with(seen.weights[best])
    assert seen.fitted.epoch == best + 1
    assert seen.fitted.value == seen.scores[best]["accuracy"]
    accuracies = [scores["accuracy"] for scores in seen.scores]
    assert seen.fitted.ties == accuracies.count(accuracies[best]) - 1
    assert len({scores["loss"] for scores in seen.scores}) == EPOCHS  # the epochs do differ


def test_the_last_epoch_is_taken_whatever_it_scores(cache, tmp_path):
    seen = Watched("last", cache, tmp_path)
    assert seen.ends_with(seen.weights[-1])
    assert seen.fitted.epoch == EPOCHS
    assert seen.fitted.value == seen.scores[-1]["accuracy"]


def test_the_last_epochs_are_averaged(cache, tmp_path):
    seen = Watched("mean:3", cache, tmp_path)
    last = seen.weights[-3:]
    for name, value in seen.module.student.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, torch.stack([w[name] for w in last]).mean(0), atol=1e-7)
    assert not seen.ends_with(seen.weights[-1])
    assert seen.fitted.answers is None  # no epoch gave them
    assert seen.fitted.ties == 0  # nothing was chosen
    assert seen.fitted.value == seen.module.score("dev")


def test_a_mean_of_more_epochs_than_there_are_is_that_of_all(cache, tmp_path):
    seen = Watched("mean:50", cache, tmp_path)
    name, value = next((k, v) for k, v in seen.module.student.state_dict().items() if v.is_floating_point())
    assert torch.allclose(value, torch.stack([w[name] for w in seen.weights]).mean(0), atol=1e-6)


def test_the_divergence_is_that_from_the_teachers_answers(cache, tmp_path):
    data = tiny_data(cache)
    teacher = torch.from_numpy(np.array(random_logits(2)(data.split("dev")))).double().log_softmax(-1)
    seen = Watched("divergence", cache, tmp_path)
    student = seen.fitted.answers.logits.double().log_softmax(-1)
    expected = (teacher.exp() * (teacher - student)).sum(-1).mean()
    assert seen.scores[seen.fitted.epoch - 1]["divergence"] == pytest.approx(float(expected), rel=1e-6)


def test_rules_are_read():
    assert [parse_rule(rule).text for rule in RULES] == list(RULES)
    assert parse_rule("mean:5") == SelectBy("mean", 5)
    assert SelectBy("divergence").for_model(taught=False) == SelectBy("loss")
    for text in ("", "mean", "mean:1", "mean:101", "Metric", "metric-loss"):
        with pytest.raises(KdlabError, match=r"data.select_by=.*choose from auto, metric, metric\+loss"):
            parse_rule(text)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.mark.parametrize("rule", ["metric+loss", "divergence", "mean:2"])
def test_a_record_says_which_rule_chose(lab: Lab, tmp_path, rule: str):
    (folder,) = lab.train(tmp_path, f"data.select_by={rule}", "training.epochs=3")
    selection = metrics(folder)["selection"]
    assert selection["rule"] == rule
    assert selection["split"] == "holdout"
    assert isinstance(selection["ties"], int)
    assert 0 <= selection["value"] <= 1
    assert math.isfinite(metrics(folder)["student"]["metrics"]["dev"]["accuracy"])


def test_nothing_need_be_held_out(lab: Lab, tmp_path):
    (folder,) = lab.train(tmp_path, "data.holdout=0", "data.select_by=last", "training.epochs=2")
    selection = metrics(folder)["selection"]
    assert (selection["rule"], selection["epoch"]) == ("last", 2)
    assert not (folder / "predictions" / "holdout.jsonl").exists()
    whole = sum(metrics(folder)["training"][name] for name in ("steps",))
    (carved,) = lab.train(tmp_path / "carved", "data.select_by=last", "training.epochs=2")
    assert metrics(carved)["training"]["steps"] <= whole


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("data.holdout=0", "data.select_by=loss"),
            "data.holdout=0 leaves nothing to choose a checkpoint on by loss: add data.select_by",
        ),
        (("data.holdout=0", "training.patience=2"), "training.patience=2 ends a training behind its best epoch"),
        (("data.select_by=last", "training.patience=2"), "training.patience=2 ends a training behind its best epoch"),
        (("data.select_by=mean:3", "training.max_steps=4"), "training.max_steps=4 may end a training before its last"),
        (
            ("data.select_by=mean:3", "training.validate_every=2"),
            "training.validate_every=2: data.select_by=mean:3 aver",
        ),
        (
            ("training.validate_every=2", "training.max_steps=9"),
            "training.max_steps=9 may end a training before an epo",
        ),
        (("teacher.validate_every=0",), "teacher.validate_every=0: it must be 1 or more"),
        (("data.select_by=best",), "data.select_by=best: choose from auto, metric"),
    ],
)
def test_rules_that_cant_be_followed_are_refused(lab: Lab, tmp_path, words, said: str):
    assert said in lab.run(*lab.words(tmp_path, *words)).sentence


@pytest.mark.parametrize(
    ("examples", "rule"), [(0, "last"), (1, "loss"), (49, "loss"), (50, "metric+loss"), (2000, "metric+loss")]
)
def test_what_auto_means(examples: int, rule: str):
    assert settle_rule("auto", examples) == rule
    assert settle_rule("mean:3", examples) == "mean:3"


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ({}, "loss"),  # 10 of 100 choose
        ({"data.limit_train": "500"}, "metric+loss"),  # 50
        ({"data.selection": "dev"}, "metric+loss"),
        ({"data.holdout": 0}, "last"),
        ({"data.select_by": "metric"}, "metric"),
        ({"data.select_by": "auto", "data.holdout": 0}, "last"),
    ],
)
def test_the_plan_says_which_rule_auto_means(cache, words: dict, rule: str):
    common = {"task": "rte", "profile": "embedded", "accelerator": "cpu", "method": "kd", "data.limit_train": "100"}
    plan = make_plan({**common, **words}, cache)
    assert plan.select_by.text == plan.settings.plain["data"]["select_by"] == rule
    said = make_plan({**common, **words, "data.select_by": rule}, cache)
    assert (said.identity(0), said.teacher.key) == (plan.identity(0), plan.teacher.key)
