"""What searches, transformations and constraints see of the example under attack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kdlab.attacks.asks import Steps
from kdlab.attacks.goals import Scored
from kdlab.attacks.text import AttackText
from kdlab.system.draw import Draw


class UnderAttack(Protocol):
    """An example under attack, as ``kdlab.attacks.attempt`` has it."""

    @property
    def original(self) -> AttackText:
        """The example."""

    @property
    def label(self) -> int:
        """Its label."""

    @property
    def draw(self) -> Draw:
        """Its random choices, which no other example shares."""

    @property
    def compat(self) -> bool:
        """Whether TextAttack's faults are kept."""

    def score(self, texts: Sequence[AttackText]) -> Steps[list[Scored]]:
        """The victim's answers to texts, in their order."""

    def places(self, text: AttackText, among: Collection[int] | None = None) -> list[int]:
        """Positions of the words that may be changed, of all or of some."""

    def candidates(self, text: AttackText, among: Collection[int] | None = None) -> Steps[list[AttackText]]:
        """Texts with one word changed that all constraints let pass, in alphabetical order."""

    def ranked(self, scores: Sequence[float]) -> NDArray[np.int64]:
        """Positions by score, the highest first."""
