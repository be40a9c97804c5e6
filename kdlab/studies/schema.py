"""The file of a study: its cells, the paper's own figures beside them, and the paper's claims.

::

    title: MixKD on the dev sets of GLUE
    source: Liang et al. 2021, table 1
    statistic: single                            # how the paper makes a figure of its runs
    tasks: [rte, mrpc]
    profiles:                                    # what is filled in and set with --profile
      paper: {fill: {donor: bert-base-uncased}}
      embedded: {fill: {donor: embedded}, set: {training.epochs: 4}}
    common: {student.source: "{donor}:layers:bottom:3"}  # {task} is filled in too
    of_task: {mrpc: {training.epochs: 5}}        # what one task changes
    cells:
      FT: {method: finetune}
      SM+TMKD: {method: mixkd}
    paper:
      FT: {rte: 58.48, mrpc: {f1: 81.68, accuracy: 71.08}}
      SM+TMKD: {rte: 59.57 ± 0.2, mrpc: null}    # null: the paper has none
    logs: {FT: {rte: 58.1}}                      # what the paper's published logs say, where they say something
    elsewhere: {DistilBERT: {rte: 59.9}}         # rows of the paper's table that no cell runs
    claims:
      MixKD beats fine-tuning: {better: SM+TMKD, than: FT, tasks: [rte], paper: 1.09}
    search: {training.learning_rate: [1.0e-5, 5.0e-5]}  # what the paper searched
    picture: [FT, SM+TMKD]                       # whose students are drawn with mixed neighbours
    count: 4                                     # cells times tasks

Runs that are attacked have further columns, a claim may be of several rows, and a picture shows all rows and recipes::

    common: {evaluation.attack: [textfooler, bae], evaluation.attack_examples: 100}
    rows: recipes                                # a row a recipe, the means over all cells; a row a cell unless said
    claims:
      distillation is less robust: {better: KD, than: [FT, SM+TMKD], column: aua, over: examples, other_rows: true}
    heatmap: [textfooler, bae]                   # by how much the accuracy drops, all cells and these recipes
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdlab.attacks import recipe_name
from kdlab.studies.columns import Column
from kdlab.studies.pairs import EXAMPLES, SEEDS

STATISTICS = {
    "mean": "the mean of its runs",
    "median": "the median of its runs",
    "best": "the best of its runs",
    "single": "one run",
}
CELLS, RECIPES = "cells", "recipes"
ROWS = (CELLS, RECIPES)
"""What the rows of a table are."""
Settings = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of a paper in its own unit, mostly points; with its standard deviation where that is given."""

    value: float
    sd: float | None = None


Columns = dict[str, Figure | None]
"""Column to figure; None where the paper says that it has none. The empty column is the task's first metric."""


@dataclass(frozen=True)
class Cell:
    """A row of a table on one task.

    Attributes:
        row: Name of the row.
        task: Name of the task, or its file.
        settings: Of its runs.
        line: Where the row stands in the file.
    """

    row: str
    task: str
    settings: Settings
    line: int

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"{self.row} on {self.task}"

    @property
    def attacks(self) -> list[str]:
        """The names of the recipes that attack its students."""
        asked = self.settings.get("evaluation.attack")
        return [recipe_name(str(word)) for word in asked] if isinstance(asked, list) else []


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper that runs can bear out.

    Attributes:
        text: The sentence.
        better: The rows that it says are better.
        than: The rows that each of them is better than.
        tasks: On which tasks; each of them is a test of its own.
        column: What it is about: a metric (the task's first unless given), ``kl``, or a figure under attack.
        lower: Whether less of it is better.
        paper: By how much in the paper, in its unit; None where it doesn't say.
        over: What is paired in its test, ``seeds`` or ``examples``; empty for seeds, and for examples under attack.
        other_rows: Whether the rows may have been trained on different data.
    """

    text: str
    better: tuple[str, ...]
    than: tuple[str, ...]
    tasks: tuple[str, ...]
    column: str = ""
    lower: bool = False
    paper: float | None = None
    over: str = ""
    other_rows: bool = False

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The better row and the other one of each comparison."""
        return tuple(itertools.product(self.better, self.than))

    def tested_over(self, column: Column) -> str:
        """What is paired in its test, where it is about a column."""
        return self.over or (EXAMPLES if column.recipes else SEEDS)


@dataclass(frozen=True)
class Study:
    """A file that was read.

    Attributes:
        file: Where.
        title: What it is.
        source: Paper and table.
        statistic: How the paper makes a figure of its runs, one of ``STATISTICS``.
        runs: How many the paper made; None where it doesn't say.
        rows: In the file's order.
        tasks: Those that were chosen.
        cells: Rows times tasks.
        paper: Row, task and column to the paper's figure.
        elsewhere: Rows of the paper's table that no cell runs.
        logs: The same of the paper's published logs.
        claims: On the chosen tasks.
        search: Settings that the paper searched, with their values.
        picture: Rows whose students are drawn with mixed neighbours.
        heatmap: Recipes by which the drop of the accuracy is drawn, over all rows.
        rows_are: What the rows of the table are, one of ``ROWS``.
    """

    file: Path
    title: str
    source: str
    statistic: str
    runs: int | None
    rows: tuple[str, ...]
    tasks: tuple[str, ...]
    cells: tuple[Cell, ...]
    paper: dict[str, dict[str, Columns]] = field(default_factory=dict)
    elsewhere: dict[str, dict[str, Columns]] = field(default_factory=dict)
    logs: dict[str, dict[str, Columns]] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    search: dict[str, list[Any]] = field(default_factory=dict)
    picture: tuple[str, ...] = ()
    heatmap: tuple[str, ...] = ()
    rows_are: str = CELLS

    def ood_of(self, task: str) -> list[str]:
        """The sets out of domain on which the students of a task are evaluated."""
        cells = [cell for cell in self.cells if cell.task == task]
        return list(dict.fromkeys(name for cell in cells for name in cell.settings.get("evaluation.ood", ())))

    @property
    def table_rows(self) -> tuple[str, ...]:
        """The rows of its table: the cells', or all recipes."""
        if self.rows_are == CELLS:
            return self.rows
        return tuple(dict.fromkeys(name for task in self.tasks for name in self.attacks_of(task)))

    def attacks_of(self, task: str) -> list[str]:
        """The names of the recipes that attack the students of a task."""
        cells = [cell for cell in self.cells if cell.task == task]
        return list(dict.fromkeys(name for cell in cells for name in cell.attacks))
