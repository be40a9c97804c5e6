"""A study's table as far as its runs are finished: which columns it has, and what stands in each place."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kdlab.data.domains import TARGET
from kdlab.data.tasks import DEV, TaskSpec
from kdlab.errors import KdlabError
from kdlab.pipeline.victims import TEACHER
from kdlab.results.ood import read_ood
from kdlab.results.record import RunFolder
from kdlab.results.run_record import RunRecord
from kdlab.studies.answers import figure, interval
from kdlab.studies.attacked import attack_figure, attack_interval
from kdlab.studies.columns import AUA, DROP, KL, PARAMETERS, SPEED, UNDER_ATTACK, Column, find_column
from kdlab.studies.notes import Results, Runs, notes_on
from kdlab.studies.schema import CELLS, Columns, Figure, Study
from kdlab.studies.table import Entry, StudyTable


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
    wanted, teachers = study.elsewhere.get(TEACHER, {}), _teachers(results) if study.rows_are == CELLS else {}
    alone = len(teachers) == 1
    for name, by_task in teachers.items():
        row = TEACHER if alone else f"{TEACHER} {name}"
        entries[row] = [_teachers_entry(row, by_task, place, specs, wanted if alone else {}) for place in places]
    for row, figures in study.elsewhere.items():
        if row != TEACHER or not alone:
            entries[row] = [Entry(row, *place, (), paper_figure(figures, specs, *place)) for place in places]
    for row in study.table_rows:
        entries[row] = []
        for task, column in places:
            values, within = _ours(study, row, task, column, results)
            paper, logs = (paper_figure(each.get(row, {}), specs, task, column) for each in (study.paper, study.logs))
            entries[row].append(Entry(row, task, column, values, paper, logs, within))
    return StudyTable(study, tuple(places), entries, tuple(notes_on(study, results)))


def _columns(study: Study, spec: TaskSpec, task: str, results: Results) -> list[Column]:
    """Those that the paper has; without one the reported metrics, and the divergence where there is a teacher.

    Of attacks without a paper the accuracy under each, and the mean of them.
    """
    ood, attacks = study.ood_of(task), study.attacks_of(task)
    published = (study.paper, study.logs, study.elsewhere)
    named = [name for figures in published for row in figures.values() for name in row.get(task, {})]
    named = [name for name in named if name or study.rows_are == CELLS]  # null says that there is no figure at all
    if study.rows_are != CELLS and not named:
        named = list(UNDER_ATTACK)
    if named:
        columns = list(dict.fromkeys(find_column(name, spec, ood, attacks) for name in named))
        wrong = [c.name for c in columns if study.rows_are != CELLS and (c.split or not c.recipes)]
        if wrong:
            raise KdlabError(f"The rows are recipes, and '{wrong[0]}' is none of {', '.join(UNDER_ATTACK)}.")
        return columns
    columns = [Column(split, metric) for split in spec.reported_splits for metric in spec.metrics]
    columns += [find_column(f"{name} accuracy", spec, ood) for name in ood]
    under = [f"{name} {AUA}" for name in attacks] + [AUA] * (len(attacks) > 1)
    columns += [find_column(name, spec, (), attacks) for name in under]
    here = [record for (_, on), runs in results.items() if on == task for record, _ in runs]
    columns = [c for c in columns if c.ood or c.recipes or not here or any(c.split in r.student.metrics for r in here)]
    splits = dict.fromkeys(split for record in here for split in record.divergence or {})
    return columns + [Column(split, KL) for split in splits if not spec.regression and split in spec.reported_splits]


def paper_figure(
    figures: Mapping[str, Columns], specs: Mapping[str, TaskSpec], task: str, column: Column
) -> Figure | None:
    """A row's figure in a column of a task; None where the paper has none.

    A mean over recipes is that of theirs, and a drop the difference of the two accuracies, where it is not given.
    """
    by_column = figures.get(task, {})
    if column.name in by_column:
        return by_column[column.name]
    if column.recipes and not column.split:
        of_each = [Column(recipe, column.metric, recipes=(recipe,)) for recipe in column.recipes]
        each = [known for one in of_each if (known := paper_figure(figures, specs, task, one)) is not None]
        return Figure(_exact(statistics.fmean(one.value for one in each))) if len(each) == len(of_each) else None
    main = Column(next(iter(specs[task].reported_splits), DEV), specs[task].metrics[0])
    if column.metric == DROP:
        clean, under = (paper_figure(figures, specs, task, one) for one in (main, replace(column, metric=AUA)))
        return None if clean is None or under is None else Figure(_exact(clean.value - under.value))
    return by_column.get("") if column == main else None


def _exact(value: float) -> float:
    """A sum of figures that have few digits, without what floating point adds."""
    return round(value, 6)


def _ours(
    study: Study, row: str, task: str, column: Column, results: Results
) -> tuple[tuple[float, ...], tuple[float, float] | None]:
    """A row's figures, one a seed, and the interval of a single one where the study is about attacks."""
    if study.rows_are != CELLS:
        return _over_cells(study, Column(row, column.metric, recipes=(row,)), task, results), None
    runs = results.get((row, task), ())
    values = _values(column, runs)
    if len(values) != 1 or len(runs) != 1 or not study.attacks_of(task):
        return values, None
    return values, _within(column, interval(column, *runs[0]))


def _values(column: Column, runs: Runs) -> tuple[float, ...]:
    found = [figure(column, record, folder) for record, folder in runs]
    return tuple(value * (100 if column.in_points else 1) for value in found if value is not None)


def _within(column: Column, ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """An interval in the column's own unit."""
    scale = 100 if column.in_points else 1
    return None if ends is None else (scale * ends[0], scale * ends[1])


def _over_cells(study: Study, column: Column, task: str, results: Results) -> tuple[float, ...]:
    """The mean of a figure over all cells, of each seed that all of them have."""
    cells = [{record.seed: (record, folder) for record, folder in results.get((row, task), ())} for row in study.rows]
    means = []
    for seed in sorted(set.intersection(*(set(cell) for cell in cells))):
        each = [value for cell in cells for value in _values(column, [cell[seed]])]
        if len(each) == len(cells):
            means.append(statistics.fmean(each))
    return tuple(means)


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


def _teachers_entry(
    row: str, by_task: Taught, place: tuple[str, Column], specs: Mapping[str, TaskSpec], wanted: Mapping[str, Columns]
) -> Entry:
    """The place of a teacher's row."""
    (task, column), within = place, None
    if column.recipes and task in by_task:
        within = _within(column, attack_interval(column, by_task[task][1], TEACHER))
    values = _of_teacher(by_task, task, column)
    return Entry(row, task, column, values, paper_figure(wanted, specs, task, column), interval=within)


def _of_teacher(by_task: Taught, task: str, column: Column) -> tuple[float, ...]:
    """A teacher's figure in a column of a task."""
    record, folder = by_task.get(task, (None, None))
    if record is None or record.teacher is None or folder is None:
        return ()
    if column.recipes:
        value = attack_figure(column, folder, TEACHER)
        return () if value is None else (value * (100 if column.in_points else 1),)
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
