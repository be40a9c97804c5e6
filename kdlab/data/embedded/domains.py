"""Rows of the tasks of one domain, to which models of the GLUE tasks are adapted, and the sizes of their splits."""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.helpfulness import HELPFUL, rated
from kdlab.data.embedded.science import supported
from kdlab.data.embedded.shop import same_matter
from kdlab.data.embedded.snippets import snippet
from kdlab.system.draw import Draw

Row = tuple[str, str, int | float]
DOMAINS = ("scitail", "cikm", "rt", *HELPFUL)
_SIZES = {"train": 3000, "dev": 500, "test": 1000}
_SOURCE_SIZE = 6000
"""Training rows of the reviews that are a source."""


def size_of(task: str, split: str) -> int:
    """How many examples a split of a task of one domain has."""
    return _SOURCE_SIZE if split == "train" and task in ("electronics", "home") else _SIZES[split]


def row_of(task: str) -> Callable[[Draw, int], Row]:
    """What writes a task's rows: text, second text or nothing, and label or score; the turn decides the label."""
    if task == "scitail":
        return lambda draw, turn: (*supported(draw, turn % 2 == 1), turn % 2)
    if task == "cikm":
        return lambda draw, turn: (*same_matter(draw, turn % 2 == 1), turn % 2)
    if task == "rt":
        return lambda draw, turn: (snippet(draw, turn % 2 == 1), "", turn % 2)

    def review(draw: Draw, turn: int) -> Row:
        text, score = rated(draw, task)
        return text, "", score

    return review
