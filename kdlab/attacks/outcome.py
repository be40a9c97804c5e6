"""How attacks ended: a row for each example, and what a study says of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kdlab.attacks.attempt import FAILED, SKIPPED, SUCCEEDED, Attempt
from kdlab.attacks.text import AttackText
from kdlab.evaluation.metrics import wilson

SHORT = 15
"""Words below which sentence encoders are not asked, so that such texts are a stratum of their own."""
_MARKS = ("[[", "]]")


@dataclass(frozen=True)
class Outcome:
    """What became of one example.

    Attributes:
        id: Its position in the set.
        texts: The example, one text or two.
        label: Its label.
        status: ``skipped`` where the victim was wrong from the start, ``succeeded`` or ``failed``.
        attacked: What the attack made of it; the example itself where nothing was changed.
        predicted: The label that the victim gives what was made.
        score: 1 minus the probability of the example's label before, and after.
        queries: Texts that the victim was asked for, as TextAttack counts them.
        passes: Texts that it really answered.
        words: Words of the example.
        changed: Number, old and new word of each change.
        values: What constraints measured of the last change.
        marked: What was made, changed words in double brackets.
        fools_again: Whether a success fooled the victim once more when all was done; None before, and for others.
    """

    id: int
    texts: tuple[str, ...]
    label: str
    status: str
    attacked: tuple[str, ...]
    predicted: str
    score: tuple[float, float]
    queries: int
    passes: int
    words: int
    changed: tuple[tuple[int, str, str], ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    marked: tuple[str, ...] = ()
    fools_again: bool | None = None

    @property
    def short(self) -> bool:
        """Whether it has fewer words than a window of a sentence encoder."""
        return self.words < SHORT

    def to_json(self) -> dict[str, Any]:
        """As a row of the file has it."""
        return {**asdict(self), "short": self.short}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Outcome:
        """Of a row of the file.

        Raises:
            KeyError, TypeError: A field is missing or unknown.
            ValueError: A field has another form.
        """
        return cls(
            **{
                **{name: value for name, value in row.items() if name != "short"},
                "texts": tuple(row["texts"]),
                "attacked": tuple(row["attacked"]),
                "marked": tuple(row["marked"]),
                "score": tuple(row["score"]),
                "changed": tuple((int(i), str(old), str(new)) for i, old, new in row["changed"]),
            }
        )


def outcome_of(number: int, attempt: Attempt, status: str, before: float, labels: Sequence[str]) -> Outcome:
    """The outcome of an attack that has ended.

    Args:
        number: The example's position in the set.
        attempt: The attack.
        status: How it ended.
        before: Score of the example itself.
        labels: Names of the victim's outputs.
    """
    if attempt.best is None:
        raise ValueError("an attack that has ended has a result")
    original, best = attempt.original, attempt.best
    places = best.text.differences(original)
    return Outcome(
        id=number,
        texts=original.texts,
        label=labels[attempt.label],
        status=status,
        attacked=best.text.texts,
        predicted=labels[best.predicted],
        score=(before, best.score),
        queries=attempt.queries,
        passes=attempt.passes,
        words=len(original.words),
        changed=tuple((i, original.words[i], best.text.words[i]) for i in places),
        values=dict(best.text.values),
        marked=_marked(best.text, places),
    )


def _marked(text: AttackText, places: Sequence[int]) -> tuple[str, ...]:
    """Its texts with marks around some words."""
    found = text.text
    for i in reversed(places):
        start, end = text.spans[i]
        found = f"{found[:start]}{_MARKS[0]}{found[start:end]}{_MARKS[1]}{found[end:]}"
    if len(text.texts) == 1:
        return (found,)
    first = len(text.texts[0]) + sum(map(len, _MARKS)) * sum(text.sides[i] == 0 for i in places)
    return found[:first], found[first + 1 :]


@dataclass(frozen=True)
class Share:
    """A proportion with its 95 % interval (Wilson 1927); NaN of nothing.

    Attributes:
        count: How many.
        of: Of how many.
        value: The proportion.
        low: Lower bound.
        high: Upper bound.
    """

    count: int
    of: int
    value: float
    low: float
    high: float


def share(count: int, of: int) -> Share:
    """A proportion with its interval."""
    if not of:
        return Share(0, 0, float("nan"), float("nan"), float("nan"))
    low, high = wilson(count, of)
    return Share(count, of, count / of, low, high)


@dataclass(frozen=True)
class Figures:
    """What a study says of a set of examples.

    Attributes:
        accuracy: Of the victim on the examples themselves.
        under_attack: Accuracy where each example that it gets right is attacked.
        success: Attacks that succeeded, of those that were made.
        words_changed: Mean share of an example's words that are others, over successes, in percent.
        queries: Mean number over the examples that were attacked, as TextAttack counts them.
        passes: Mean number of texts that the victim really answered for them.
        fools_again: Successes that fooled the victim once more when all was done.
    """

    accuracy: Share
    under_attack: Share
    success: Share
    words_changed: float
    queries: float
    passes: float
    fools_again: int


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    """The study's figures."""
    attacked = [one for one in outcomes if one.status != SKIPPED]
    successes = [one for one in attacked if one.status == SUCCEEDED]
    failed = sum(one.status == FAILED for one in attacked)
    return Figures(
        accuracy=share(len(attacked), len(outcomes)),
        under_attack=share(failed, len(outcomes)),
        success=share(len(successes), len(attacked)),
        words_changed=_mean([100 * len(one.changed) / max(one.words, 1) for one in successes]),
        queries=_mean([one.queries for one in attacked]),
        passes=_mean([one.passes for one in attacked]),
        fools_again=sum(bool(one.fools_again) for one in successes),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
