"""What chooses the epoch whose weights a training ends with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kdlab.errors import KdlabError

AUTO = "auto"
METRIC, METRIC_LOSS, LOSS, DIVERGENCE, LAST, MEAN = "metric", "metric+loss", "loss", "divergence", "last", "mean"
RULES = (METRIC, METRIC_LOSS, LOSS, DIVERGENCE, LAST, f"{MEAN}:3")
FEW = 50
"""Examples below which ``auto`` lets the loss choose: a metric on so few takes too few values (docs/scarce.md)."""
_MOST = 100


@dataclass(frozen=True)
class SelectBy:
    """A rule for choosing an epoch by its scores on the selecting split.

    Attributes:
        rule: ``metric``: the largest of the task's first metric, of equal ones the first; ``metric+loss``: of equal
            ones the one of least loss; ``loss``: the least loss; ``divergence``: the least KL of the teacher's answers
            from the student's (the loss where there is no teacher); ``last``: the last epoch; ``mean``: the mean of the
            weights of the last ``count`` epochs.
        count: Epochs whose weights are averaged.
    """

    rule: str = METRIC
    count: int = 0

    @property
    def text(self) -> str:
        """As the setting says it."""
        return f"{MEAN}:{self.count}" if self.rule == MEAN else self.rule

    @property
    def chooses(self) -> bool:
        """Whether scores choose; otherwise the last epochs are taken, whatever they score."""
        return self.rule not in (LAST, MEAN)

    def for_model(self, taught: bool) -> SelectBy:
        """The rule for a model that has a teacher or has none."""
        return SelectBy(LOSS) if self.rule == DIVERGENCE and not taught else self

    def key(self, metric: float, scores: Mapping[str, float], epoch: int) -> tuple[float, ...]:
        """What is largest for the chosen epoch.

        Args:
            metric: The task's first metric.
            scores: ``loss``, and for ``divergence`` that.
            epoch: From 0.
        """
        if self.rule == METRIC_LOSS:
            return metric, -scores["loss"]
        if self.rule == LOSS:
            return (-scores["loss"],)
        if self.rule == DIVERGENCE:
            return (-scores[DIVERGENCE],)
        return (metric,) if self.rule == METRIC else (float(epoch),)

    def words(self, monitor: str) -> str:
        """For people: what chooses."""
        return {
            METRIC: monitor,
            METRIC_LOSS: f"{monitor}, of equal ones by loss",
            LOSS: "loss",
            DIVERGENCE: "divergence from the teacher",
            LAST: "nothing: the last epoch is taken",
            MEAN: f"nothing: the weights of the last {self.count} epochs are averaged",
        }[self.rule]


BY_METRIC = SelectBy()


def settle_rule(text: str, examples: int) -> str:
    """The rule that ``auto`` means; any other stays.

    Args:
        text: ``data.select_by``.
        examples: How many choose; 0 where nothing is held out.
    """
    if text != AUTO:
        return text
    if not examples:
        return LAST
    return LOSS if examples < FEW else METRIC_LOSS


def parse_rule(text: str) -> SelectBy:
    """Reads ``data.select_by``, which is no longer ``auto``.

    Raises:
        KdlabError: It is no rule.
    """
    if text in RULES and MEAN not in text:
        return SelectBy(text)
    match = re.fullmatch(rf"{MEAN}:([0-9]{{1,3}})", text)
    if match and 2 <= int(match[1]) <= _MOST:
        return SelectBy(MEAN, int(match[1]))
    raise KdlabError(
        f"data.select_by={text}: choose from {', '.join((AUTO, *RULES))} (or another number from 2 to {_MOST})."
    )
