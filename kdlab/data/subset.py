"""Seeded, stratified subsets: fewer training examples, fewer labels, and a held-out part.

All take the first examples of one fixed order in which every stratum (a label, or a tenth of the scores) appears in
proportion at any length. So subsets of the same seed are nested: 1 % lies inside 10 %.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from kdlab.data.examples import Examples, clip
from kdlab.errors import KdlabError

_AMOUNT = re.compile(r"([0-9]{1,12})(\.[0-9]{1,9})? ?(%?)")
A_CLASS = " a class"
_BINS = 10


def limit(examples: Examples, amount: str, seed: int, labels: Sequence[str] = (), setting: str = "") -> Examples:
    """A stratified subset of the examples: the first part of ``limit_and_rest``."""
    return limit_and_rest(examples, amount, seed, labels, setting)[0]


def limit_and_rest(
    examples: Examples, amount: str, seed: int, labels: Sequence[str] = (), setting: str = ""
) -> tuple[Examples, Examples]:
    """A stratified subset of the examples and the rest, both in the examples' order.

    Args:
        examples: The examples.
        amount: A percentage (``10%``, ``0.5%``), a number of examples (``500``), or of each label (``40 a class``). One
            of at least the size keeps all.
        seed: Chooses the subset; subsets of one seed are nested.
        labels: Names of the labels, for messages.
        setting: What says the amount, for messages; ``--limit-train`` and its like by default.

    Returns:
        The subset, with at least one example of every label that the examples have, and the rest.

    Raises:
        KdlabError: The amount is not a positive number or a percentage up to 100, less than the number of labels, or
            more than a label has.
    """
    if amount.endswith(A_CLASS):
        return _of_each(examples, amount, seed, labels, setting)
    match = _AMOUNT.fullmatch(amount.strip())
    number = Fraction(match[1] + (match[2] or "")) if match else Fraction(0)
    percent = bool(match and match[3])
    if number <= 0 or (percent and number > 100) or (not percent and number.denominator != 1):
        raise KdlabError(
            f"{_said(amount, setting)} is neither a whole number from 1 nor a percentage up to 100%: "
            f"write for example 500 or 10%."
        )
    strata = _strata(examples)
    classes = len(strata) if _classification(examples) else 1
    size = max(_round(len(examples) * number / 100), classes) if percent else int(number)
    if size < min(classes, len(examples)):
        raise KdlabError(
            f"{_said(amount, setting)} is less than the {classes} labels of the data: take at least one example a "
            "label."
        )
    if size >= len(examples):
        return examples, examples.take([])
    order = _order(examples, strata, f"limit:{seed}")
    return examples.take(sorted(order[:size])), examples.take(sorted(order[size:]))


def keep_labels(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """A stratified part of labelled examples, and the others without their labels.

    Args:
        examples: The examples.
        fraction: Of them that keep their labels, in (0, 1].
        seed: Chooses them; parts of one seed are nested.

    Returns:
        The part, with at least one example of every label that the examples have, and the rest, each in the examples'
        order.
    """
    strata = _strata(examples)
    classes = len(strata) if _classification(examples) else 1
    size = max(_round(len(examples) * Fraction(str(fraction))), classes)
    order = _order(examples, strata, f"labelled:{seed}")
    rest = examples.take(sorted(order[size:]))
    return examples.take(sorted(order[:size])), replace(rest, labels=None)


def _said(amount: str, setting: str) -> str:
    """What was said of the amount, for messages."""
    return f"{setting}={amount}" if setting else f"The amount of training examples {amount!r}"


def _of_each(
    examples: Examples, amount: str, seed: int, labels: Sequence[str], setting: str
) -> tuple[Examples, Examples]:
    """So many examples of every label, and the rest."""
    number = amount.removesuffix(A_CLASS).strip()
    if not re.fullmatch("[1-9][0-9]{0,11}", number):
        raise KdlabError(f"{_said(amount, setting)}: write a whole number from 1, such as 40{A_CLASS}.")
    if not _classification(examples):
        raise KdlabError(
            f"{_said(amount, setting)} counts labels, and these examples have scores: give a number or a percentage "
            f"by {setting or '--limit-train'}, such as 1%."
        )
    strata = _strata(examples)
    for label in range(len(labels)) if labels else strata:
        members = strata.get(label, [])
        if len(members) < int(number):
            name = clip(labels[label]) if labels else f"number {label}"
            raise KdlabError(
                f"{int(number)} training examples of each label are asked for{f' by {setting}' if setting else ''}, "
                f"and label {name} has {len(members)}: ask for fewer."
            )
    shuffled = _shuffled(strata, f"limit:{seed}")
    taken = {position for members, _ in shuffled.values() for position in members[: int(number)]}
    rest = [i for i in range(len(examples)) if i not in taken]
    return examples.take(sorted(taken)), examples.take(rest)


def carve(
    examples: Examples,
    fraction: float,
    seed: int,
    at_most: int | None = None,
    labels: Sequence[str] = (),
    remedy: str = "add examples of it",
) -> tuple[Examples, Examples]:
    """Split labelled examples into a part to train on and a held-out part.

    Args:
        examples: The examples.
        fraction: Share to hold out, between 0 and 1.
        seed: Chooses the held-out part.
        at_most: Largest number of held-out examples, or None.
        labels: Names of the labels, for messages.
        remedy: What to do where a label has too few examples, for messages.

    Returns:
        The part to train on and the held-out part: disjoint, together all, each in the examples' order. The held-out
        part has at least one example of every label.

    Raises:
        KdlabError: The fraction or ``at_most`` is out of range, or a label would vanish from the training part.
    """
    if not 0 < fraction < 1:
        raise KdlabError(f"The fraction of examples to hold out is {fraction}: give one between 0 and 1.")
    strata = _strata(examples)
    classes = len(strata) if _classification(examples) else 1
    if at_most is not None and at_most < classes:
        raise KdlabError(f"At most {at_most} examples may be held out, but {classes} are needed: raise the limit.")
    size = max(_round(len(examples) * Fraction(str(fraction))), classes)
    held_out = set(_order(examples, strata, f"carve:{seed}")[: size if at_most is None else min(size, at_most)])
    if len(held_out) >= len(examples):
        raise KdlabError(f"{len(examples)} examples are too few to hold {len(held_out)} out: add examples.")
    for number, positions in strata.items():
        if _classification(examples) and held_out.issuperset(positions):
            name = clip(labels[number]) if labels else f"number {number}"
            advice = remedy if len(positions) == 1 else f"{remedy}, or hold fewer out"
            raise KdlabError(
                f"Holding {len(held_out)} of {len(examples)} examples out would leave none of label {name}, which has "
                f"{len(positions)}: {advice}."
            )
    rest = [i for i in range(len(examples)) if i not in held_out]
    return examples.take(rest), examples.take(sorted(held_out))


def _round(value: Fraction) -> int:
    """The nearest whole number, halves upwards."""
    return int(value + Fraction(1, 2))


def _classification(examples: Examples) -> bool:
    """True where the labels are classes, and not scores or missing."""
    return examples.labels is not None and all(isinstance(label, int) for label in examples.labels)


def _strata(examples: Examples) -> dict[int, list[int]]:
    """Positions by label; by tenth of the sorted scores for regression; all together without labels."""
    strata: dict[int, list[int]] = {}
    labels = examples.labels
    if labels is None:
        return {0: list(range(len(examples)))} if len(examples) else {}
    if _classification(examples):
        for position, label in enumerate(labels):
            strata.setdefault(int(label), []).append(position)
        return dict(sorted(strata.items()))
    ranked = sorted(range(len(examples)), key=lambda position: (labels[position], position))
    for rank, position in enumerate(ranked):
        strata.setdefault(rank * _BINS // len(ranked), []).append(position)
    return strata


def _order(examples: Examples, strata: dict[int, list[int]], seed: str) -> list[int]:
    """All positions, in an order whose every prefix holds the strata in proportion, to within one example each.

    The j-th of n shuffled members of a stratum is placed at (j + ½)/n. One example of every label comes first, so that
    no label is left out.
    """
    first = _classification(examples)
    keyed: list[tuple[float, float, int]] = []
    for shuffled, draw in _shuffled(strata, seed).values():
        for j, position in enumerate(shuffled):
            place = -1.0 if first and j == 0 else (j + 0.5) / len(shuffled)
            keyed.append((place, draw.random(), position))
    return [position for _, _, position in sorted(keyed)]


def _shuffled(strata: dict[int, list[int]], seed: str) -> dict[int, tuple[list[int], random.Random]]:
    """The members of each stratum in a random order, and what draws of it further."""
    found = {}
    for name, members in strata.items():
        draw, shuffled = random.Random(f"{seed}:{name}"), list(members)
        draw.shuffle(shuffled)
        found[name] = shuffled, draw
    return found
