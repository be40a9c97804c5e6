"""The file of a study: its cells, the paper's own figures beside them, and the paper's claims.

::

    title: MixKD on the dev sets of GLUE
    source: Liang et al. 2021, table 1
    statistic: single                            # how the paper makes a figure of its runs
    tasks: [rte, mrpc]
    profiles:                                    # what is filled in and set with --profile
      paper: {fill: {donor: bert-base-uncased}}
      embedded: {fill: {donor: embedded}, set: {training.epochs: 4}}
    common: {student.source: "{donor}:layers:bottom:3"}
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

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kdlab.errors import KdlabError, nearest
from kdlab.system.foreign import read_yaml
from kdlab.system.shown import clipped, listed, shown

STATISTICS = {
    "mean": "the mean of its runs",
    "median": "the median of its runs",
    "best": "the best of its runs",
    "single": "one run",
}
SECTIONS = (
    *("title", "source", "statistic", "runs", "tasks", "seeds", "profiles", "fill", "common", "of_task", "cells"),
    *("vary", "paper", "elsewhere", "claims", "search", "picture", "count"),
)
_CLAIM = ("better", "than", "tasks", "column", "lower", "paper")
_FIGURE = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)\s*(?:±\s*([0-9]+(?:\.[0-9]+)?))?")
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


class StudyFile:
    """A study's file with the lines of its parts, for messages.

    Args:
        path: The file.

    Raises:
        KdlabError: It can't be read, or is no study.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content, self._root = read_yaml(path)
        if not isinstance(content, dict) or not content.get("cells"):
            raise KdlabError(f"{path} is no study: it must hold 'cells', and the settings of each below its name.")
        self._content: dict[str, Any] = self._named(content, ())
        for name in self._content:
            if name not in SECTIONS:
                raise self.error((name,), str(nearest(str(name), SECTIONS, "section")).rstrip("."))

    def _named(self, value: Any, where: tuple[Any, ...]) -> Any:
        """A value whose mappings have texts as keys; a number is as good a name as any."""
        if not isinstance(value, dict):
            return value
        for key in value:
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise self.error((*where, key), f"YAML reads a name here as {key!r:.40}: write quotes around it")
        return {str(key): self._named(inner, (*where, str(key))) for key, inner in value.items()}

    def error(self, where: Iterable[Any], what: str) -> KdlabError:
        """A message that names the line of a part, given by its keys from the top."""
        return KdlabError(f"{self.path}:{self.line(where)}: {what}.")

    def line(self, where: Iterable[Any]) -> int:
        """The line in which a part's key stands, or of the last of its keys that is there."""
        node, line = self._root, 1
        for key in where:
            if not isinstance(node, yaml.MappingNode):
                break
            found = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        return line

    def text(self, name: str) -> str:
        """A section that is a text; empty where it is not there."""
        value = self._content.get(name)
        if value is not None and not isinstance(value, str):
            raise self.error((name,), f"'{name}' must be a text")
        return value or ""

    def whole(self, name: str) -> int | None:
        """A section that is a whole number from 1; None where it is not there."""
        value = self._content.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise self.error((name,), f"'{name}' must be a whole number from 1")
        return value

    def names(self, where: tuple[Any, ...], value: Any) -> tuple[str, ...]:
        """A list of names."""
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise self.error(where, f"'{where[-1]}' must be a list of names, such as [rte, sst2]")
        return tuple(value)

    def part(self, *where: Any) -> dict[str, Any]:
        """A part that holds settings or figures, given by its keys; empty where it is not there."""
        value: Any = self._content
        for key in where:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(where, f"'{where[-1]}' must hold settings, one a line, such as 'method: kd'")
        return dict(value)

    def value(self, *where: Any) -> Any:
        """Whatever stands there."""
        value: Any = self._content
        for key in where:
            value = value.get(key) if isinstance(value, dict) else None
        return value


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
    fill = {name: over.pop(name, value) for name, value in fill.items()}
    common: Settings = {} if profile is None else {"profile": profile}
    if (seeds := file.whole("seeds")) is not None:
        common["seeds"] = seeds
    common |= _filled(file, ("common",), file.part("common"), fill)
    common |= _filled(file, ("profiles", _profile_name(asked), "set"), part.get("set", {}), fill)
    rows = _rows(file, common, fill)
    of_task = {task: _filled(file, ("of_task", task), file.part("of_task", task), fill) for task in tasks}
    cells = tuple(
        Cell(row, task, {**settings, **of_task[task], "task": task, **over}, line)
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
    """Settings in whose texts ``{name}`` is filled in."""
    filled = {}
    for key, value in settings.items():
        try:
            filled[key] = value.format(**fill) if isinstance(value, str) else value
        except (LookupError, ValueError, AttributeError, TypeError) as e:
            known = ", ".join(fill) or "nothing"
            what = f"'{clipped(shown(str(value)), 60)}' has a {{…}} that 'fill' does not ({e}); it has {known}"
            raise file.error((*where, key), what) from e
    return filled


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
