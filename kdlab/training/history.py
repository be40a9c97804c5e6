"""The history of a training as a CSV file that can be cut back to a checkpoint."""

from __future__ import annotations

import csv
import io
import itertools
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from kdlab.system.files import write_atomic, writing


class CSVHistory(Logger):
    """Appends a row whenever metrics are logged: ``step`` and the metrics' own columns.

    Lightning's CSV logger deletes what an earlier process wrote; this one goes on, cut back by ``truncate`` to the rows
    that the checkpoint knew.

    Args:
        file: Where it is written.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.columns: list[str] = ["epoch", "step"]
        self.rows = 0
        self.lost = 0  # rows that a checkpoint knew, and that are no longer in the file

    @property
    def name(self) -> str:
        """Lightning asks for one."""
        return "history"

    @property
    def version(self) -> str:
        """Lightning asks for one."""
        return ""

    @property
    def experiment(self) -> Path:
        """The file itself."""
        return self.file

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration stands beside it."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Appends one row."""
        row = {"step": step, **{name: float(value) for name, value in metrics.items()}}
        new = [name for name in row if name not in self.columns]
        if new or not self.rows:
            self._rewrite(self.read(), [*self.columns, *new])
        with writing(self.file), self.file.open("a", encoding="utf-8", newline="") as f:
            csv.DictWriter(f, self.columns).writerow(row)
        self.rows += 1

    def read(self) -> list[dict[str, str]]:
        """The rows written so far, whose number this object knows."""
        if not self.rows:
            return []
        with self.file.open(encoding="utf-8", newline="") as f:
            return list(csv.DictReader(f))[: self.rows]

    @rank_zero_only
    def truncate(self, rows: int) -> None:
        """Goes on with a file that an earlier process wrote, keeping only its first rows.

        Args:
            rows: How many the checkpoint knew.
        """
        if not self.file.is_file():
            return
        with self.file.open(encoding="utf-8", errors="replace", newline="") as f:
            reader = csv.reader(f)
            columns = next(reader, None) or self.columns
            whole = itertools.takewhile(lambda row: len(row) == len(columns) and "\ufffd" not in "".join(row), reader)
            kept = [dict(zip(columns, row, strict=True)) for row in itertools.islice(whole, rows)]
        self._rewrite(kept, columns)
        self.rows, self.lost = len(kept), self.lost + rows - len(kept)

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.file, text.getvalue())
        self.columns = columns


def history_of(folder: Path) -> CSVHistory:
    """The history of a run or a teacher, where records have it."""
    return CSVHistory(folder / "history" / "metrics.csv")
