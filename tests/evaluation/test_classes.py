"""Scores of single classes, by hand."""

from __future__ import annotations

import pytest
import torch

from kdlab.evaluation.classes import calibration_error, class_scores

NAMES = ("no", "maybe", "yes")


def logits_of(probabilities: list[list[float]]) -> torch.Tensor:
    return torch.tensor(probabilities).log()


def test_classes_are_counted():
    gold = torch.tensor([0, 0, 0, 2, 2, 2])
    said = torch.tensor([0, 0, 2, 2, 2, 0])
    scores = class_scores(torch.nn.functional.one_hot(said, 3).float(), gold, NAMES)
    assert scores["confusion"] == [[2, 0, 1], [0, 0, 0], [1, 0, 2]]
    assert scores["f1"] == {"no": pytest.approx(2 / 3), "maybe": 0.0, "yes": pytest.approx(2 / 3)}
    perfect = class_scores(50 * torch.eye(3), torch.arange(3), NAMES)
    assert perfect["f1"] == dict.fromkeys(NAMES, 1.0)
    assert perfect["ece"] == pytest.approx(0.0, abs=1e-9)


def test_calibration_is_confidence_against_accuracy():
    # .9 sure and right in 1 of 2; .6 sure and right in 2 of 2: (2·|.5-.9| + 2·|1-.6|)/4 = .4
    logits = logits_of([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    assert calibration_error(logits, torch.tensor([0, 1, 1, 1])) == pytest.approx(0.4, abs=1e-6)
    # within one bin errors of both signs cancel: .62 and .64 sure, one right: |.5 - .63|
    logits = logits_of([[0.62, 0.38], [0.64, 0.36]])
    assert calibration_error(logits, torch.tensor([0, 1])) == pytest.approx(0.13, abs=1e-6)
    assert calibration_error(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1])) == pytest.approx(0.0)
