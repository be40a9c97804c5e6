"""The metrics that GLUE reports, on whole splits at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.functional import matthews_corrcoef, pearson_corrcoef, spearman_corrcoef
from torchmetrics.functional.classification import binary_f1_score


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
    """What a constant prediction reaches: the majority class; 0 for a correlation.

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
