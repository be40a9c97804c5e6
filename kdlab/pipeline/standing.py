"""Whether the attacks that settings ask of finished runs are recorded in their folders, or are to be made."""

from __future__ import annotations

import json
from typing import Any

from kdlab.data.sources import Hub
from kdlab.pipeline.attack import AttackRunner
from kdlab.pipeline.finished import FinishedRun, open_run
from kdlab.pipeline.victims import ATTACKS, STUDENT, models_of, task_of
from kdlab.planning.attack import plan_attack
from kdlab.planning.attack_settings import AttackSettings
from kdlab.planning.plan import Plan
from kdlab.results.attacks import read_attacks
from kdlab.system.console import Reporter
from kdlab.transformations.resources import Resources


class Standing:
    """Tells which runs lack attacks; what runs share, as the lexical resources, is read once.

    Args:
        reporter: For what is done on the way.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._runners: dict[str, AttackRunner] = {}

    def lacks(self, plan: Plan, seed: int) -> bool:
        """Whether a finished run has not been attacked as its plan says, by one recipe at least.

        Args:
            plan: Of the run.
            seed: The run's.

        Raises:
            KdlabError: The run, its data or a resource can't be read.
        """
        if plan.attacks is None:
            return False
        folder = plan.folder(seed) / ATTACKS / STUDENT
        recorded = read_attacks(folder)
        if not recorded:
            return True
        runner = self._runner(open_run(plan.folder(seed)), plan, plan.attacks)
        for recipe in runner.plan.recipes:
            entry: dict[str, Any] = recorded.get(recipe.name, {})
            known = entry.get("key") == runner.key(recipe, str(entry.get("victim_fingerprint")))
            if not known or not (folder / f"{recipe.name}.jsonl").is_file():
                return True
        return False

    def _runner(self, run: FinishedRun, plan: Plan, settings: AttackSettings) -> AttackRunner:
        """The attacks as the run would be attacked now; one for all runs of the same data and models."""
        alike = json.dumps([run.task_setting, run.profile, run.data, models_of(run), repr(settings)], default=str)
        if alike not in self._runners:
            hub, resources = Hub(), Resources(settings.resources, plan.cache)
            asked = plan_attack(settings, task_of(run, hub), models_of(run), hub, resources)
            self._runners[alike] = AttackRunner(asked, plan.hardware, plan.cache, self._reporter)
        return self._runners[alike]
