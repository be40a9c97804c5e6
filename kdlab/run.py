"""``python -m kdlab.run``: parse, plan, run, record, print.

Importing this module imports neither torch nor lightning, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdlab.plan import Plan


def run(overrides: Mapping[str, Any], dry_run: bool = False, print_config: bool = False) -> list[dict[str, Any]]:
    """One method on one task, for every seed asked for.

    Args:
        overrides: Dotted settings over the defaults (``{"method": "mixkd", "training.epochs": 5}``).
        dry_run: Shows the plan and stops.
        print_config: Prints the resolved configuration and stops.

    Returns:
        The figures (``metrics.json``) of each seed; empty for a dry run.

    Raises:
        KdlabError: Anything a user can get wrong, before or during the run.
    """
    from pathlib import Path

    from kdlab.console import Reporter
    from kdlab.describe import show_plan
    from kdlab.execute import Stage, run_seed
    from kdlab.plan import make_plan
    from kdlab.results.record import check_writable
    from kdlab.results.tables import show_seeds
    from kdlab.training import quiet_libraries

    quiet_libraries()
    reporter = Reporter()
    plan = make_plan(overrides)
    plan.cache.say = reporter.warn
    if print_config:
        _print_config(plan)
        return []
    show_plan(plan, reporter)
    if dry_run:
        return []
    check_writable(Path(plan.config.out).expanduser())
    stage = Stage(plan, reporter)
    records = [run_seed(stage, seed) for seed in plan.seeds]
    if len(records) > 1:
        show_seeds(records, reporter)
    return records


def _print_config(plan: Plan) -> None:
    import yaml

    sys.stdout.write(yaml.safe_dump(plan.settings.plain, sort_keys=False, allow_unicode=True))


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m kdlab.run …``, the same as ``kdlab run …``."""
    from kdlab.cli import main as cli

    return cli(["run", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
