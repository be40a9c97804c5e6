"""``kdlab augment``: new examples of a task's training data, in a file that says what it is made of.

Work goes block by block, and each finished block is a file in a folder beside the result, so that an interrupted
command goes on. When all are there, the teacher is asked what it says of the new examples, block by block as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from kdlab.data.augmented import read_table, write_tables
from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.pipeline.context import RunContext
from kdlab.pipeline.equipment import Equipment, equip
from kdlab.pipeline.parts import Asked, make_parts, score_parts
from kdlab.planning.augment import AugmentPlan, describe, plan_augmentation
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter, duration
from kdlab.system.cost import Meter
from kdlab.system.files import writing
from kdlab.system.memory import keep_freed_memory
from kdlab.system.quiet import quiet_libraries
from kdlab.transformations.resources import Resources

_NAMED = 1000  # sources that are named in the manifest as short of examples


def augment_task(
    names: Sequence[str],
    copies: int | None,
    side: str | None,
    settings: Mapping[str, Any],
    asked: Asked,
    rows: int | None = None,
) -> dict[str, Any]:
    """``kdlab augment``: plans, makes the file, and shows what is in it.

    Args:
        names: Augmenters.
        copies: New examples of each; None takes what an augmenter's paper takes, or 1.
        side: What of a pair is changed.
        settings: Of a run, of augmenters, and ``masked_lm.*``.
        asked: How it is done.
        rows: How many training rows are augmented; None takes all.

    Returns:
        The manifest.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    quiet_libraries()
    keep_freed_memory()
    reporter = Reporter()
    cache = Cache(say=reporter.warn)
    plan = plan_augmentation(names, copies, side, settings, cache, rows)
    spec = plan.run.task.spec
    if asked.keep_above and spec.regression:
        raise KdlabError(f"--keep-label-above {asked.keep_above}: {spec.name} has scores, which have no probability.")
    reporter.say(f"{', '.join(plan.wishes)} on {_taken(plan)} of {spec.name}.")
    meter = Meter()
    manifest = augment(plan, asked, reporter)
    body = [
        [
            name,
            f"{about['made']:,} of {about['wanted']:,}",
            f"{about['kept']:,}",
            _percent(about["edited_share"]),
            _percent(about["label_preserved"]),
        ]
        for name, about in manifest["augmenters"].items()
    ]
    reporter.table(["augmenter", "made", "kept", "words edited", "label preserved"], body)
    if manifest["label_preserved_of_sources"] is not None:
        reporter.say(
            f"The teacher says the label of {_percent(manifest['label_preserved_of_sources'])} of the sources."
        )
    reporter.say(f"{asked.out} in {duration(meter.cost().seconds)}; a run takes it with augment={asked.out}")
    return manifest


def _taken(plan: AugmentPlan) -> str:
    """How many training rows are augmented, in words."""
    total, seed = len(plan.run.task.splits[TRAIN]), plan.run.config.seed
    if plan.positions is None:
        return f"{total:,} training rows"
    return f"{len(plan.positions):,} of {total:,} training rows (drawn by seed {seed})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def augment(plan: AugmentPlan, asked: Asked, reporter: Reporter) -> dict[str, Any]:
    """Makes the file.

    Args:
        plan: What is made.
        asked: How.
        reporter: Shows progress.

    Returns:
        The manifest.

    Raises:
        KdlabError: Anything a user can get wrong; blocks that were finished are kept.
    """
    context = RunContext(plan.run, reporter)
    resources = Resources(asked.resources, plan.run.cache)
    parts = asked.out.with_name(f".{asked.out.name}.parts")
    if asked.out.is_dir():
        raise KdlabError(f"--out {asked.out} is a folder: give the name of a file.")
    with writing(asked.out):
        parts.mkdir(parents=True, exist_ok=True)
    lock = FileLock(parts / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise KdlabError(f"Another process is writing {asked.out}: wait for it, or give another --out.") from error
    try:
        manifest = _make(plan, asked, resources, context, parts)
        shutil.rmtree(parts, ignore_errors=True)
    finally:
        lock.release()
        if not any(parts.glob("*.parquet")):
            shutil.rmtree(parts, ignore_errors=True)
    return manifest


def _make(plan: AugmentPlan, asked: Asked, resources: Resources, context: RunContext, parts: Path) -> dict[str, Any]:
    """Equipment, teacher, blocks, the teacher's answers, and the file of it all."""
    reporter = context.reporter
    equipment = equip(plan, resources, reporter)
    for sentence in substituted(plan, equipment):
        reporter.warn(f"SUBSTITUTED: {sentence}.")
    teacher = ""
    if asked.with_teacher and plan.run.teacher is not None and not plan.run.task.spec.regression:
        teacher = plan.run.teacher.key
        _ = context.teacher  # trained where there is none yet, so that everything else follows without a pause
    files = {name: make_parts(name, plan, equipment[name], asked, parts, reporter) for name in plan.wishes}
    if teacher:
        files = {name: score_parts(name, made, teacher, plan, context) for name, made in files.items()}
    manifest = _manifest(plan, equipment, files, teacher, asked, context)
    tables = (_kept(read_table(file)[0], asked.keep_above) for made in files.values() for file in made)
    write_tables(asked.out, tables, manifest)
    return manifest


def substituted(plan: AugmentPlan, equipment: Mapping[str, Equipment]) -> list[str]:
    """What stands in for something else, in sentences, each once."""
    every = [*plan.run.substituted, *(sentence for one in equipment.values() for sentence in one.substituted)]
    return list(dict.fromkeys(every))


def _manifest(
    plan: AugmentPlan,
    equipment: Mapping[str, Equipment],
    files: dict[str, list[Path]],
    teacher: str,
    asked: Asked,
    context: RunContext,
) -> dict[str, Any]:
    """What the file says of itself."""
    run = plan.run
    origins = [origin for one in equipment.values() for origin in one.origins]
    models = {kind: model for one in equipment.values() for kind, model in one.models.items()}
    if teacher and run.teacher is not None:
        models["teacher"] = (Path(run.teacher.checkpoint.source).name, teacher)
    of_sources = _right_of_sources(plan, context) if teacher else None
    about = {}
    for name, made in files.items():
        stats, kept = [], 0
        for file in made:
            table, one = read_table(file)
            stats.append(one)
            kept += _kept(table, asked.keep_above).num_rows
        rows = sum(one["rows"] for one in stats)
        short = {source: missing for one in stats for source, missing in one["short"].items()}
        preserved = sum(one["preserved"] for one in stats) if teacher else None
        about[name] = {
            "settings": describe(plan.wishes[name].settings),
            "copies": plan.wishes[name].copies,
            "wanted": sum(one["wanted"] for one in stats),
            "made": rows,
            "kept": kept,
            "short": {str(n): list(short.values()).count(n) for n in sorted(set(short.values()))},
            "short_sources": dict(list(short.items())[:_NAMED]),
            "edited_share": round(sum(one["edited"] for one in stats) / rows, 6) if rows else None,
            "label_preserved": round(preserved / rows, 6) if preserved is not None and rows else None,
        }
    return {
        "of": f"{run.task.spec.name}, {_taken(plan)} ({run.task.source.kind})",
        "data": run.task.fingerprints[TRAIN],
        "sources": len(plan.sources),
        "training_rows": len(run.task.splits[TRAIN]),
        "seed": run.config.seed,
        "side": plan.side,
        "augmenters": about,
        "resources": [{"kind": o.kind, "name": o.name, "sha256": o.sha256} for o in dict.fromkeys(origins)],
        "models": {kind: {"name": name, "fingerprint": key} for kind, (name, key) in models.items()},
        "label_preserved_of_sources": of_sources,
        "keep_label_above": asked.keep_above,
        "substituted": substituted(plan, equipment),
    }


def _right_of_sources(plan: AugmentPlan, context: RunContext) -> float:
    """How often the teacher says the label of the sources themselves."""
    split = context.teacher_data.split(TRAIN)
    right = np.asarray(context.cached_teacher(split)).argmax(1) == np.asarray(split.labels)
    return round(float((right if plan.positions is None else right[list(plan.positions)]).mean()), 6)


def _kept(table: Any, least: float) -> Any:
    """The rows whose label the teacher gives at least this probability."""
    if not least:
        return table
    import pyarrow.compute as pc

    return table.filter(pc.greater_equal(table["label_prob"], least))
