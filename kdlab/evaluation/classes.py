"""What a single metric hides of a classifier: which classes it confuses, and how sure it is without reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

BINS = 15


def class_scores(logits: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """F1 of each class, the confusion matrix, and the calibration error of a split.

    Args:
        logits: ``(N, C)``.
        labels: ``(N,)`` class indices.
        names: Of the C classes.

    Returns:
        ``f1``: name of the class to its F1, 0 where it is neither predicted nor right; ``confusion``: for each right
        class, in their order, how often each class was predicted; ``ece``: see ``calibration_error``.
    """
    classes = len(names)
    flat = labels.long() * classes + logits.argmax(-1)
    confusion = torch.bincount(flat, minlength=classes**2).reshape(classes, classes)  # (gold, predicted)
    hits, sums = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
    f1 = (2 * hits / sums.clamp_min(1)).tolist()
    return {
        "f1": dict(zip(names, f1, strict=True)),
        "confusion": confusion.tolist(),
        "ece": calibration_error(logits, labels),
    }


def calibration_error(logits: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): how far confidence and accuracy are apart.

    Predictions are put into bins of equal width by the probability of the predicted class; the error is the mean over
    examples of the distance of a bin's accuracy from its mean confidence.

    Args:
        logits: ``(N, C)``, N at least 1.
        labels: ``(N,)`` class indices.
        bins: Number of bins.

    Returns:
        A share, 0 at best and below 1.
    """
    confidence, predicted = logits.double().softmax(-1).max(-1)
    right = (predicted == labels).double()
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1  # the bin's upper edge belongs to it
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right - confidence)
    return float(gaps.abs().sum() / len(labels))
