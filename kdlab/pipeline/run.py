"""A run from its settings to its records."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdlab.planning.plan import Plan
    from kdlab.results.run_record import RunRecord
    from kdlab.system.console import Reporter


def run(
    overrides: Mapping[str, Any],
    dry_run: bool = False,
    print_config: bool = False,
    words: Sequence[str] | None = None,
    jobs: int = 1,
) -> list[RunRecord]:
    """One method on one task, for every seed asked for.

    Args:
        overrides: Dotted settings over the defaults (``{"method": "mixkd", "training.epochs": 5}``).
        dry_run: Shows the plan and stops.
        print_config: Prints the resolved configuration and stops.
        words: The command line that says the same, for starting further processes; made from the overrides unless
            given.
        jobs: How many processes work on the seeds side by side.

    Returns:
        The record of each seed; empty for a dry run, and in a process that works for another one.

    Raises:
        KdlabError: Anything a user can get wrong, before or during the run.
    """
    from kdlab.pipeline import jobs as side_by_side
    from kdlab.planning.describe import show_plan
    from kdlab.planning.plan import make_plan
    from kdlab.system import distributed
    from kdlab.system.cache import Cache

    words = words or ["run", *command_words(overrides)]
    reporter = open_reporter()
    plan = make_plan(overrides, Cache(say=reporter.warn))
    if side_by_side.number():
        side_by_side.work([plan], reporter)
        return []
    side_by_side.check_jobs(jobs, [plan], reporter)
    if plan.hardware.devices > 1 and not distributed.launched() and not (dry_run or print_config):
        return _on_several(plan, words)
    distributed.join(gpu=plan.hardware.accelerator == "gpu")
    if print_config:
        _print_config(plan)
        return []
    show_plan(plan, reporter)
    if dry_run:
        return []
    check_outputs(plan)
    shared = side_by_side.share_out([plan], jobs, words, reporter)
    records = run_plan(plan, reporter, shared)
    distributed.leave()
    return records


def open_reporter() -> Reporter:
    """The process is made ready for work: libraries say nothing, freed memory is kept; returns who tells the user."""
    from kdlab.pipeline.jobs import number
    from kdlab.system import distributed
    from kdlab.system.console import Reporter
    from kdlab.system.memory import keep_freed_memory
    from kdlab.system.quiet import quiet_libraries

    quiet_libraries()
    keep_freed_memory()
    return Reporter(quiet=distributed.number() != 0, who=number())


def check_outputs(plan: Plan) -> None:
    """Raises ``KdlabError`` where what a run makes could not be written, or a logger can't be had."""
    from pathlib import Path

    from kdlab.models.tokenizer import check_savable
    from kdlab.results.record import check_writable
    from kdlab.training.loggers import check_loggers

    check_writable(Path(plan.config.out).expanduser())
    check_loggers(plan.config.logger)
    check_savable(plan.text.tokenizer, plan.text.source)


def run_plan(plan: Plan, reporter: Reporter, shared: bool = False) -> list[RunRecord]:
    """The runs of all seeds of a plan, one after the other.

    Args:
        plan: What was decided.
        reporter: Shows progress.
        shared: Whether processes of this command have worked on them, and set older records aside where asked to.
    """
    from kdlab.pipeline.context import RunContext
    from kdlab.pipeline.execute import run_seed
    from kdlab.results.tables import show_seeds

    context = RunContext(plan, reporter)
    records = [run_seed(context, seed, plan.config.fresh and not shared, shared) for seed in plan.seeds]
    if len(records) > 1:
        show_seeds(records, reporter)
    return records


def command_words(overrides: Mapping[str, Any]) -> list[str]:
    """Settings as ``key=value`` words of the command line, which reads values as YAML: JSON is YAML too."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in overrides.items()]


def _on_several(plan: Plan, words: Sequence[str]) -> list[RunRecord]:
    """The same command in one process a device; this one only waits and reads the records."""
    from kdlab.errors import KdlabError
    from kdlab.results.record import RunFolder
    from kdlab.system import distributed

    code = distributed.relaunch(words, plan.hardware.devices)
    if code == 130:
        raise KeyboardInterrupt
    records = [RunFolder(plan.folder(seed)).finished() for seed in plan.seeds]
    if code or None in records:
        raise KdlabError(f"The run on {plan.hardware.devices} devices ended with code {code}: its reason stands above.")
    return [record for record in records if record is not None]


def _print_config(plan: Plan) -> None:
    import yaml

    sys.stdout.write(yaml.safe_dump(plan.settings.plain, sort_keys=False, allow_unicode=True))
