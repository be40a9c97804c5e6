"""A study's table: our figures beside the paper's, as Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdlab.results.tables import mean_and_sd
from kdlab.studies.columns import PARAMETERS, Column
from kdlab.studies.schema import Figure, Study

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
_LATEX |= {"±": r"$\pm$", "²": r"$^2$", "α": r"$\alpha$", "δ": r"$\delta$", "–": "--", "×": r"$\times$"}


@dataclass(frozen=True)
class Entry:
    """One place of the table.

    Attributes:
        row: Name of the row.
        task: Name of the task.
        column: What is shown.
        values: Ours, one a seed, in points where the column is a share; empty where there is none.
        paper: The paper's, in its own unit; None where it has none.
        logs: That of the paper's published logs.
        interval: The 95 % interval (Wilson) of a share of examples where there is one seed.
    """

    row: str
    task: str
    column: Column
    values: tuple[float, ...]
    paper: Figure | None
    logs: Figure | None = None
    interval: tuple[float, float] | None = None

    def ours(self, statistic: str) -> float | None:
        """Our figure, made of its runs as the paper makes its own."""
        if not self.values:
            return None
        if statistic == "median":
            return statistics.median(self.values)
        if statistic == "best":
            return min(self.values) if self.column.less_is_better else max(self.values)
        return statistics.fmean(self.values)

    def text(self, statistic: str) -> str:
        """``ours ± sd (the paper's; logs theirs)``, and ``ours [low, high]`` of one seed."""
        ours = self.ours(statistic)
        parts = [] if ours is None else [_number(ours, self.column)]
        if len(self.values) > 1:
            parts.append(f"± {_number(mean_and_sd(self.values)[1], self.column)}")
        elif self.interval is not None:
            low, high = (_number(end, self.column) for end in self.interval)
            parts.append(f"[{low}, {high}]")
        beside = [] if self.paper is None else [_published(self.paper)]
        beside += [] if self.logs is None else [f"logs {_published(self.logs)}"]
        if beside:
            parts = [*(["–"] if ours is None else parts), f"({'; '.join(beside)})"]
        return " ".join(parts)


@dataclass(frozen=True)
class StudyTable:
    """A table with what must be said below it.

    Attributes:
        study: Whose.
        places: Task and column of each column, in order.
        entries: By row, one for each place.
        notes: Sentences below it.
    """

    study: Study
    places: tuple[tuple[str, Column], ...]
    entries: Mapping[str, Sequence[Entry]]
    notes: tuple[str, ...]

    def texts(self) -> tuple[list[str], list[list[str]]]:
        """Header and body."""
        several = len({task for task, _ in self.places}) > 1
        header = ["", *(f"{task} {column.name}" if several else column.name for task, column in self.places)]
        statistic = self.study.statistic
        return header, [[row, *(e.text(statistic) for e in entries)] for row, entries in self.entries.items()]

    def markdown(self) -> str:
        """A table and its notes in Markdown."""
        header, body = self.texts()
        return "\n".join([*self._caption(), *markdown_lines(header, body), "", *self.notes]) + "\n"

    def latex(self) -> str:
        """A table for the package booktabs."""
        header, body = self.texts()
        rows = [" & ".join(map(_escaped, row)) + r" \\" for row in (header, *body)]
        caption = " ".join(_escaped(line) for line in (*self._caption(), *self.notes) if line)
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                r"\begin{table}",
                r"\centering",
                rf"\begin{{tabular}}{{l{'r' * len(self.places)}}}",
                r"\toprule",
                rows[0],
                r"\midrule",
                *rows[1:],
                r"\bottomrule",
                r"\end{tabular}",
                rf"\caption{{{caption}}}",
                r"\end{table}",
                "",
            ]
        )

    def comma_separated(self) -> str:
        """One line for each place, with all that can be said of its runs."""
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n").writerow
        write(
            [
                *("row", "task", "column", "unit", "n", "mean", "sd", "median", "best", "statistic"),
                *("paper", "paper_sd", "logs", "low", "high"),
            ]
        )
        for entries in self.entries.values():
            for e in entries:
                ours = [""] * 4
                if e.values:
                    mean, sd = mean_and_sd(e.values)
                    ours = [f"{x:.6g}" for x in (mean, sd, statistics.median(e.values), e.ours("best") or 0.0)]
                paper = ["", ""] if e.paper is None else [e.paper.value, "" if e.paper.sd is None else e.paper.sd]
                beside = ["" if e.logs is None else e.logs.value, *(f"{x:.6g}" for x in e.interval or ())]
                place = [e.row, e.task, e.column.name, e.column.unit, len(e.values)]
                write([*place, *ours, self.study.statistic, *paper, *beside])
        return out.getvalue()

    def _caption(self) -> list[str]:
        title = ". ".join(part for part in (self.study.title, self.study.source) if part)
        return [title + ".", ""] if title else []


def markdown_lines(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = [f"| {' | '.join(cell.replace('|', '∣') for cell in row)} |" for row in (header, *body)]
    return [lines[0], "|---" * len(header) + "|", *lines[1:]]


def _number(value: float, column: Column) -> str:
    return f"{value:,.0f}" if column.metric == PARAMETERS else f"{value:.{column.digits}f}"


def _published(figure: Figure) -> str:
    """A paper's figure."""
    sd = "" if figure.sd is None else f" ± {figure.sd:g}"
    return f"{figure.value:{',' if figure.value >= 1000 else ''}.10g}{sd}"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def file_name(name: str) -> str:
    """A name that a file can have."""
    return re.sub(r"[^\w.-]+", "-", name)
