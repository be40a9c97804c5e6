"""From a study's file to the study: settings filled in, rows and tasks crossed, figures and claims checked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError, nearest
from kdlab.studies.schema import STATISTICS, Cell, Claim, Columns, Figure, Settings, Study
from kdlab.studies.study_file import StudyFile
from kdlab.system.shown import clipped, listed, shown

_CLAIM = ("better", "than", "tasks", "column", "lower", "paper")
_FIGURE = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)\s*(?:±\s*([0-9]+(?:\.[0-9]+)?))?")


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
    paper = _paper(file, "paper", rows, stated or tasks)
    elsewhere = _paper(file, "elsewhere", None, stated or tasks)
    for name in elsewhere:
        if name in rows:
            raise file.error(("elsewhere", name), f"'{clipped(shown(name), 60)}' is a cell too: rename one of them")
    return Study(
        file=path,
        title=file.text("title"),
        source=file.text("source"),
        statistic=statistic,
        runs=file.whole("runs"),
        rows=tuple(rows),
        tasks=tasks,
        cells=cells,
        paper=paper,
        elsewhere=elsewhere,
        claims=_claims(file, rows, stated, tasks),
        search=_lists(file, "search"),
        picture=_picture(file, rows),
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


def _paper(
    file: StudyFile, section: str, rows: Mapping[str, Any] | None, tasks: tuple[str, ...]
) -> dict[str, dict[str, Columns]]:
    """The figures of a section; where ``rows`` are given, each of them must have one, or null, on each task."""
    figures: dict[str, dict[str, Columns]] = {}
    for row in file.part(section):
        if rows is not None and row not in rows:
            raise file.error((section, row), str(nearest(row, rows, "cell")).rstrip("."))
        by_task = file.part(section, row)
        for task in by_task:
            if task not in tasks:
                raise file.error((section, row, task), f"'{shown(task)}' is none of the file's tasks")
        figures[row] = {task: _columns(file, (section, row, task)) for task in by_task}
    if rows is not None and figures:
        for row in rows:
            for task in tasks:
                if task not in figures.get(row, {}):
                    what = f"'{clipped(shown(row), 60)}' has no figure of the paper's on {task}: write it, or null"
                    raise file.error((section, row), what)
    return figures


def _columns(file: StudyFile, where: tuple[Any, ...]) -> Columns:
    value = file.value(*where)
    if not isinstance(value, dict):
        return {"": _figure(file, where, value)}
    return {str(column): _figure(file, (*where, column), inner) for column, inner in value.items()}


def _figure(file: StudyFile, where: tuple[Any, ...], value: Any) -> Figure | None:
    if value is None:
        return None
    match = _FIGURE.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise file.error(where, f"{clipped(shown(repr(value)), 60)} is no figure: write 84.5, 84.5 ± 0.3, or null")
    return Figure(float(match[1]), None if match[2] is None else float(match[2]))


def _picture(file: StudyFile, rows: Mapping[str, Any]) -> tuple[str, ...]:
    """The rows that are drawn."""
    if file.value("picture") is None:
        return ()
    drawn = file.names(("picture",), file.value("picture"))
    for row in drawn:
        if row not in rows:
            raise file.error(("picture",), str(nearest(row, rows, "cell")).rstrip("."))
    return drawn


def _claims(
    file: StudyFile, rows: Mapping[str, Any], stated: tuple[str, ...], chosen: tuple[str, ...]
) -> tuple[Claim, ...]:
    """The claims, each on those of its tasks that were chosen."""
    claims = []
    for text in file.part("claims"):
        where, content = ("claims", text), file.part("claims", text)
        for key in content:
            if key not in _CLAIM:
                raise file.error((*where, key), str(nearest(key, _CLAIM, "part of a claim")).rstrip("."))
        for key in ("better", "than"):
            if key not in content:
                raise file.error(where, f"the claim '{clipped(shown(text), 60)}' has no '{key}': name a cell")
            if str(content[key]) not in rows:
                raise file.error((*where, key), str(nearest(str(content[key]), rows, "cell")).rstrip("."))
        tasks = chosen if "tasks" not in content else file.names((*where, "tasks"), content["tasks"])
        for task in tasks:
            if stated and task not in stated:
                raise file.error((*where, "tasks"), f"'{shown(task)}' is none of the file's tasks")
        lower = content.get("lower", False)
        if not isinstance(lower, bool):
            raise file.error((*where, "lower"), "'lower' must be true or false")
        paper = _figure(file, (*where, "paper"), content.get("paper"))
        kept = tuple(task for task in tasks if task in chosen)
        if kept:
            claims.append(
                Claim(
                    text=text,
                    better=str(content["better"]),
                    than=str(content["than"]),
                    tasks=kept,
                    column=str(content.get("column") or ""),
                    lower=lower,
                    paper=None if paper is None else paper.value,
                )
            )
    return tuple(claims)
