"""``kdlab attack`` and ``kdlab evaluate --attack``: models attacked by recipes, recorded and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER
from kdlab.attacks.outcome import Outcome
from kdlab.attacks.victim import EncoderVictim
from kdlab.config.schema import DataConfig
from kdlab.data.sources import Hub, choose_source, find_task
from kdlab.data.task_data import TaskData, load_data
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import cached_on_disk, head_order, load_encoder
from kdlab.models.encoder import TextEncoder, usable_positions
from kdlab.pipeline.attack import AttackedModel, AttackRunner, Study
from kdlab.pipeline.finished import CONFIG, FinishedRun, find_teacher, open_run
from kdlab.planning.attack import LONGEST, AttackPlan, AttackSettings, check_task, name_of, plan_attack
from kdlab.planning.backbone import open_checkpoint
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

ATTACKS = "attacks"
STUDENT, TEACHER = "student", "teacher"


@dataclass(frozen=True)
class Asked:
    """What the command line says besides the attacks' own settings.

    Attributes:
        task: The task of a victim that is no run.
        data_dir: ``--data-dir`` for it.
        profile: ``--profile`` for it.
        labels: Order of a head's outputs that are called LABEL_0, LABEL_1, …
        out: Folder for what is found; None takes ``attacks`` in the run's folder, or below the working directory.
        fresh: Whether a folder that holds something else is set aside.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
    """

    task: str | None = None
    data_dir: str | None = None
    profile: str = "auto"
    labels: tuple[str, ...] | None = None
    out: str | None = None
    fresh: bool = False
    accelerator: str = "auto"


@dataclass(frozen=True)
class _Victim:
    """A model with the data that it is attacked on.

    Attributes:
        model: The model.
        task: The data.
        models_of: The checkpoint that masked LM and sentence encoder are made of by default.
        folder: For what is found.
    """

    model: AttackedModel
    task: TaskData
    models_of: str
    folder: Path


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
    victims = [_open(name, asked, hub, hardware) for name in names]
    if len(victims) > 1 and asked.out is not None:
        victims = [_Victim(v.model, v.task, v.models_of, v.folder / v.model.name) for v in victims]
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


def attack_runs(runs: Sequence[str], settings: AttackSettings, accelerator: str) -> None:
    """``kdlab evaluate RUN --attack``: student and teacher of finished runs.

    Args:
        runs: Their folders.
        settings: What is done.
        accelerator: ``auto``, ``cpu`` or ``gpu``.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    quiet_libraries()
    keep_freed_memory()
    reporter = Reporter(quiet=number() != 0)
    settings.check()
    cache, hardware = Cache(say=reporter.warn), resolve_hardware(accelerator, 1, "32")
    opened = [open_run(Path(name).expanduser().resolve()) for name in runs]
    for run in opened:
        with run.folder.locked(reporter.say):
            attack_run(run, settings, hardware, cache, reporter)


def attack_run(
    run: FinishedRun,
    settings: AttackSettings,
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
    aside: bool = False,
) -> None:
    """Attacks a finished run's student, and its teacher where it still is.

    Args:
        run: The run.
        settings: What is done.
        hardware: Where models run.
        cache: What is kept between commands.
        reporter: Shows progress.
        aside: Whether the output of other attacks in its folder is set aside; it is refused otherwise.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    hub = Hub()
    task = task_of(run, hub)
    plan = plan_attack(settings, task, models_of(run), hub, Resources(settings.resources, cache))
    folder = run.folder.path / ATTACKS
    victims = {STUDENT: _student(run, hardware)}
    teacher, why = find_teacher(run, cache)
    key = run.record.fingerprints.teacher
    if why:
        reporter.warn(f"{why}: the student alone is attacked.")
    if teacher is not None and key is not None:
        victims = {TEACHER: _teacher(run, teacher, key, hardware), **victims}
    for name, victim in victims.items():
        if not aside:
            check_folder(folder / name, about_attacks(plan), victim.key)
        elif rank() == 0:
            _set_aside(folder / name, plan, victim.key)
    reporter.say(_announced(plan, len(victims)))
    runner = AttackRunner(plan, hardware, cache, reporter)
    tables = []
    for name, victim in victims.items():
        tables += attack_one(runner, victim, folder / name)
    show_attacks(tables, reporter)


def attack_one(runner: AttackRunner, victim: AttackedModel, folder: Path) -> list[AttackTable]:
    """Attacks a victim by all recipes of a plan, and records what is found as soon as a recipe is done."""
    tables = []
    for recipe in runner.plan.recipes:
        table = _table(runner, victim, runner.study(recipe, victim), recipe.kind.needs)
        if rank() == 0:
            write_attacks(folder, [table])
        tables.append(table)
    return tables


def task_of(run: FinishedRun, hub: Hub) -> TaskData:
    """The data of a finished run, cut as it was.

    Raises:
        KdlabError: It is not where it was, or is other data.
    """
    spec, base = find_task(run.task_setting, hub)
    known = {name: value for name, value in run.data.items() if name in DataConfig.__dataclass_fields__}
    data = DataConfig(**known)
    source = choose_source(spec, base, run.profile, data.dir, hub)
    task = load_data(spec, source, hub, data.amount, data.selection, data.holdout, data.split_seed)
    split = task.reported_splits[0]
    recorded = run.record.fingerprints.splits.get(split)
    if recorded is not None and recorded != task.fingerprints[split]:
        raise KdlabError(
            f"{split} of {spec.name} in {source.where} is not what the run in {run.folder.path} was judged on: put the "
            "data back where it was, or attack its folder student/ with --task and --data-dir."
        )
    return task


def _plans(
    victims: Sequence[_Victim], settings: AttackSettings, hub: Hub, cache: Cache
) -> list[tuple[AttackPlan, list[_Victim]]]:
    """Victims that share data and models share a plan."""
    resources = Resources(settings.resources, cache)
    groups: dict[str, list[_Victim]] = {}
    for victim in victims:
        groups.setdefault(fingerprint(victim.task.fingerprint, victim.models_of), []).append(victim)
    return [(plan_attack(settings, g[0].task, g[0].models_of, hub, resources), g) for g in groups.values()]


def _open(name: str, asked: Asked, hub: Hub, hardware: Hardware) -> _Victim:
    path = Path(name).expanduser()
    if (path / CONFIG).is_file():
        run = open_run(path.resolve())
        if asked.task is not None and asked.task not in (run.record.task, run.task_setting):
            raise KdlabError(
                f"--task {asked.task}: the run in {path} is on {run.record.task}, so leave --task out, or attack "
                f"{path / 'student'}."
            )
        folder = Path(asked.out).expanduser() if asked.out else run.folder.path / ATTACKS / STUDENT
        return _Victim(_student(run, hardware), task_of(run, hub), models_of(run), folder)
    if asked.task is None:
        raise KdlabError(f"{name} is no run of kdlab's, so say which task it is for: --task sst2.")
    checkpoint = open_checkpoint(name, hub)
    if asked.labels is not None:
        checkpoint = checkpoint.with_labels(asked.labels)
    spec, base = find_task(asked.task, hub)
    check_task(spec)
    source = choose_source(spec, base, asked.profile, asked.data_dir, hub)
    task = load_data(spec, source, hub, None, "dev", 0.0, 0)
    order = head_order(checkpoint, spec.labels, spec.aliases)
    if order is None:
        what = f"its labels are {', '.join(checkpoint.head_labels)}" if checkpoint.has_head else "it has no head"
        raise KdlabError(
            f"{name} is no classifier of {spec.name} ({', '.join(spec.labels)}): {what}. Give a fine-tuned one, or "
            "--labels for a head that calls them LABEL_0, LABEL_1, …"
        )
    length = min(LONGEST, usable_positions(checkpoint.config))
    key = fingerprint("victim", checkpoint.weights_fingerprint, checkpoint.tokenizer_fingerprint, order, length)

    def load() -> EncoderVictim:
        encoder = load_encoder(checkpoint, spec.labels, order, 0)
        return EncoderVictim(encoder, spec.labels, checkpoint.tokenizer, length, hardware.device)

    title = name_of(checkpoint.source)
    folder = Path(asked.out).expanduser() if asked.out else Path(ATTACKS) / f"{title}-{spec.name}-{key[:8]}"
    return _Victim(AttackedModel(title, key, load), task, name, folder)


def _student(run: FinishedRun, hardware: Hardware) -> AttackedModel:
    checkpoint, length = run.student, run.record.max_length
    prints = checkpoint.weights_fingerprint, checkpoint.tokenizer_fingerprint
    return AttackedModel(
        _title(run),
        fingerprint("victim", *prints, run.order, length),
        lambda: _victim(load_encoder(checkpoint, run.labels, run.order, 0), run, hardware),
    )


def _teacher(run: FinishedRun, teacher: TextEncoder, key: str, hardware: Hardware) -> AttackedModel:
    length = run.record.max_length
    # the tokenizer as it was before training: how it cuts and pads is saved with a student, and differs between them
    name = fingerprint("teacher victim", key, run.record.fingerprints.tokenizer, length)
    return AttackedModel(TEACHER, name, lambda: _victim(teacher, run, hardware))


def _victim(encoder: TextEncoder, run: FinishedRun, hardware: Hardware) -> EncoderVictim:
    return EncoderVictim(encoder, run.labels, run.student.tokenizer, run.record.max_length, hardware.device)


def _title(run: FinishedRun) -> str:
    return f"{run.record.method}-s{run.record.seed}"


def models_of(run: FinishedRun) -> str:
    """The checkpoint that masked LM and sentence encoder are made of where none is named."""
    teacher = run.record.teacher
    if teacher is not None and cached_on_disk(teacher.source):
        return teacher.source
    return str(run.student.folder)


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
