"""A run from its settings to its records."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdlab.planning.plan import Plan
    from kdlab.results.run_record import RunRecord


def run(
    overrides: Mapping[str, Any], dry_run: bool = False, print_config: bool = False, words: Sequence[str] | None = None
) -> list[RunRecord]:
    """One method on one task, for every seed asked for.

    Args:
        overrides: Dotted settings over the defaults (``{"method": "mixkd", "training.epochs": 5}``).
        dry_run: Shows the plan and stops.
        print_config: Prints the resolved configuration and stops.
        words: The command line that says the same, for starting further processes on several devices; made from the
            overrides unless given.

    Returns:
        The record of each seed; empty for a dry run.

    Raises:
        KdlabError: Anything a user can get wrong, before or during the run.
    """
    from pathlib import Path

    from kdlab.models.tokenizer import check_savable
    from kdlab.pipeline.context import RunContext
    from kdlab.pipeline.execute import run_seed
    from kdlab.planning.describe import show_plan
    from kdlab.planning.plan import make_plan
    from kdlab.results.record import check_writable
    from kdlab.results.tables import show_seeds
    from kdlab.system import distributed
    from kdlab.system.cache import Cache
    from kdlab.system.console import Reporter
    from kdlab.system.memory import keep_freed_memory
    from kdlab.system.quiet import quiet_libraries
    from kdlab.training.loggers import check_loggers

    quiet_libraries()
    keep_freed_memory()
    reporter = Reporter(quiet=distributed.number() != 0)
    plan = make_plan(overrides, Cache(say=reporter.warn))
    if plan.hardware.devices > 1 and not distributed.launched() and not (dry_run or print_config):
        return _on_several(plan, words or ["run", *command_words(overrides)])
    distributed.join(gpu=plan.hardware.accelerator == "gpu")
    if print_config:
        _print_config(plan)
        return []
    show_plan(plan, reporter)
    if dry_run:
        return []
    check_writable(Path(plan.config.out).expanduser())
    check_loggers(plan.config.logger)
    check_savable(plan.text.tokenizer, plan.text.source)
    context = RunContext(plan, reporter)
    records = [run_seed(context, seed) for seed in plan.seeds]
    if len(records) > 1:
        show_seeds(records, reporter)
    distributed.leave()
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
