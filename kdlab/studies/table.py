"""A study's table: our figures beside the paper's, as Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdlab.data.domains import TARGET
from kdlab.data.tasks import DEV, TaskSpec
from kdlab.results.ood import read_ood
from kdlab.results.record import RunFolder
from kdlab.results.run_record import RunRecord
from kdlab.results.tables import mean_and_sd
from kdlab.studies.answers import HOURS, KL, PARAMETERS, SPEED, Column, figure, find_column
from kdlab.studies.notes import Results, Runs, notes_on
from kdlab.studies.schema import Columns, Figure, Study

TEACHER = "teacher"
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
    """

    row: str
    task: str
    column: Column
    values: tuple[float, ...]
    paper: Figure | None

    def ours(self, statistic: str) -> float | None:
        """Our figure, made of its runs as the paper makes its own."""
        if not self.values:
            return None
        if statistic == "median":
            return statistics.median(self.values)
        if statistic == "best":
            return min(self.values) if self.column.metric in (KL, HOURS) else max(self.values)
        return statistics.fmean(self.values)

    def text(self, statistic: str) -> str:
        """``ours ± sd (the paper's)``."""
        ours = self.ours(statistic)
        parts = [] if ours is None else [_number(ours, self.column)]
        if len(self.values) > 1:
            parts.append(f"± {_number(mean_and_sd(self.values)[1], self.column)}")
        if self.paper is not None:
            sd = "" if self.paper.sd is None else f" ± {self.paper.sd:g}"
            parts.append(f"({self.paper.value:{',' if self.paper.value >= 1000 else ''}.10g}{sd})")
            parts = ["–", *parts] if ours is None else parts
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
        write(["row", "task", "column", "unit", "n", "mean", "sd", "median", "best", "statistic", "paper", "paper_sd"])
        for entries in self.entries.values():
            for e in entries:
                unit = "points" if e.column.in_points else {KL: "nats", HOURS: "h"}.get(e.column.metric, "")
                ours = [""] * 4
                if e.values:
                    mean, sd = mean_and_sd(e.values)
                    ours = [f"{x:.6g}" for x in (mean, sd, statistics.median(e.values), e.ours("best") or 0.0)]
                paper = ["", ""] if e.paper is None else [e.paper.value, "" if e.paper.sd is None else e.paper.sd]
                write([e.row, e.task, e.column.name, unit, len(e.values), *ours, self.study.statistic, *paper])
        return out.getvalue()

    def _caption(self) -> list[str]:
        title = ". ".join(part for part in (self.study.title, self.study.source) if part)
        return [title + ".", ""] if title else []


def markdown_lines(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = [f"| {' | '.join(cell.replace('|', '∣') for cell in row)} |" for row in (header, *body)]
    return [lines[0], "|---" * len(header) + "|", *lines[1:]]


def make_table(study: Study, specs: Mapping[str, TaskSpec], results: Results) -> StudyTable:
    """The table of a study as far as its runs are finished.

    Args:
        study: The study.
        specs: Of each of its tasks.
        results: Finished runs.

    Raises:
        KdlabError: The file has a figure in a column that its task does not have.
    """
    places: list[tuple[str, Column]] = []
    for task in study.tasks:
        places += [(task, column) for column in _columns(study, specs[task], task, results)]
    entries: dict[str, list[Entry]] = {}
    wanted, teachers = study.elsewhere.get(TEACHER, {}), _teachers(results)
    alone = len(teachers) == 1
    for name, by_task in teachers.items():
        row = TEACHER if alone else f"{TEACHER} {name}"
        entries[row] = [
            Entry(row, *place, _of_teacher(by_task, *place), paper_figure(wanted, specs, *place) if alone else None)
            for place in places
        ]
    for row, figures in study.elsewhere.items():
        if row != TEACHER or not alone:
            entries[row] = [Entry(row, *place, (), paper_figure(figures, specs, *place)) for place in places]
    for row in study.rows:
        entries[row] = []
        for task, column in places:
            paper = paper_figure(study.paper.get(row, {}), specs, task, column)
            values = _values(column, results.get((row, task), ()))
            entries[row].append(Entry(row, task, column, values, paper))
    return StudyTable(study, tuple(places), entries, tuple(notes_on(study, results)))


def _columns(study: Study, spec: TaskSpec, task: str, results: Results) -> list[Column]:
    """Those that the paper has; without one the reported metrics, and the divergence where there is a teacher."""
    ood = study.ood_of(task)
    named = [
        name for figures in (study.paper, study.elsewhere) for row in figures.values() for name in row.get(task, {})
    ]
    if named:
        return list(dict.fromkeys(find_column(name, spec, ood) for name in named))
    columns = [Column(split, metric) for split in spec.reported_splits for metric in spec.metrics]
    columns += [find_column(f"{name} accuracy", spec, ood) for name in ood]
    here = [record for (_, on), runs in results.items() if on == task for record, _ in runs]
    columns = [c for c in columns if c.ood or not here or any(c.split in r.student.metrics for r in here)]
    splits = dict.fromkeys(split for record in here for split in record.divergence or {})
    return columns + [Column(split, KL) for split in splits if not spec.regression and split in spec.reported_splits]


def paper_figure(
    figures: Mapping[str, Columns], specs: Mapping[str, TaskSpec], task: str, column: Column
) -> Figure | None:
    """A row's figure in a column of a task; None where the paper has none."""
    by_column = figures.get(task, {})
    if column.name in by_column:
        return by_column[column.name]
    main = next(iter(specs[task].reported_splits), DEV)
    return by_column.get("") if (column.split, column.metric) == (main, specs[task].metrics[0]) else None


def _values(column: Column, runs: Runs) -> tuple[float, ...]:
    found = [figure(column, record, folder) for record, folder in runs]
    return tuple(value * (100 if column.in_points else 1) for value in found if value is not None)


Taught = dict[str, tuple[RunRecord, Path]]
"""Task to a run whose record has the figures of a teacher."""


def _teachers(results: Results) -> dict[str, Taught]:
    """The teachers by where they come from, and with part of a fingerprint where one source gave several to a task."""
    by_source: dict[str, dict[str, dict[str, tuple[RunRecord, Path]]]] = {}
    for (_, task), runs in results.items():
        for record, folder in runs:
            if record.teacher is not None:
                of = f" of the {record.teacher.domain} domain" if record.teacher.domain not in (None, TARGET) else ""
                of_task = by_source.setdefault(f"{record.teacher.source}{of}", {}).setdefault(task, {})
                key = str(record.fingerprints.teacher)
                if key not in of_task or not math.isnan(record.teacher.samples_per_second):
                    of_task[key] = record, folder
    teachers: dict[str, Taught] = {}
    for source, by_task in by_source.items():
        several = any(len(by_key) > 1 for by_key in by_task.values())
        for task, by_key in by_task.items():
            for key, run in by_key.items():
                teachers.setdefault(f"{source} ({key[:6]})" if several else source, {})[task] = run
    return teachers


def _of_teacher(by_task: Taught, task: str, column: Column) -> tuple[float, ...]:
    """A teacher's figure in a column of a task."""
    record, folder = by_task.get(task, (None, None))
    if record is None or record.teacher is None or folder is None:
        return ()
    if column.ood:
        entry = read_ood(RunFolder(folder)).get(column.split, {}).get("teacher") or {}
        return (100 * float(entry[column.metric]["value"]),) if column.metric in entry else ()
    if column.metric == PARAMETERS:
        return (float(record.teacher.parameters),)
    if column.metric == SPEED:
        speed = record.teacher.samples_per_second
        return () if math.isnan(speed) else (speed,)
    value = record.teacher.metrics.get(column.split, {}).get(column.metric)
    return () if value is None else (100 * value,)


def _number(value: float, column: Column) -> str:
    if column.metric == PARAMETERS:
        return f"{value:,.0f}"
    return f"{value:.{ {KL: 3, HOURS: 2, SPEED: 0}.get(column.metric, 1) }f}"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)
