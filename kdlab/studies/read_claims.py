"""The claims of a study's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdlab.errors import nearest
from kdlab.studies.pairs import OVER
from kdlab.studies.read_figures import read_figure
from kdlab.studies.schema import Claim
from kdlab.studies.study_file import StudyFile
from kdlab.system.shown import clipped, shown

_CLAIM = ("better", "than", "tasks", "column", "lower", "paper", "over", "other_rows")


def read_claims(
    file: StudyFile, rows: Mapping[str, Any], stated: tuple[str, ...], chosen: tuple[str, ...]
) -> tuple[Claim, ...]:
    """The claims, each on those of its tasks that were chosen.

    Args:
        file: The study's.
        rows: Its cells.
        stated: Its tasks.
        chosen: Those of them that are asked for.

    Raises:
        KdlabError: Something is wrong in one of them; the message names the line.
    """
    claims = []
    for text in file.part("claims"):
        where, content = ("claims", text), file.part("claims", text)
        for key in content:
            if key not in _CLAIM:
                raise file.error((*where, key), str(nearest(key, _CLAIM, "part of a claim")).rstrip("."))
        better, than = (_rows(file, where, key, rows) for key in ("better", "than"))
        tasks = chosen if "tasks" not in content else file.names((*where, "tasks"), content["tasks"])
        for task in tasks:
            if stated and task not in stated:
                raise file.error((*where, "tasks"), f"'{shown(task)}' is none of the file's tasks")
        over = content.get("over")
        if over is not None and over not in OVER:
            raise file.error((*where, "over"), str(nearest(str(over), OVER, "pairing")).rstrip("."))
        paper = read_figure(file, (*where, "paper"), content.get("paper"))
        kept = tuple(task for task in tasks if task in chosen)
        if kept:
            claims.append(
                Claim(
                    text=text,
                    better=better,
                    than=than,
                    tasks=kept,
                    column=str(content.get("column") or ""),
                    lower=_yes(file, where, "lower"),
                    paper=None if paper is None else paper.value,
                    over=over or "",
                    other_rows=_yes(file, where, "other_rows"),
                )
            )
    return tuple(claims)


def _rows(file: StudyFile, where: tuple[Any, ...], key: str, rows: Mapping[str, Any]) -> tuple[str, ...]:
    """A cell, or a list of cells."""
    named = file.value(*where, key)
    if named is None:
        raise file.error(where, f"the claim '{clipped(shown(where[-1]), 60)}' has no '{key}': name a cell")
    names = [str(name) for name in named] if isinstance(named, list) and named else [str(named)]
    for name in names:
        if name not in rows:
            raise file.error((*where, key), str(nearest(name, rows, "cell")).rstrip("."))
    return tuple(dict.fromkeys(names))


def _yes(file: StudyFile, where: tuple[Any, ...], key: str) -> bool:
    value = file.part(*where).get(key, False)
    if not isinstance(value, bool):
        raise file.error((*where, key), f"'{key}' must be true or false")
    return value
