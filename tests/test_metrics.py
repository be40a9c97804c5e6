"""GLUE's metrics against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch

from kdlab.metrics import evaluate, trivial


@pytest.mark.parametrize("seed", range(3))
def test_classification_against_sklearn(seed):
    draw = np.random.default_rng(seed)
    logits, gold = torch.tensor(draw.normal(size=(97, 2))), torch.tensor(draw.integers(0, 2, 97))
    logits[torch.arange(97), gold] += 0.5
    predicted = logits.argmax(-1).numpy()
    found = evaluate(logits, gold, ["accuracy", "f1", "matthews"], regression=False)
    assert list(found) == ["accuracy", "f1", "matthews"]
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(gold, predicted))
    assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(gold, predicted))
    assert found["matthews"] == pytest.approx(sklearn.metrics.matthews_corrcoef(gold, predicted), abs=1e-6)


def test_three_classes_against_sklearn():
    draw = np.random.default_rng(0)
    logits, gold = torch.tensor(draw.normal(size=(90, 3))), torch.tensor(draw.integers(0, 3, 90))
    found = evaluate(logits, gold, ["accuracy", "matthews"], regression=False)
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(gold, logits.argmax(-1)))
    assert found["matthews"] == pytest.approx(sklearn.metrics.matthews_corrcoef(gold, logits.argmax(-1)), abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_against_scipy(ties):
    draw = np.random.default_rng(0)
    gold = draw.uniform(0, 5, 80)
    predicted = gold + draw.normal(size=80)
    if ties:
        gold, predicted = gold.round(), predicted.round()
    found = evaluate(torch.tensor(predicted)[:, None], torch.tensor(gold), ["pearson", "spearman"], regression=True)
    assert found["pearson"] == pytest.approx(scipy.stats.pearsonr(predicted, gold).statistic, abs=1e-6)
    assert found["spearman"] == pytest.approx(scipy.stats.spearmanr(predicted, gold).statistic, abs=1e-6)


def test_correlation_of_close_scores_keeps_its_precision():
    gold = torch.linspace(0, 1, 50)
    found = evaluate((1000 + gold * 1e-2)[:, None], gold, ["pearson"], regression=True)
    assert found["pearson"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("answer", [0, 1])
def test_a_constant_class_correlates_with_nothing(answer):
    gold = torch.tensor([1] * 70 + [0] * 30)
    logits = torch.nn.functional.one_hot(torch.full((100,), answer), 2).float()
    found = evaluate(logits, gold, ["accuracy", "f1", "matthews"], regression=False)
    assert found["matthews"] == 0.0
    assert found["accuracy"] == pytest.approx(0.7 if answer else 0.3)
    assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(gold, np.full(100, answer)))


def test_a_constant_score_correlates_with_nothing():
    found = evaluate(torch.full((9, 1), 2.5), torch.arange(9.0), ["pearson", "spearman"], regression=True)
    assert found == {"pearson": 0.0, "spearman": 0.0}


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
