"""From a study's file to the study: settings filled in, rows and tasks crossed, figures and claims checked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError, nearest
from kdlab.studies.read_claims import read_claims
from kdlab.studies.read_figures import read_figures
from kdlab.studies.schema import CELLS, ROWS, STATISTICS, Cell, Settings, Study
from kdlab.studies.study_file import StudyFile
from kdlab.system.shown import clipped, listed, shown


def read_study(path: Path, over: Mapping[str, Any], profile: str | None = None) -> Study:
    """The study of a file.

    Args:
        path: The file.
        over: Settings that go over all cells or replace what is filled in; ``tasks`` chooses some of the file's.
        profile: ``embedded`` or ``paper``; None leaves it to the settings, and fills in what ``paper`` says.

    Raises:
        KdlabError: The file can't be read, or something in it is wrong; the message names the line.
    """
    file = StudyFile(path)
    over = dict(over)
    statistic = file.text("statistic") or "mean"
    if statistic not in STATISTICS:
        raise file.error(("statistic",), str(nearest(statistic, STATISTICS, "statistic")).rstrip("."))
    stated = file.names(("tasks",), file.value("tasks")) if file.value("tasks") is not None else ()
    if not stated and isinstance(one := file.value("common", "task"), str):
        stated = (one,)
    tasks = _choose_tasks(file, stated, over)
    asked = profile or over.get("profile")
    part = _profile(file, asked)
    fill = {**file.part("fill"), **part.get("fill", {})}
    if "task" in fill:
        raise file.error(("fill", "task"), "'task' is filled in with the task's name: name it otherwise")
    fill = {name: over.pop(name, value) for name, value in fill.items()}
    common: Settings = {} if profile is None else {"profile": profile}
    if (seeds := file.whole("seeds")) is not None:
        common["seeds"] = seeds
    common |= _filled(file, ("common",), file.part("common"), fill)
    common |= _filled(file, ("profiles", _profile_name(asked), "set"), part.get("set", {}), fill)
    rows = _rows(file, common, fill)
    of_task = {task: _filled(file, ("of_task", task), file.part("of_task", task), fill) for task in tasks}
    cells = tuple(
        Cell(row, task, _of_task({**settings, **of_task[task], **over}, task), line)
        for row, (settings, line) in rows.items()
        for task in tasks
    )
    for task in file.part("of_task"):
        if stated and task not in stated:
            raise file.error(("of_task", task), f"'of_task' names {shown(task)}, and 'tasks' does not")
    everywhere = len(rows) * len(stated or tasks)
    count = file.whole("count")
    if count is not None and count != everywhere:
        raise file.error(
            ("count",), f"'count' says {count}, and {len(rows)} rows on {len(stated or tasks)} tasks are {everywhere}"
        )
    rows_are = file.text("rows") or CELLS
    if rows_are not in ROWS:
        raise file.error(("rows",), str(nearest(rows_are, ROWS, "kind of row")).rstrip("."))
    named = tuple(rows) if rows_are == CELLS else _recipes(file, cells)
    elsewhere = read_figures(file, "elsewhere", None, stated or tasks)
    for name in elsewhere:
        if name in named:
            what = "cell" if rows_are == CELLS else "recipe"
            raise file.error(("elsewhere", name), f"'{clipped(shown(name), 60)}' is a {what} too: rename one of them")
    return Study(
        file=path,
        title=file.text("title"),
        source=file.text("source"),
        statistic=statistic,
        runs=file.whole("runs"),
        rows=tuple(rows),
        tasks=tasks,
        cells=cells,
        paper=read_figures(file, "paper", named, stated or tasks, all_of_them=True),
        elsewhere=elsewhere,
        logs=read_figures(file, "logs", named, stated or tasks),
        claims=read_claims(file, rows, stated, tasks),
        search=_lists(file, "search"),
        picture=_picture(file, rows),
        heatmap=_heatmap(file, cells),
        rows_are=rows_are,
    )


def _choose_tasks(file: StudyFile, stated: tuple[str, ...], over: Settings) -> tuple[str, ...]:
    """The tasks of the file, or those of them that the command line names."""
    named = over.pop("tasks", None)
    one = over.pop("task", None)
    if named is None and one is not None:
        named = [one]
    if named is None:
        if not stated:
            raise file.error(("cells",), "it names no 'tasks': add them, or say tasks=[rte]")
        return stated
    if isinstance(named, str):
        named = [named]
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise KdlabError(f"tasks={named}: a list of names, such as tasks=[rte,sst2].")
    for name in named:
        if file.part("paper") and name not in stated:
            raise KdlabError(f"tasks={name}: {file.path} has figures of {listed(stated)}; take some of these.")
    return tuple(dict.fromkeys(named))


def _profile(file: StudyFile, chosen: str | None) -> dict[str, Settings]:
    """What a profile fills in (``fill``) and sets (``set``); that of the paper unless another is asked for."""
    for name in file.part("profiles"):
        if name not in ("embedded", "paper"):
            raise file.error(("profiles", name), f"'{shown(name)}' is no profile: embedded or paper")
        for key in file.part("profiles", name):
            if key not in ("fill", "set"):
                raise file.error(("profiles", name, key), "a profile holds 'fill' and 'set'")
    return {key: file.part("profiles", _profile_name(chosen), key) for key in ("fill", "set")}


def _profile_name(chosen: str | None) -> str:
    return "embedded" if chosen == "embedded" else "paper"


def _rows(file: StudyFile, common: Settings, fill: Settings) -> dict[str, tuple[Settings, int]]:
    """Each row's settings and its line; ``vary`` makes several rows of each cell."""
    vary = _lists(file, "vary")
    rows: dict[str, tuple[Settings, int]] = {}
    for cell in file.part("cells"):
        settings = {**common, **_filled(file, ("cells", cell), file.part("cells", cell), fill)}
        line = file.line(("cells", cell))
        if cell == "teacher":
            raise file.error(
                ("cells", cell), "'teacher' is the row of the teacher's own figures: name the cell otherwise"
            )
        for values in itertools.product(*vary.values()):
            varied = dict(zip(vary, values, strict=True))
            name = ", ".join([cell, *(f"{key.rpartition('.')[2]} {value}" for key, value in varied.items())])
            rows[name] = ({**settings, **varied}, line)
    return rows


def _lists(file: StudyFile, section: str) -> dict[str, list[Any]]:
    """A section that holds a list of values for each setting."""
    part = file.part(section)
    for key, values in part.items():
        if not isinstance(values, list) or not values:
            raise file.error((section, key), f"'{clipped(shown(key), 60)}' must hold a list of values")
    return part


def _filled(file: StudyFile, where: tuple[Any, ...], settings: Settings, fill: Settings) -> Settings:
    """Settings in whose texts ``{name}`` is filled in; ``{task}`` stays until there is one."""
    filled = {}
    for key, value in settings.items():
        try:
            filled[key] = value.format(**{**fill, "task": "{task}"}) if isinstance(value, str) else value
        except (LookupError, ValueError, AttributeError, TypeError) as e:
            known = ", ".join(["task", *fill])
            what = f"'{clipped(shown(str(value)), 60)}' has a {{…}} that can't be filled in ({e}); there is {known}"
            raise file.error((*where, key), what) from e
    return filled


def _of_task(settings: Settings, task: str) -> Settings:
    """A cell's settings on a task, whose name stands for ``{task}``."""
    named = {key: value.replace("{task}", task) if isinstance(value, str) else value for key, value in settings.items()}
    return {**named, "task": task}


def _picture(file: StudyFile, rows: Mapping[str, Any]) -> tuple[str, ...]:
    """The rows that are drawn."""
    if file.value("picture") is None:
        return ()
    drawn = file.names(("picture",), file.value("picture"))
    for row in drawn:
        if row not in rows:
            raise file.error(("picture",), str(nearest(row, rows, "cell")).rstrip("."))
    return drawn


def _recipes(file: StudyFile, cells: Sequence[Cell]) -> tuple[str, ...]:
    """The names of all recipes by which the cells are attacked.

    Raises:
        KdlabError: There is none, or no such recipe.
    """
    try:
        names = tuple(dict.fromkeys(name for cell in cells for name in cell.attacks))
    except KdlabError as e:
        raise file.error(("common", "evaluation.attack"), str(e).rstrip(".")) from e
    if not names:
        raise file.error(("cells",), "its cells are not attacked: say 'evaluation.attack: [textfooler, bae]' in common")
    return names


def _heatmap(file: StudyFile, cells: Sequence[Cell]) -> tuple[str, ...]:
    """The recipes that are drawn."""
    if file.value("heatmap") is None:
        return ()
    drawn, known = file.names(("heatmap",), file.value("heatmap")), _recipes(file, cells)
    for recipe in drawn:
        if recipe not in known:
            raise file.error(("heatmap",), str(nearest(recipe, known, "recipe of its cells")).rstrip("."))
    return drawn
