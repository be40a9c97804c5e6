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
    elsewhere: {DistilBERT: {rte: 59.9}}         # rows of the paper's table that no cell runs
    claims:
      MixKD beats fine-tuning: {better: SM+TMKD, than: FT, tasks: [rte], paper: 1.09}
    search: {training.learning_rate: [1.0e-5, 5.0e-5]}  # what the paper searched
    picture: [FT, SM+TMKD]                       # whose students are drawn with mixed neighbours
    count: 4                                     # cells times tasks
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATISTICS = {
    "mean": "the mean of its runs",
    "median": "the median of its runs",
    "best": "the best of its runs",
    "single": "one run",
}
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


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper that runs can bear out.

    Attributes:
        text: The sentence.
        better: The row that it says is better.
        than: The row that it is better than.
        tasks: On which tasks; each of them is a test of its own.
        column: What it is about: a metric (the task's first unless given), or ``kl``.
        lower: Whether less of it is better.
        paper: By how much in the paper, in its unit; None where it doesn't say.
    """

    text: str
    better: str
    than: str
    tasks: tuple[str, ...]
    column: str = ""
    lower: bool = False
    paper: float | None = None


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
        claims: On the chosen tasks.
        search: Settings that the paper searched, with their values.
        picture: Rows whose students are drawn with mixed neighbours.
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
    claims: tuple[Claim, ...] = ()
    search: dict[str, list[Any]] = field(default_factory=dict)
    picture: tuple[str, ...] = ()

    def ood_of(self, task: str) -> list[str]:
        """The sets out of domain on which the students of a task are evaluated."""
        cells = [cell for cell in self.cells if cell.task == task]
        return list(dict.fromkeys(name for cell in cells for name in cell.settings.get("evaluation.ood", ())))
