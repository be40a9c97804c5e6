"""``kdlab attack`` and ``kdlab evaluate --attack``: models attacked by recipes, recorded and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER
from kdlab.attacks.outcome import Outcome
from kdlab.data.sources import Hub
from kdlab.errors import KdlabError
from kdlab.pipeline.attack import AttackedModel, AttackRunner, Study
from kdlab.pipeline.finished import FinishedRun, find_teacher, open_run
from kdlab.pipeline.victims import (
    ATTACKS,
    STUDENT,
    TEACHER,
    Asked,
    OpenVictim,
    models_of,
    open_victim,
    student_of,
    task_of,
    teacher_of,
    title_of,
    told_apart,
)
from kdlab.planning.attack import AttackPlan, name_of, plan_attack
from kdlab.planning.attack_settings import AttackSettings
from kdlab.results.attacks import FIGURES, AttackTable, check_folder, show_attacks, write_attacks
from kdlab.results.record import free_name
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import number, rank
from kdlab.system.files import fingerprint
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.system.memory import keep_freed_memory
from kdlab.system.quiet import quiet_libraries
from kdlab.transformations.resources import Resources


def attack_models(names: Sequence[str], settings: AttackSettings, asked: Asked) -> list[AttackTable]:
    """``kdlab attack``.

    Args:
        names: Folders of runs or of checkpoints, or names on the hub.
        settings: What is done.
        asked: What else the command line says.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    quiet_libraries()
    keep_freed_memory()
    reporter = Reporter(quiet=number() != 0)
    settings.check()
    hub, cache = Hub(), Cache(say=reporter.warn)
    hardware = resolve_hardware(asked.accelerator, 1, "32")
    names = list(dict.fromkeys(names))
    victims = [open_victim(name, asked, hub, hardware) for name in names]
    apart = told_apart([victim.model.name for victim in victims], names)
    victims = [replace(v, model=replace(v.model, name=name)) for v, name in zip(victims, apart, strict=True)]
    if len(victims) > 1 and asked.out is not None:
        victims = [replace(v, folder=v.folder / v.model.name) for v in victims]
    tables = []
    for plan, same in _plans(victims, settings, hub, cache):
        for victim in same:
            if asked.fresh:
                _set_aside(victim.folder, plan, victim.model.key)
            check_folder(victim.folder, about_attacks(plan), victim.model.key)
        reporter.say(_announced(plan, len(same)))
        runner = AttackRunner(plan, hardware, cache, reporter)
        for victim in same:
            found = attack_one(runner, victim.model, victim.folder)
            tables += found
            reporter.say(f"Outcomes: {victim.folder}")
    show_attacks(tables, reporter)
    return tables


def attack_runs(runs: Sequence[str], settings: AttackSettings, accelerator: str, fresh: bool) -> None:
    """``kdlab evaluate RUN --attack``: students and teachers of finished runs, in one table, a shared teacher once.

    Args:
        runs: Their folders.
        settings: What is done.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        fresh: Whether the output of other attacks in their folders is set aside; it is refused otherwise.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    quiet_libraries()
    keep_freed_memory()
    reporter = Reporter(quiet=number() != 0)
    settings.check()
    cache, hardware = Cache(say=reporter.warn), resolve_hardware(accelerator, 1, "32")
    opened = [open_run(path) for path in dict.fromkeys(Path(name).expanduser().resolve() for name in runs)]
    apart = told_apart([title_of(run) for run in opened], [run.folder.path for run in opened])
    tables: dict[str, AttackTable] = {}
    for run, name in zip(opened, apart, strict=True):
        with run.folder.locked(reporter.say):
            for table in attack_run(run, settings, hardware, cache, reporter, aside=fresh, name=name):
                tables.setdefault(table.key, table)
    show_attacks(list(tables.values()), reporter)


def attack_run(
    run: FinishedRun,
    settings: AttackSettings,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
    aside: bool = False,
    name: str | None = None,
) -> list[AttackTable]:
    """Attacks a finished run's student, and its teacher where it still is.

    Args:
        run: The run.
        settings: What is done.
        hardware: Where models run.
        cache: What is kept between commands.
        reporter: Shows progress.
        aside: Whether the output of other attacks in its folder is set aside; it is refused otherwise.
        name: The student's in tables; None takes method and seed.

    Returns:
        A table for each recipe on teacher and student; they are recorded.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    hub = Hub()
    task = task_of(run, hub)
    plan = plan_attack(settings, task, models_of(run), hub, Resources(settings.resources, cache))
    folder = run.folder.path / ATTACKS
    victims = {STUDENT: student_of(run, hardware, name)}
    teacher, why = find_teacher(run, cache)
    key = run.record.fingerprints.teacher
    if why:
        reporter.warn(f"{why}: the student alone is attacked.")
    if teacher is not None and key is not None:
        victims = {TEACHER: teacher_of(run, teacher, key, hardware), **victims}
    for who, victim in victims.items():
        if not aside:
            check_folder(folder / who, about_attacks(plan), victim.key)
        elif rank() == 0:
            _set_aside(folder / who, plan, victim.key)
    reporter.say(_announced(plan, len(victims)))
    runner = AttackRunner(plan, hardware, cache, reporter)
    return [table for who, victim in victims.items() for table in attack_one(runner, victim, folder / who)]


def attack_one(runner: AttackRunner, victim: AttackedModel, folder: Path) -> list[AttackTable]:
    """Attacks a victim by all recipes of a plan, and records what is found as soon as a recipe is done."""
    tables = []
    for recipe in runner.plan.recipes:
        table = _table(runner, victim, runner.study(recipe, victim), recipe.kind.needs)
        if rank() == 0:
            write_attacks(folder, [table])
        tables.append(table)
    return tables


def _plans(
    victims: Sequence[OpenVictim], settings: AttackSettings, hub: Hub, cache: Cache
) -> list[tuple[AttackPlan, list[OpenVictim]]]:
    """Victims that share data and models share a plan."""
    resources = Resources(settings.resources, cache)
    groups: dict[str, list[OpenVictim]] = {}
    for victim in victims:
        groups.setdefault(fingerprint(victim.task.fingerprint, victim.models_of), []).append(victim)
    return [(plan_attack(settings, g[0].task, g[0].models_of, hub, resources), g) for g in groups.values()]


def about_attacks(plan: AttackPlan) -> dict[str, Any]:
    """What all figures of a folder have in common."""
    asked = plan.settings
    return {
        "task": plan.spec.name,
        "split": plan.split,
        "seed": asked.seed,
        "examples": len(plan.targets),
        "data": plan.data_key,
        "mode": asked.mode,
        "side": asked.side,
        "similarity": asked.similarity,
    }


def _table(runner: AttackRunner, victim: AttackedModel, study: Study, needs: Any) -> AttackTable:
    plan = runner.plan
    models: dict[str, tuple[str, str]] = {}
    if MASKED_LM in needs and plan.masked_lm is not None:
        models[MASKED_LM] = (name_of(plan.masked_lm.checkpoint.source), plan.masked_lm_key)
    if SENTENCE_ENCODER in needs and plan.sentences is not None:
        models[SENTENCE_ENCODER] = (name_of(plan.sentences.source), plan.sentences_key)
    return AttackTable(
        victim=victim.name,
        recipe=study.recipe,
        key=study.key,
        about={**about_attacks(plan), "victim_fingerprint": victim.key},
        outcomes=study.outcomes,
        origins=study.origins,
        models=models,
        substituted=tuple(runner.substituted_of(study.recipe)),
        antonyms=_antonyms(study.outcomes, plan.resources),
    )


def _antonyms(outcomes: Sequence[Outcome], resources: Resources) -> float | None:
    """Share of the swaps of words by words whose new word is an antonym of the old one."""
    swaps = [(old.lower(), new.lower()) for one in outcomes for _, old, new in one.changed]
    known = resources.antonyms({word for swap in swaps for word in swap})
    if known is None or not swaps:
        return None
    return sum(known.are(old, new) for old, new in swaps) / len(swaps)


def _announced(plan: AttackPlan, victims: int) -> str:
    names = ", ".join(recipe.name for recipe in plan.recipes)
    who = "one model" if victims == 1 else f"{victims} models"
    return f"{names} on {len(plan.targets):,} examples of {plan.spec.name}, {plan.split}, {who}, {plan.settings.mode}."


def _set_aside(folder: Path, plan: AttackPlan, victim: str) -> None:
    """Renames a folder of attacks that holds the output of something else."""
    if not (folder / FIGURES).is_file():
        return
    try:
        check_folder(folder, about_attacks(plan), victim)
    except KdlabError:
        folder.rename(free_name(folder))
