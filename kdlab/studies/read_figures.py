"""The figures of papers in a study's file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kdlab.errors import nearest
from kdlab.studies.schema import Columns, Figure
from kdlab.studies.study_file import StudyFile
from kdlab.system.shown import clipped, shown

_FIGURE = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)\s*(?:±\s*([0-9]+(?:\.[0-9]+)?))?")


def read_figures(
    file: StudyFile, section: str, rows: Sequence[str] | None, tasks: tuple[str, ...], all_of_them: bool = False
) -> dict[str, dict[str, Columns]]:
    """The figures of a section.

    Args:
        file: The study's.
        section: ``paper``, ``logs`` or ``elsewhere``.
        rows: Those that may stand in it; None for any.
        tasks: The file's.
        all_of_them: Whether each of the rows must have a figure, or null, on each task, where there are figures at all.

    Raises:
        KdlabError: Something is wrong in it; the message names the line.
    """
    figures: dict[str, dict[str, Columns]] = {}
    for row in file.part(section):
        if rows is not None and row not in rows:
            raise file.error((section, row), str(nearest(row, rows, "cell")).rstrip("."))
        by_task = file.part(section, row)
        for task in by_task:
            if task not in tasks:
                raise file.error((section, row, task), f"'{shown(task)}' is none of the file's tasks")
        figures[row] = {task: _columns(file, (section, row, task)) for task in by_task}
    if all_of_them and figures:
        for row in rows or ():
            for task in tasks:
                if task not in figures.get(row, {}):
                    what = f"'{clipped(shown(row), 60)}' has no figure of the paper's on {task}: write it, or null"
                    raise file.error((section, row), what)
    return figures


def _columns(file: StudyFile, where: tuple[Any, ...]) -> Columns:
    value = file.value(*where)
    if not isinstance(value, dict):
        return {"": read_figure(file, where, value)}
    return {str(column): read_figure(file, (*where, column), inner) for column, inner in value.items()}


def read_figure(file: StudyFile, where: tuple[Any, ...], value: Any) -> Figure | None:
    """A figure of a paper's, with its deviation where it has one; None for null."""
    if value is None:
        return None
    match = _FIGURE.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise file.error(where, f"{clipped(shown(repr(value)), 60)} is no figure: write 84.5, 84.5 ± 0.3, or null")
    return Figure(float(match[1]), None if match[2] is None else float(match[2]))
