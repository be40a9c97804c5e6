"""``kdlab experiment``: from a study's file to its table, its verdicts, and the files that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import load_encoder
from kdlab.pipeline import jobs as side_by_side
from kdlab.pipeline.finished import open_run
from kdlab.pipeline.run import open_reporter
from kdlab.studies.claims import claim_column, judge_study, verdict_markdown
from kdlab.studies.columns import ACCURACY, KL
from kdlab.studies.fill import make_table
from kdlab.studies.heatmap import draw_heatmaps
from kdlab.studies.notes import Results
from kdlab.studies.pairs import EXAMPLES
from kdlab.studies.read import read_study
from kdlab.studies.run import Plans, describe_cells, plan_study, run_study, specs_of
from kdlab.studies.schema import Study
from kdlab.studies.table import StudyTable, file_name
from kdlab.system.console import Reporter
from kdlab.system.files import write_atomic

TABLES = "tables"


def experiment(
    file: Path, over: Mapping[str, Any], profile: str | None, jobs: int, words: Sequence[str], dry_run: bool = False
) -> str:
    """Runs what is missing of a study, and writes its table and verdicts below the output folder.

    Args:
        file: The study's file.
        over: Settings that go over all cells.
        profile: ``embedded`` or ``paper``; None leaves it to the settings.
        jobs: How many processes work side by side.
        words: The command line after ``kdlab``, for starting them.
        dry_run: Shows the cells and runs none.

    Returns:
        Table and verdicts in Markdown; nothing for a dry run, and in a process that works for another one.

    Raises:
        KdlabError: Anything that is wrong with the file or one of its cells.
    """
    reporter = open_reporter()
    study = read_study(file, over, profile)
    plans = plan_study(study, reporter)
    check_columns(study, plans)
    if dry_run:
        reporter.table(*describe_cells(study, plans))
        return ""
    results = run_study(study, plans, jobs, words, reporter)
    if side_by_side.number():
        return ""
    specs = specs_of(plans)
    table = make_table(study, specs, results)
    path = write_tables(table, table.markdown(), study, plans)
    verdicts = verdict_markdown(judge_study(study, specs, results))
    text = table.markdown() + (f"\n{verdicts}" if verdicts else "")
    write_atomic(path.with_name(f"{path.name}.md"), text)
    drawn = draw_neighbours(study, plans, results, path) if study.picture else []
    drawn += draw_heatmaps(study, specs, results, path) if study.heatmap else []
    return f"{text}\nTables: {path}.md, .tex, .csv\n" + "".join(f"Picture: {file}\n" for file in drawn)


def check_columns(study: Study, plans: Plans) -> None:
    """Raises ``KdlabError`` where a figure, a claim or the picture of the file is about what its runs will not have."""
    specs = specs_of(plans)
    try:
        make_table(study, specs, {})
        for claim in study.claims:
            for task in claim.tasks:
                column = claim_column(study, claim, task, specs)
                about = f"the claim '{claim.text[:80]}' is about {column.name}"
                for cell in study.cells:
                    if cell.task != task or cell.row not in (*claim.better, *claim.than):
                        continue
                    if column.metric == KL and plans[cell.row, task].teacher is None:
                        raise KdlabError(f"{about}, and '{cell.row}' has no teacher.")
                    if not set(column.recipes) <= set(cell.attacks):
                        raise KdlabError(f"{about}, and '{cell.row}' is not attacked so: name the recipes in 'common'.")
                each_has_one = bool(column.recipes) or column.metric in (ACCURACY, KL)
                if claim.tested_over(column) == EXAMPLES and not each_has_one:
                    raise KdlabError(f"{about}, which no single example has: leave out 'over: examples'.")
        for task in study.tasks if study.picture else ():
            tokenizers = {plans[row, task].text.tokenizer_fingerprint for row in study.picture}
            if specs[task].regression or len(tokenizers) > 1:
                why = "is scored" if specs[task].regression else "is read by several tokenizers"
                raise KdlabError(f"'picture' needs two classes and one tokenizer, and {task} {why}.")
    except KdlabError as e:
        raise KdlabError(f"{study.file}: {e}") from e


def write_tables(table: StudyTable, text: str, study: Study, plans: Plans) -> Path:
    """Writes the table as Markdown (with the verdicts), LaTeX and CSV; returns their path without a suffix."""
    plan = next(iter(plans.values()))
    above = study.file.resolve().parent.name
    name = f"{above}-{study.file.stem}" if above != "experiments" else study.file.stem
    name = file_name(name) + ("-embedded" if plan.task.source.embedded else "")
    path = Path(plan.config.out).expanduser() / TABLES / name
    for suffix, content in ((".md", text), (".tex", table.latex()), (".csv", table.comma_separated())):
        write_atomic(path.with_name(path.name + suffix), content)
    return path


def draw_neighbours(study: Study, plans: Plans, results: Results, path: Path) -> list[Path]:
    """Draws the students of the first seed with mixed neighbours, a file for each task.

    Args:
        study: Names the rows.
        plans: Of its cells.
        results: Its finished runs.
        path: Of the tables, without a suffix.
    """
    from kdlab.pipeline.context import RunContext
    from kdlab.reports import neighbours
    from kdlab.reports.pictures import save_picture

    files = []
    for task in study.tasks:
        plan = plans[study.picture[0], task]
        context = RunContext(plan, Reporter(quiet=True))
        split = context.data(plan.config.training, plan.seeds[0]).split(TRAIN)
        labels = np.asarray(split.labels)
        first, second = neighbours.choose_pairs(labels, neighbours.PER_CLASS, plan.config.data.split_seed)
        states = {}
        for row in study.picture:
            run = open_run(results[row, task][0][1])
            student = load_encoder(run.student, run.labels, run.order, 0).eval()
            states[row] = neighbours.cls_states(student, split, first, second)
        names = [plan.task.spec.labels[int(labels[rows[0]])] for rows in (first, second)]
        stamp = " (EMBEDDED CORPUS)" if plan.task.source.embedded else ""
        files.append(path.with_name(f"{path.name}-{file_name(Path(task).stem)}.png"))
        save_picture(neighbours.picture(states, len(first), (names[0], names[1]), stamp), files[-1])
    return files
