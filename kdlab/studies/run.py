"""Running a study: every cell is an ordinary run with a record of its own, and what is finished is never run again."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kdlab.data.tasks import TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.pipeline import jobs as side_by_side
from kdlab.pipeline.context import RunContext
from kdlab.pipeline.execute import run_seed, run_where_free
from kdlab.pipeline.run import check_outputs, run
from kdlab.pipeline.standing import Standing
from kdlab.planning.describe import show_plan
from kdlab.planning.plan import Plan, make_plan
from kdlab.results.ood import read_ood
from kdlab.results.record import RunFolder
from kdlab.results.run_record import RunRecord
from kdlab.studies.schema import Study
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter, duration
from kdlab.system.shown import listed

Plans = dict[tuple[str, str], Plan]
"""Row and task to the plan of their runs."""


def plan_study(study: Study, reporter: Reporter) -> Plans:
    """What each cell would do; whatever is wrong in the last one is said before the first is trained.

    Raises:
        KdlabError: Something is wrong in a cell (the message names its line), or cells that stand in one row or one
            claim would not have the same data.
    """
    cache, plans = Cache(say=reporter.warn), {}
    for cell in study.cells:
        try:
            plans[cell.row, cell.task] = make_plan(cell.settings, cache)
        except KdlabError as e:
            raise KdlabError(f"{study.file}:{cell.line}: cell '{cell.name}': {e}") from e
    _check_same_data(study, plans)
    return plans


def specs_of(plans: Plans) -> dict[str, TaskSpec]:
    """The task behind each name."""
    return {task: plan.task.spec for (_, task), plan in plans.items()}


def run_study(
    study: Study, plans: Plans, jobs: int, words: Sequence[str], reporter: Reporter
) -> dict[tuple[str, str], list[tuple[RunRecord, Path]]]:
    """Runs what is missing, and goes on where an earlier or another process is.

    Args:
        study: The study.
        plans: From ``plan_study``.
        jobs: How many processes work side by side.
        words: The command line after ``kdlab``, for starting them.
        reporter: Shows each run, and after it how far the study is.

    Returns:
        Row and task to the records of its seeds with their folders; empty in a process that works for another one.

    Raises:
        KdlabError: Anything that goes wrong on the way; what was finished before is kept.
    """
    if side_by_side.number():
        side_by_side.work(list(plans.values()), reporter)
        return {}
    side_by_side.check_jobs(jobs, list(plans.values()), reporter)
    for plan in plans.values():
        check_outputs(plan)
    if any(plan.hardware.devices > 1 for plan in plans.values()):
        for cell in study.cells:
            run(cell.settings)
    else:
        shared = side_by_side.share_out(list(plans.values()), jobs, words, reporter)
        _run_open(study, plans, shared, reporter)
    return finished_runs(plans)


def finished_runs(plans: Plans) -> dict[tuple[str, str], list[tuple[RunRecord, Path]]]:
    """The finished records of each cell with their folders."""
    results = {}
    for cell, plan in plans.items():
        folders = [RunFolder(plan.folder(seed)) for seed in plan.seeds]
        results[cell] = [(record, f.path) for f in folders if (record := f.finished()) is not None]
    return results


def _run_open(study: Study, plans: Plans, shared: bool, reporter: Reporter) -> None:
    """Goes through the cells until all are finished; what another process is at comes last, and is waited for."""
    progress, standing = StudyProgress(study, plans, reporter), Standing(reporter)
    # two cells may be the same runs
    different = {(plan.identity(None), plan.attacks, *plan.seeds): plan for plan in plans.values()}
    for wait in (False, True):
        for plan in different.values():
            again = plan.config.fresh and not shared
            seeds = [seed for seed in plan.seeds if again or _is_open(plan, seed, standing)]
            if not seeds or (wait and again):
                continue
            if not wait:
                show_plan(plan, reporter)
            context = RunContext(plan, reporter)
            for seed in seeds:
                if again or wait:
                    run_seed(context, seed, again, others=wait)
                elif not run_where_free(context, seed):
                    continue
                progress.show()


def _is_open(plan: Plan, seed: int, standing: Standing) -> bool:
    """Whether a run is not finished, not evaluated on all sets out of domain that are asked for, or not attacked so."""
    folder = RunFolder(plan.folder(seed))
    if folder.finished() is None:
        return True
    lacks_sets = bool(plan.ood) and not {one.spec.name for one in plan.ood} <= read_ood(folder).keys()
    return lacks_sets or standing.lacks(plan, seed)


class StudyProgress:
    """How far a study is: finished seeds of each cell, and the time that the rest will take.

    Args:
        study: The study.
        plans: Of its cells.
        reporter: Where it is shown.
    """

    def __init__(self, study: Study, plans: Plans, reporter: Reporter) -> None:
        self.study, self.plans, self.reporter = study, plans, reporter

    def show(self) -> None:
        """The grid of rows and tasks, and one line below it."""
        done = finished_runs(self.plans)
        total = sum(len(plan.seeds) for plan in self.plans.values())
        body = [
            [row, *(f"{len(done[row, task])} of {len(self.plans[row, task].seeds)}" for task in self.study.tasks)]
            for row in self.study.rows
        ]
        self.reporter.table(["finished", *self.study.tasks], body)
        made = sum(map(len, done.values()))
        left = "" if made == total else f"; about {duration(self._seconds_left(done))} left"
        self.reporter.say(f"{made} of {total} runs are finished{left}.")

    def _seconds_left(self, done: Mapping[tuple[str, str], Sequence[tuple[RunRecord, Path]]]) -> float:
        """Each missing run takes as long as its cell's others did; else its row's, its task's, or all."""
        took = {cell: [_seconds(record) for record, _ in runs] for cell, runs in done.items()}
        left = 0.0
        for (row, task), plan in self.plans.items():
            missing = len(plan.seeds) - len(took[row, task])
            alike = (
                took[row, task],
                [s for (r, _), each in took.items() if r == row for s in each],
                [s for (_, t), each in took.items() if t == task for s in each],
                [s for each in took.values() for s in each],
            )
            left += missing * statistics.fmean(next((known for known in alike if known), [0.0]))
        return left


def _seconds(record: RunRecord) -> float:
    took = [record.cost.get(part, {}).get("seconds", 0.0) for part in ("training", "evaluation")]
    return sum(seconds for seconds in took if not math.isnan(seconds))


def _check_same_data(study: Study, plans: Plans) -> None:
    """Raises ``KdlabError`` where figures that stand beside each other would not be of the same data."""
    advice = "give --data-dir, or --profile embedded for all"
    first = study.cells[0]
    for cell in study.cells:
        one, other = plans[first.row, first.task].task, plans[cell.row, cell.task].task
        if one.source.embedded != other.source.embedded:
            real, stand_in = (first, cell) if other.source.embedded else (cell, first)
            raise KdlabError(
                f"{study.file}:{cell.line}: '{stand_in.name}' would be of the embedded corpus and '{real.name}' not, "
                f"and both stand in one table: {advice}."
            )
        same_task = next(c for c in study.cells if c.task == cell.task)
        theirs = plans[same_task.row, cell.task].task
        attacked = [c for c in study.cells if c.task == cell.task and plans[c.row, c.task].attacks is not None]
        if cell in attacked and not _alike(plans[cell.row, cell.task], plans[attacked[0].row, cell.task]):
            raise KdlabError(
                f"{study.file}:{cell.line}: '{cell.row}' would be attacked otherwise than '{attacked[0].row}': put "
                "evaluation.attack_* into 'common'."
            )
        changed = [s for s in other.spec.reported_splits if theirs.fingerprints.get(s) != other.fingerprints.get(s)]
        if changed:
            raise KdlabError(
                f"{study.file}:{cell.line}: '{cell.row}' would be judged on other rows of {cell.task} than "
                f"'{same_task.row}' ({listed(changed)}): take settings of data.* that all cells share."
            )
    lines = {cell.row: cell.line for cell in study.cells}
    for claim in study.claims:
        for task, (better, than) in itertools.product(claim.tasks, claim.pairs):
            trained = [plans[row, task].task.unaugmented.fingerprints[TRAIN] for row in (better, than)]
            if trained[0] != trained[1] and not claim.other_rows:
                raise KdlabError(
                    f"{study.file}:{lines[better]}: the claim '{claim.text[:80]}' compares '{better}' and '{than}', "
                    f"which would be trained on different rows of {task}: give both the same data.*, or the claim "
                    "'other_rows: true'."
                )


def _alike(one: Plan, other: Plan) -> bool:
    """Whether students are attacked on the same examples in the same way, by whatever recipes."""
    ours, theirs = one.attacks, other.attacks
    return ours is not None and theirs is not None and replace(ours, recipes=()) == replace(theirs, recipes=())


def describe_cells(study: Study, plans: Plans) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what a study would do, for a dry run."""
    body = []
    for cell in study.cells:
        plan = plans[cell.row, cell.task]
        done = sum(RunFolder(plan.folder(seed)).finished() is not None for seed in plan.seeds)
        body.append([cell.row, cell.task, plan.method.name, str(plan.steps()), f"{done} of {len(plan.seeds)}"])
    return ["row", "task", "method", "steps", "finished"], body
