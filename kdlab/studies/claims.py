"""The claims of a study's file, judged by its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdlab.data.tasks import TaskSpec
from kdlab.studies.answers import pair
from kdlab.studies.columns import Column, find_column
from kdlab.studies.fill import paper_figure
from kdlab.studies.notes import Results
from kdlab.studies.pairs import EXAMPLES, Pairs
from kdlab.studies.schema import Claim, Columns, Study
from kdlab.studies.table import markdown_lines
from kdlab.studies.verdicts import AGREEING, UNDECIDED, Verdict, judge_all


@dataclass(frozen=True)
class Judged:
    """A claim on one of its tasks.

    Attributes:
        claim: The claim.
        task: The task.
        column: What it is about there.
        paper: By how much in the paper, in its unit: as the claim says, or the difference of its figures; None where it
            says neither.
        logs: By how much in its published logs, the same way.
        verdict: None where no runs can be compared yet.
    """

    claim: Claim
    task: str
    column: Column
    paper: float | None
    logs: float | None
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
    pairs = [_pairs(claim, column, task, specs, results) for claim, task, column in asked]
    verdicts = iter(judge_all([each for each in pairs if each]))
    found = []
    for (claim, task, column), known in zip(asked, pairs, strict=True):
        paper, logs = (_published(claim, task, column, figures, specs) for figures in (study.paper, study.logs))
        paper = paper if claim.paper is None else claim.paper
        found.append(Judged(claim, task, column, paper, logs, next(verdicts) if known else None))
    return found


def _pairs(claim: Claim, column: Column, task: str, specs: Mapping[str, TaskSpec], results: Results) -> list[Pairs]:
    """The answers of each comparison of a claim; empty where one of them has no runs yet."""
    compared = [
        pair(claim, rows, column, specs[task], *(results.get((row, task), ()) for row in rows)) for rows in claim.pairs
    ]
    known = [each for each in compared if each is not None]
    return known if len(known) == len(compared) else []


def _published(
    claim: Claim,
    task: str,
    column: Column,
    figures: Mapping[str, Mapping[str, Columns]],
    specs: Mapping[str, TaskSpec],
) -> float | None:
    """By how much the better row is better as published, the least of several; less is more where the claim says so."""
    gains = []
    for rows in claim.pairs:
        better, than = (paper_figure(figures.get(row, {}), specs, task, column) for row in rows)
        if better is None or than is None:
            return None
        gains.append(than.value - better.value if claim.lower else better.value - than.value)
    return min(gains)


def claim_column(study: Study, claim: Claim, task: str, specs: Mapping[str, TaskSpec]) -> Column:
    """What a claim is about on a task.

    Raises:
        KdlabError: The task has no such column.
    """
    return find_column(claim.column, specs[task], study.ood_of(task), study.attacks_of(task))


def verdict_table(judged: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the claim, the verdict, by how much, how sure, and how many seeds would decide it."""
    with_logs = any(one.logs is not None for one in judged)
    published = ["paper", "logs"] if with_logs else ["paper"]
    header = ["claim", "task", "verdict", "by (95 %)", *published, "p", "seeds", "would decide"]
    body = []
    for one in judged:
        said = ["" if x is None else f"{x:+.4g}" for x in (one.paper, one.logs)][: len(published)]
        if one.verdict is None:
            body.append([one.claim.text, one.task, "no runs yet", "", *said, "", "0", ""])
            continue
        v, scale = one.verdict, 100 if one.column.in_points else 1
        digits = one.column.digits
        low, effect, high = (f"{scale * x:+.{digits}f}" for x in (v.low, v.effect, v.high))
        effect = f"{effect} ({low} to {high})"
        if len(one.claim.pairs) > 1:
            effect += f", least of {len(one.claim.pairs)}: {v.rows[0]} than {v.rows[1]}"
        seeds = f"{v.seeds} ({v.agree} agree)" if v.over == EXAMPLES and v.seeds > 1 else str(v.seeds)
        body.append([one.claim.text, one.task, v.answer, effect, *said, _p(v.p), seeds, _needed(v)])
    return header, body


def verdict_markdown(judged: Sequence[Judged]) -> str:
    """The same in Markdown, with a sentence on the tests."""
    if not judged:
        return ""
    lines = markdown_lines(*verdict_table(judged))
    several = any(len(one.claim.pairs) > 1 for one in judged)
    note = (
        f"{_tests([one.verdict for one in judged if one.verdict])}; p corrected by Holm for {len(judged)} claims; "
        "intervals by a paired bootstrap of seeds and examples; points, or nats for kl."
        f"{' A claim of several rows is true where each comparison is.' * several}"
    )
    return "\n".join([*lines, "", note]) + "\n"


def _tests(verdicts: Sequence[Verdict]) -> str:
    """Which tests were made."""
    of_seeds, of_examples = "", ""
    if not verdicts or any(one.over != EXAMPLES for one in verdicts):
        of_seeds = "One-sided sign-flip test over paired seeds"
    if any(one.over != EXAMPLES and one.test == "McNemar" for one in verdicts):
        of_seeds += ", or McNemar's over examples where there is one seed"
    if any(one.over == EXAMPLES for one in verdicts):
        of_examples = (
            "One-sided sign-flip test over examples (McNemar's for yes or no), of attacks and where the claim "
        )
        of_examples += f"says so, with {AGREEING} seeds at least that agree, or one"
    return "; ".join(filter(None, (of_seeds, of_examples)))


def _needed(verdict: Verdict) -> str:
    """How many seeds, or examples, would decide it, as far as that can be said."""
    if verdict.answer != UNDECIDED:
        return ""
    if verdict.over == EXAMPLES:
        would = "no number of examples" if verdict.needed is None else f"about {verdict.needed:,} examples"
        return verdict.note or would
    if verdict.seeds == 1:
        return verdict.note or "more seeds than one"
    would = "no number of seeds" if verdict.needed is None else f"about {verdict.needed} seeds"
    return f"{would}; {verdict.note}" if verdict.note else would


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
