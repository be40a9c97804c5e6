"""The claims of a study's file, judged by its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdlab.data.tasks import TaskSpec
from kdlab.studies.answers import HOURS, KL, Column, find_column, pair
from kdlab.studies.notes import Results
from kdlab.studies.schema import Claim, Study
from kdlab.studies.table import markdown_lines, paper_figure
from kdlab.studies.verdicts import UNDECIDED, Verdict, judge


@dataclass(frozen=True)
class Judged:
    """A claim on one of its tasks.

    Attributes:
        claim: The claim.
        task: The task.
        column: What it is about there.
        paper: By how much in the paper, in its unit: as the claim says, or the difference of its figures; None where it
            says neither.
        verdict: None where no runs can be compared yet.
    """

    claim: Claim
    task: str
    column: Column
    paper: float | None
    verdict: Verdict | None


def judge_study(study: Study, specs: Mapping[str, TaskSpec], results: Results) -> list[Judged]:
    """A verdict on each claim and task; Holm's correction is over all of them that have runs.

    Args:
        study: The study.
        specs: Of each of its tasks.
        results: Its finished runs.

    Raises:
        KdlabError: A claim is about a column that its task does not have, or its runs are not of the same data.
    """
    asked = [(claim, task, claim_column(study, claim, task, specs)) for claim in study.claims for task in claim.tasks]
    pairs = [
        pair(claim, column, specs[task], results.get((claim.better, task), ()), results.get((claim.than, task), ()))
        for claim, task, column in asked
    ]
    verdicts = iter(judge([each for each in pairs if each is not None]))
    return [
        Judged(
            claim, task, column, _of_paper(study, claim, task, column, specs), None if known is None else next(verdicts)
        )
        for (claim, task, column), known in zip(asked, pairs, strict=True)
    ]


def _of_paper(study: Study, claim: Claim, task: str, column: Column, specs: Mapping[str, TaskSpec]) -> float | None:
    """By how much the better row is better in the paper; less is more where the claim says so."""
    if claim.paper is not None:
        return claim.paper
    figures = [paper_figure(study.paper.get(row, {}), specs, task, column) for row in (claim.better, claim.than)]
    better, than = figures
    if better is None or than is None:
        return None
    return than.value - better.value if claim.lower else better.value - than.value


def claim_column(study: Study, claim: Claim, task: str, specs: Mapping[str, TaskSpec]) -> Column:
    """What a claim is about on a task.

    Raises:
        KdlabError: The task has no such column.
    """
    return find_column(claim.column, specs[task], study.ood_of(task))


def verdict_table(judged: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the claim, the verdict, by how much, how sure, and how many seeds would decide it."""
    header = ["claim", "task", "verdict", "by (95 %)", "paper", "p", "seeds", "would decide"]
    body = []
    for one in judged:
        paper = "" if one.paper is None else f"{one.paper:+.4g}"
        if one.verdict is None:
            body.append([one.claim.text, one.task, "no runs yet", "", paper, "", "0", ""])
            continue
        v, scale = one.verdict, 100 if one.column.in_points else 1
        digits = 1 if one.column.in_points else {KL: 3, HOURS: 2}.get(one.column.metric, 0)
        low, effect, high = (f"{scale * x:+.{digits}f}" for x in (v.low, v.effect, v.high))
        effect = f"{effect} ({low} to {high})"
        body.append([one.claim.text, one.task, v.answer, effect, paper, _p(v.p), str(v.seeds), _needed(v)])
    return header, body


def verdict_markdown(judged: Sequence[Judged]) -> str:
    """The same in Markdown, with a sentence on the tests."""
    if not judged:
        return ""
    lines = markdown_lines(*verdict_table(judged))
    tests = "One-sided sign-flip test over paired seeds"
    if any(one.verdict and one.verdict.test == "McNemar" for one in judged):
        tests += ", or McNemar's over examples where there is one seed"
    note = (
        f"{tests}; p corrected by Holm for {len(judged)} claims; intervals by a paired bootstrap of seeds and "
        "examples; points, or nats for kl."
    )
    return "\n".join([*lines, "", note]) + "\n"


def _needed(verdict: Verdict) -> str:
    """How many seeds would decide it, as far as that can be said."""
    if verdict.answer != UNDECIDED:
        return ""
    if verdict.seeds == 1:
        return verdict.note or "more seeds than one"
    would = "no number of seeds" if verdict.needed is None else f"about {verdict.needed} seeds"
    return f"{would}; {verdict.note}" if verdict.note else would


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
