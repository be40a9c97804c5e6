"""The metrics that GLUE reports, on whole splits at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.functional import matthews_corrcoef, pearson_corrcoef, spearman_corrcoef
from torchmetrics.functional.classification import binary_f1_score

_Z95 = 1.959963984540054  # standard normal quantile, 2.5 % on either side


def evaluate(logits: Tensor, labels: Tensor, metrics: Sequence[str], regression: bool) -> dict[str, float]:
    """A task's metrics as fractions (accuracy .5 is 0.5), in the order asked for.

    Args:
        logits: ``(N, C)``; C = 1 for regression.
        labels: ``(N,)`` class indices or scores.
        metrics: Among accuracy, f1 (of class 1, binary), matthews, pearson, spearman.
        regression: Whether outputs are scores.

    Returns:
        Metric name to value. A correlation with constant predictions, which has no value, counts as 0.
    """
    if regression:
        predicted, gold = logits.squeeze(-1).float(), labels.float()
    else:
        predicted, gold = logits.argmax(-1), labels.long()
    classes = max(int(logits.shape[-1]), 2)
    return {name: _metric(name, predicted, gold, classes) for name in metrics}


def _metric(name: str, predicted: Tensor, gold: Tensor, classes: int) -> float:
    if name == "accuracy":
        value = (predicted == gold).float().mean()
    elif name == "f1":
        value = binary_f1_score(predicted, gold)
    elif bool((predicted == predicted[0]).all()) or bool((gold == gold[0]).all()):
        return 0.0  # no correlation with a constant; torchmetrics' Matthews gives 0.09 for all ones against 70 % ones
    elif name == "matthews":
        value = matthews_corrcoef(predicted, gold, task="multiclass", num_classes=classes)
    elif name == "pearson":
        value = pearson_corrcoef(predicted.double(), gold.double())
    elif name == "spearman":
        value = spearman_corrcoef(predicted.double(), gold.double())
    else:
        raise ValueError(f"no metric '{name}'")
    result = float(value)
    return 0.0 if math.isnan(result) else result


def trivial(labels: Tensor, metric: str, regression: bool) -> float:
    """The metric of a constant prediction, the majority class; 0 for a correlation.

    Args:
        labels: ``(N,)``.
        metric: The task's first metric.
        regression: Whether labels are scores.
    """
    if regression:
        return 0.0
    majority = torch.bincount(labels.long()).argmax()
    classes = int(labels.max()) + 1
    constant = torch.nn.functional.one_hot(majority, max(classes, 2)).expand(len(labels), -1)
    return evaluate(constant.float(), labels, [metric], regression=False)[metric]


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927), which stays within 0 and 1 and has a width even at 0 and 1.

    Args:
        successes: Number of successes.
        n: Number of trials; 0 gives the interval from 0 to 1.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, _Z95**2
    centre, half = p + z2 / (2 * n), _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def accuracy_interval(predicted: Tensor, gold: Tensor) -> dict[str, float]:
    """Accuracy with its 95 % interval: value, low, high, n.

    Args:
        predicted: ``(N,)`` class indices.
        gold: ``(N,)`` class indices.
    """
    correct, n = int((predicted == gold).sum()), len(gold)
    low, high = wilson(correct, n)
    return {"value": correct / max(n, 1), "low": low, "high": high, "n": n}


def f1_interval(predicted: Tensor, gold: Tensor) -> dict[str, float]:
    """F1 of class 1 with a 95 % interval: value, low, high, n.

    F1 is ``2J / (1 + J)`` with ``J = TP / (TP + FP + FN)``, a proportion; its interval is J's, converted.

    Args:
        predicted: ``(N,)`` class indices, 0 or 1.
        gold: ``(N,)`` class indices, 0 or 1.
    """
    both, either = int(((predicted == 1) & (gold == 1)).sum()), int(((predicted == 1) | (gold == 1)).sum())
    low, high = wilson(both, either)
    jaccard = both / max(either, 1)
    value, low, high = (2 * j / (1 + j) for j in (jaccard, low, high))
    return {"value": value, "low": low, "high": high, "n": len(gold)}


def divergence(student: Tensor, teacher: Tensor, regression: bool) -> dict[str, float]:
    """How far a student's logits are from its teacher's (CILDA, figure 2).

    Args:
        student: ``(N, C)`` logits.
        teacher: ``(N, C)`` logits.
        regression: Whether outputs are scores; they have no Kullback-Leibler divergence.

    Returns:
        ``kl``: mean over examples of ``KL(softmax(z_T) ‖ softmax(z_S))`` in nats; ``mse``: mean of ``(z_T - z_S)²``
        over examples and outputs.
    """
    ours, theirs = student.double(), teacher.double()
    mse = {"mse": float((ours - theirs).square().mean())}
    if regression:
        return mse
    return {"kl": max(float(exact_kl(theirs, ours)), 0.0), **mse}


def exact_kl(of: Tensor, against: Tensor) -> Tensor:
    """Mean over examples of ``KL(softmax(z) ‖ softmax(z'))`` in nats, in float64: between fp32 logits it can be 1e-10.

    Args:
        of: z, ``(N, C)``.
        against: z', ``(N, C)``.
    """
    log_p, log_q = of.double().log_softmax(-1), against.double().log_softmax(-1)  # (N, C)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()
