"""GLUE's metrics against scikit-learn and SciPy; intervals and divergence by arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch

from kdlab.evaluation.metrics import accuracy_interval, divergence, evaluate, f1_interval, trivial, wilson


@pytest.mark.parametrize("seed", range(3))
def test_classification_against_sklearn(seed):
    draw = np.random.default_rng(seed)
    logits, gold = torch.tensor(draw.normal(size=(97, 2))), torch.tensor(draw.integers(0, 2, 97))
    logits[torch.arange(97), gold] += 0.5
    predicted = logits.argmax(-1).numpy()
    scores = evaluate(logits, gold, ["accuracy", "f1", "matthews"], regression=False)
    assert list(scores) == ["accuracy", "f1", "matthews"]
    assert scores["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(gold, predicted))
    assert scores["f1"] == pytest.approx(sklearn.metrics.f1_score(gold, predicted))
    assert scores["matthews"] == pytest.approx(sklearn.metrics.matthews_corrcoef(gold, predicted), abs=1e-6)


def test_three_classes_against_sklearn():
    draw = np.random.default_rng(0)
    logits, gold = torch.tensor(draw.normal(size=(90, 3))), torch.tensor(draw.integers(0, 3, 90))
    scores = evaluate(logits, gold, ["accuracy", "matthews"], regression=False)
    assert scores["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(gold, logits.argmax(-1)))
    assert scores["matthews"] == pytest.approx(sklearn.metrics.matthews_corrcoef(gold, logits.argmax(-1)), abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_against_scipy(ties):
    draw = np.random.default_rng(0)
    gold = draw.uniform(0, 5, 80)
    predicted = gold + draw.normal(size=80)
    if ties:
        gold, predicted = gold.round(), predicted.round()
    scores = evaluate(torch.tensor(predicted)[:, None], torch.tensor(gold), ["pearson", "spearman"], regression=True)
    assert scores["pearson"] == pytest.approx(scipy.stats.pearsonr(predicted, gold).statistic, abs=1e-6)
    assert scores["spearman"] == pytest.approx(scipy.stats.spearmanr(predicted, gold).statistic, abs=1e-6)


def test_correlation_of_close_scores_keeps_its_precision():
    gold = torch.linspace(0, 1, 50)
    scores = evaluate((1000 + gold * 1e-2)[:, None], gold, ["pearson"], regression=True)
    assert scores["pearson"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("answer", [0, 1])
def test_a_constant_class_correlates_with_nothing(answer):
    gold = torch.tensor([1] * 70 + [0] * 30)
    logits = torch.nn.functional.one_hot(torch.full((100,), answer), 2).float()
    scores = evaluate(logits, gold, ["accuracy", "f1", "matthews"], regression=False)
    assert scores["matthews"] == 0.0
    assert scores["accuracy"] == pytest.approx(0.7 if answer else 0.3)
    assert scores["f1"] == pytest.approx(sklearn.metrics.f1_score(gold, np.full(100, answer)))


def test_a_constant_score_correlates_with_nothing():
    scores = evaluate(torch.full((9, 1), 2.5), torch.arange(9.0), ["pearson", "spearman"], regression=True)
    assert scores == {"pearson": 0.0, "spearman": 0.0}


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="bleu"):
        evaluate(torch.eye(2), torch.tensor([0, 1]), ["bleu"], regression=False)


def test_what_a_constant_answer_reaches():
    gold = torch.tensor([1] * 7 + [0] * 3)
    assert trivial(gold, "accuracy", regression=False) == pytest.approx(0.7)
    assert trivial(gold, "matthews", regression=False) == 0.0
    assert trivial(1 - gold, "f1", regression=False) == 0.0
    assert trivial(torch.tensor([2, 2, 0, 1]), "accuracy", regression=False) == pytest.approx(0.5)
    assert trivial(torch.rand(5), "pearson", regression=True) == 0.0


def test_wilson_against_published_values():
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)  # Newcombe 1998, table I, method 3
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw = torch.Generator().manual_seed(0)
    gold = (torch.rand(400, 300, generator=draw) < 0.4).long()
    wrong = torch.rand(400, 300, generator=draw) < 0.2
    predicted = torch.where(wrong, 1 - gold, gold)
    true = {"accuracy": 0.8, "f1": 2 * 0.32 / (2 * 0.32 + 0.12 + 0.08)}  # expected TP, FP and FN
    for name, interval in (("accuracy", accuracy_interval), ("f1", f1_interval)):
        intervals = [interval(p, g) for p, g in zip(predicted, gold, strict=True)]
        hits = sum(f["low"] <= true[name] <= f["high"] for f in intervals) / len(intervals)
        assert 0.92 < hits < 0.98, name
        assert all(f["low"] <= f["value"] <= f["high"] for f in intervals)


def test_an_interval_of_f1_at_the_ends():
    zeros, ones = torch.zeros(9).long(), torch.ones(9).long()
    assert f1_interval(ones, ones)["value"] == f1_interval(ones, ones)["high"] == 1.0
    assert f1_interval(ones, zeros)["value"] == f1_interval(ones, zeros)["low"] == 0.0
    assert f1_interval(zeros, zeros)["value"] == 0.0  # nothing found where nothing is


def test_divergence_in_closed_form():
    teacher = torch.tensor([[0.0, math.log(3.0)], [1.0, 1.0]])  # ¼, ¾ and ½, ½
    assert divergence(teacher, teacher, False) == {"kl": 0.0, "mse": 0.0}
    assert divergence(teacher + 2.0, teacher, False)["kl"] == pytest.approx(0.0, abs=1e-12)  # a shift says nothing
    assert divergence(teacher + 2.0, teacher, False)["mse"] == pytest.approx(4.0)
    even = torch.zeros(2, 2)
    expected = (0.25 * math.log(0.5) + 0.75 * math.log(1.5)) / 2
    assert divergence(even, teacher, False)["kl"] == pytest.approx(expected, rel=1e-6)
    assert divergence(even[:, :1], teacher[:, 1:], True) == {"mse": pytest.approx((math.log(3) ** 2 + 1) / 2)}
