"""What an attack is after: that the victim no longer gives an example's own label."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdlab.attacks.text import AttackText

_ONE = 1e-6  # how near to 1 a row's sum is for TextAttack to take it for probabilities


@dataclass(frozen=True)
class Scored:
    """A text as the victim answers it.

    Attributes:
        text: The text.
        score: 1 minus the probability of the example's label, in the victim's own precision.
        predicted: The label that the victim gives.
        fooled: Whether that is another one than the example's.
    """

    text: AttackText
    score: float
    predicted: int
    fooled: bool


class Untargeted:
    """Any other label will do."""

    def probabilities(self, logits: Tensor, compat: bool) -> Tensor:
        """Probabilities of what the victim said.

        TextAttack takes the softmax of what one question is answered with only where a row's sum misses 1.

        Args:
            logits: ``(N, C)``.
            compat: Whether rows that sum to 1 are probabilities already.
        """
        if compat and bool(((logits.sum(1) - 1).abs() < _ONE).all()):
            return logits
        return torch.softmax(logits, 1)

    def judge(self, text: AttackText, row: Tensor, label: int) -> Scored:
        """Score and success of a text.

        Args:
            text: The text.
            row: Its probabilities, ``(C,)``.
            label: The example's.
        """
        return Scored(text, *self.verdicts(row[None], label)[0])

    def verdicts(self, rows: Tensor, label: int) -> list[tuple[float, int, bool]]:
        """Score, predicted label and success of texts.

        Args:
            rows: Their probabilities, ``(N, C)``.
            label: The example's.
        """
        scores, predicted = (1 - rows[:, label]).tolist(), rows.argmax(1).tolist()
        return [(score, given, given != label) for score, given in zip(scores, predicted, strict=True)]
