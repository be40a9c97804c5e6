"""What a column of a study's table shows, and how a study's file names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kdlab.data.ood.specs import OOD
from kdlab.data.tasks import DEV, TEST, TaskSpec
from kdlab.errors import KdlabError

PARAMETERS, SPEED, HOURS, MINUTES, KL = "parameters", "samples/s", "hours", "minutes", "kl"
COSTS = (PARAMETERS, SPEED, HOURS, MINUTES)
"""What is of a run and not of its examples."""
_PLAIN = (*COSTS, KL)
TRAINING = "training"
ACCURACY, AUA, DROP, SUCCESS, WORDS, QUERIES = "accuracy", "aua", "drop", "success", "words changed", "queries"
UNDER_ATTACK = (AUA, DROP, SUCCESS, WORDS, QUERIES)
"""Accuracy under attack, by how much that is less than without, attacks that succeed of those made, words changed in
these in percent, queries of an attack."""
_LESS_IS_BETTER = (KL, HOURS, MINUTES, DROP, SUCCESS)
_DIGITS = {PARAMETERS: 0, SPEED: 0, HOURS: 2, KL: 3}
_UNITS = {KL: "nats", HOURS: "h", MINUTES: "min", WORDS: "%"}


@dataclass(frozen=True)
class Column:
    """What a column of a table shows.

    Attributes:
        split: A split of the task's data, a set out of domain, a recipe, or ``training`` for rows that were trained on;
            empty for what is of none of these.
        metric: One of its metrics; ``parameters``, ``samples/s``, ``hours`` and ``minutes`` (of training), ``kl`` (in
            nats); of a recipe one of ``UNDER_ATTACK``, or the accuracy on the examples that were attacked.
        ood: Whether ``split`` is a set out of domain.
        recipes: Whose attacks it is about: a recipe, or all of them for their mean; empty for what is of no attack.
    """

    split: str
    metric: str
    ood: bool = False
    recipes: tuple[str, ...] = ()

    @property
    def in_points(self) -> bool:
        """Whether the figure is a share, shown in points."""
        return self.metric not in (*_PLAIN, WORDS, QUERIES)

    @property
    def unit(self) -> str:
        """Of the figure; empty for a number."""
        return "points" if self.in_points else _UNITS.get(self.metric, "")

    @property
    def digits(self) -> int:
        """How many are shown behind the point."""
        return 1 if self.in_points else _DIGITS.get(self.metric, 1)

    @property
    def less_is_better(self) -> bool:
        """Whether the best run is the one with the least."""
        return self.metric in _LESS_IS_BETTER

    @property
    def name(self) -> str:
        """As a study's file writes it: a split is named unless it is dev, or a labelled test."""
        return self.metric if self.split in ("", DEV, TEST) else f"{self.split} {self.metric}"


def find_column(name: str, spec: TaskSpec, ood: Sequence[str] = (), attacks: Sequence[str] = ()) -> Column:
    """The column that a name means on a task.

    Args:
        name: A metric, ``SPLIT metric``, ``SET metric``, ``RECIPE metric``, ``training metric``, or what has no split;
            empty for the task's first metric.
        spec: The task.
        ood: Sets out of domain that the runs are evaluated on.
        attacks: Recipes that attack the students.

    Raises:
        KdlabError: There is none.
    """
    main = next(iter(spec.reported_splits), DEV)
    under = _under_attack(name, attacks)
    if under is not None:
        return under
    split, _, metric = name.rpartition(" ")
    plain = [one for one in _PLAIN if one != KL or not spec.regression]  # scores have no divergence in nats
    if not split and metric in plain:
        return Column("" if metric != KL else main, metric)
    if split in ood and metric in OOD[split].task.metrics:
        return Column(split, metric, ood=True)
    if split == TRAINING and metric in spec.metrics:
        return Column(TRAINING, metric)
    split, metric = split or main, metric or spec.metrics[0]
    if split not in spec.reported_splits or metric not in (*spec.metrics, *(one for one in plain if one == KL)):
        known = [*spec.metrics, *(f"{s} {m}" for s in spec.reported_splits[1:] for m in spec.metrics), *plain]
        known += [f"{TRAINING} {m}" for m in spec.metrics]
        known += [f"{one} {m}" for one in ood for m in OOD[one].task.metrics]
        known += [f"{one} {m}" for one in attacks for m in (ACCURACY, *UNDER_ATTACK)]
        known += UNDER_ATTACK if attacks else ()
        raise KdlabError(f"There is no column '{name[:80]}' on {spec.name}. Known: {', '.join(known)}.")
    return Column(split, metric)


def _under_attack(name: str, attacks: Sequence[str]) -> Column | None:
    """What is of one recipe, or the mean of all; None for what is of no attack."""
    if attacks and name in UNDER_ATTACK:
        return Column("", name, recipes=tuple(attacks))
    recipe, _, metric = name.partition(" ")
    if recipe in attacks and metric in (ACCURACY, *UNDER_ATTACK):
        return Column(recipe, metric, recipes=(recipe,))
    return None
