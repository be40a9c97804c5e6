"""The study of scarce data: what a rule would have chosen, and the verdicts on rules and floors."""

from __future__ import annotations

import pytest

from experiments.scarce.rules import dev_of, differences, reached, report
from experiments.scarce.watch import chosen
from kdlab.data.selection import DIVERGENCE, LAST, LOSS, METRIC, METRIC_LOSS

HOLDOUT = [
    {"accuracy": 0.7, "loss": 0.6, DIVERGENCE: 0.5},
    {"accuracy": 0.8, "loss": 0.5, DIVERGENCE: 0.4},
    {"accuracy": 0.8, "loss": 0.4, DIVERGENCE: 0.3},
    {"accuracy": 0.6, "loss": 0.3, DIVERGENCE: 0.35},
]
CHOSEN = {METRIC: 1, METRIC_LOSS: 2, LOSS: 3, DIVERGENCE: 2, LAST: 3}


def line(method: str = "kd", seed: int = 0, floor: int = 0, task: str = "rte", gain: float = 0.0) -> dict:
    """A training whose dev accuracy is .5 in its first epoch and a tenth more in each, and ``gain``."""
    return {
        "what": {"task": task, "size": "100", "floor": floor, "method": method, "seed": seed},
        "holdout": HOLDOUT,
        "dev": {str(i): {"accuracy": 0.5 + i / 10 + gain} for i in range(4)},
        "mean": {"3": {"accuracy": 0.75 + gain}},
    }


@pytest.mark.parametrize(("rule", "epoch"), CHOSEN.items())
def test_what_a_rule_chooses(rule: str, epoch: int):
    assert chosen(rule, HOLDOUT, "accuracy") == epoch
    assert dev_of(line(), rule, "accuracy") == pytest.approx(0.5 + epoch / 10)


def test_divergence_is_the_loss_where_there_is_no_teacher():
    assert dev_of(line("finetune"), DIVERGENCE, "accuracy") == dev_of(line(), LOSS, "accuracy")
    bare = [{key: value for key, value in scores.items() if key != DIVERGENCE} for scores in HOLDOUT]
    assert chosen(DIVERGENCE, bare, "accuracy") is None


def test_auto_is_the_loss_of_few_and_the_metric_of_more():
    few = line()
    assert dev_of(few, "auto", "accuracy") == dev_of(few, LOSS, "accuracy")
    for size in ("500", "all"):
        more = {**few, "what": {**few["what"], "size": size}}
        assert dev_of(more, "auto", "accuracy") == dev_of(more, METRIC_LOSS, "accuracy")


def test_means_that_were_not_reached_are_none():
    assert dev_of(line(), "mean:3", "accuracy") == 0.75
    assert dev_of(line(), "mean:5", "accuracy") is None


def test_differences_are_paired_by_seed_over_common_places():
    better = {("a",): {0: 3.0, 1: 5.0}, ("b",): {0: 1.0, 1: 1.0, 2: 9.0}, ("c",): {0: 0.0}}
    than = {("a",): {0: 1.0, 1: 1.0}, ("b",): {0: 1.0, 1: 0.0, 2: 0.0}}
    assert differences(better, than) == {0: 1.0, 1: 2.5}
    assert differences({}, than) == {}


def test_verdicts_on_rules_and_floors():
    lines = [
        line(method, seed, floor, gain=(0.05 if floor else 0.0) + seed / 500)
        for method in ("finetune", "kd")
        for seed in range(10)
        for floor in (0, 300)
    ]
    text = report(reached(lines))
    assert "| rule | rte 100, 0 | rte 100, 300 |" in text
    assert "| metric | 60.9 | 65.9 |" in text
    assert "| 0 steps: loss beats metric | reproduced | +20.00" in text
    assert "| metric: 300 steps beat 0 | reproduced | +5.00" in text
    assert "mean:5" not in text
