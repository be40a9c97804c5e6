"""An attack on one example: what it may ask, what it has asked, and how it counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from kdlab.attacks.asks import AskVictim, Steps
from kdlab.attacks.constraints import Constraint, Unchangeable
from kdlab.attacks.goals import Scored, Untargeted
from kdlab.attacks.search import Search
from kdlab.attacks.text import AttackText
from kdlab.attacks.transformations import Transformation
from kdlab.system.draw import Draw

COMPAT, FIXED = "compat", "fixed"
MODES = (COMPAT, FIXED)
"""As TextAttack 0.3.11 does it, or with its faults mended (docs/attacks.md)."""
SKIPPED, FAILED, SUCCEEDED = "skipped", "failed", "succeeded"


@dataclass(frozen=True)
class Attack:
    """A composition: what is changed, by which rules, in which order, and what for.

    Attributes:
        transformation: Makes candidates.
        search: Chooses among them.
        unchangeable: Words that are never changed; asked before candidates are made.
        constraints: Which candidates are left; asked in this order.
        goal: When the victim is fooled.
    """

    transformation: Transformation
    search: Search
    unchangeable: Sequence[Unchangeable] = ()
    constraints: Sequence[Constraint] = ()
    goal: Untargeted = field(default_factory=Untargeted)


@dataclass
class Attempt:
    """An attack on one example.

    Attributes:
        attack: What is done.
        original: The example.
        label: Its label.
        draw: Its random choices, which no other example shares.
        compat: Whether TextAttack's faults are kept.
        queries: Texts that the victim was asked for, equal ones and those asked for before counted again, as TextAttack
            counts them.
        passes: Texts that it really answered.
        before: Score of the example itself.
        best: The result so far.
        precision: Of the victim's answers.
    """

    attack: Attack
    original: AttackText
    label: int
    draw: Draw
    compat: bool
    queries: int = 0
    passes: int = 0
    before: float = 0.0
    best: Scored | None = None
    precision: type[np.floating] = np.float32
    _known: dict[tuple[str, ...], tuple[float, int, bool]] = field(default_factory=dict)

    def run(self) -> Steps[str]:
        """The attack; ends with ``skipped``, ``failed`` or ``succeeded``."""
        (self.best,) = yield from self.score([self.original])
        first = self.best
        self.before = first.score
        if first.fooled:
            return SKIPPED
        self.best = yield from self.attack.search.run(self, first)
        return SUCCEEDED if self.best.fooled else FAILED

    def score(self, texts: Sequence[AttackText]) -> Steps[list[Scored]]:
        """The victim's answers to texts, in their order."""
        self.queries += len(texts)
        missing = list(dict.fromkeys(text.texts for text in texts if text.texts not in self._known))
        if missing:
            self.passes += len(missing)
            logits = yield AskVictim(missing)
            rows = self.attack.goal.probabilities(logits, self.compat)
            self.precision = np.float64 if rows.dtype == torch.float64 else np.float32
            self._known.update(zip(missing, self.attack.goal.verdicts(rows, self.label), strict=True))
        return [Scored(text, *self._known[text.texts]) for text in texts]

    def places(self, text: AttackText, among: Collection[int] | None = None) -> list[int]:
        """Positions of the words that may be changed.

        Python's order of a set of numbers, which is TextAttack's, in ``compat``; else from the first to the last.

        Args:
            text: The text as it stands.
            among: Positions that are asked for; None asks for all.
        """
        found = set(range(len(text.words)) if among is None else among)
        for rule in self.attack.unchangeable:
            found = found & rule.changeable(text, self)
        return list(found) if self.compat else sorted(found)

    def candidates(self, text: AttackText, among: Collection[int] | None = None) -> Steps[list[AttackText]]:
        """Texts with one word changed that all constraints let pass, in alphabetical order.

        Args:
            text: The text as it stands.
            among: Positions of which one is changed; None allows all.
        """
        made = yield from self.attack.transformation.candidates(text, self.places(text, among), self)
        made = [candidate for candidate in made if candidate.texts != text.texts]
        for constraint in self.attack.constraints:
            if not made:
                break
            made = yield from constraint.kept(made, text, self)
        return sorted(made, key=lambda candidate: candidate.text)

    def ranked(self, scores: Sequence[float]) -> NDArray[np.int64]:
        """Positions by score, the highest first.

        Equal scores fall as numpy's unstable sort lets them in ``compat``, in the victim's own precision; else the
        first comes first.
        """
        values = np.array(scores, dtype=self.precision)
        return (-values).argsort() if self.compat else (-values).argsort(kind="stable")
