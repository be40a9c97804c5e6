"""Carrying out a plan: the teacher once, then each seed's student, its evaluation and its record."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from kdlab.data.module import TextDataModule
from kdlab.data.ood.sets import source_digest
from kdlab.data.selection import DIVERGENCE
from kdlab.evaluation.predict import Prediction
from kdlab.methods.base import DistillModule
from kdlab.models.checkpoint import load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.models.recurrent import new_bilstm
from kdlab.models.student import take_layers
from kdlab.pipeline.attack_models import attack_run
from kdlab.pipeline.context import RunContext
from kdlab.pipeline.evaluate import evaluate_run, is_recorded
from kdlab.pipeline.finished import CONFIG, open_run
from kdlab.pipeline.metrics_json import run_record
from kdlab.pipeline.ood import answer_sets
from kdlab.pipeline.resources import hand_in
from kdlab.planning.plan import Plan, student_head
from kdlab.results.attacks import show_attacks
from kdlab.results.card import model_card
from kdlab.results.ood import OOD_FILE, show_ood
from kdlab.results.record import RunFolder, environment
from kdlab.results.run_record import METRICS, RunRecord
from kdlab.results.tables import show_record
from kdlab.system.console import Reporter
from kdlab.system.cost import Meter, begin_peak
from kdlab.system.distributed import barrier, broadcast, rank
from kdlab.system.files import write_atomic, write_folder
from kdlab.training.fit import TrainingRequest, fit
from kdlab.training.loggers import finish_loggers, make_loggers
from kdlab.types import Need


def run_seed(context: RunContext, seed: int, fresh: bool = False, others: bool = False) -> RunRecord:
    """Trains, evaluates and records one student, or returns its finished record.

    Args:
        context: What the plan's seeds share.
        seed: The student's.
        fresh: Whether a finished one is set aside and made again.
        others: Whether processes of this command may have just made it.

    Raises:
        KdlabError: Anything that goes wrong on the way; what was finished before is kept.
    """
    plan, reporter = context.plan, context.reporter
    folder = RunFolder(plan.folder(seed))
    with folder.locked(reporter.say):
        record = broadcast(None if fresh else folder.finished())
        if record is None:
            return _train_and_record(context, seed, folder, fresh)
        folder.drop_checkpoints()
        reporter.say(f"Seed {seed}:" if others else f"Seed {seed} is finished already (--fresh runs it again):")
        _show(record, folder, reporter)
        if damage := folder.damage(record):
            reporter.warn(f"The record is not whole ({damage}): --fresh makes it again, and keeps what is there.")
        _complete(context, folder)
        return record


def run_where_free(context: RunContext, seed: int) -> bool:
    """Trains, evaluates and records one student, unless it is finished or another process is at it.

    Returns:
        Whether it did.
    """
    folder = RunFolder(context.plan.folder(seed))
    with folder.claimed() as mine:
        if not mine or folder.finished() is not None:
            return False
        _train_and_record(context, seed, folder)
    return True


def _train_and_record(context: RunContext, seed: int, folder: RunFolder, fresh: bool = False) -> RunRecord:
    """Prepare, build, train, judge, record."""
    plan, reporter = context.plan, context.reporter
    gc.collect()  # Lightning's modules and trainers refer to each other, and would outlive their run with all they hold
    begin_peak()
    context.make_shared()
    teacher_predictions = context.teacher_predictions
    config = {**plan.settings.plain, "seed": seed, "seeds": 1, "fresh": False}
    _prepare(folder, config, fresh)
    module, data = _build(context, seed)
    reporter.say(f"Training the student, seed {seed}.")
    loggers = make_loggers(plan.config.logger, folder.path, config, reporter)
    training, hardware = plan.config.training, plan.hardware
    fitted = fit(module, data, TrainingRequest(training, hardware, folder.path, seed, loggers, reporter, "student"))
    student = module.finished_student()
    meter = Meter()
    predictions = context.predict_all(student, data, fitted)
    on_train = context.score_on_train(student, data)
    findings = module.findings(data)
    cost = {**context.cost_of_teacher(), "training": fitted.cost, "evaluation": meter.cost()}
    context.check_learned(predictions, "student", "it has learned nothing yet; train it longer, or at another rate")
    from_cache = context.answers_from_cache()
    record = run_record(plan, seed, fitted, predictions, teacher_predictions, from_cache, on_train, cost)
    ood = _answer_ood(context, student, folder)
    finish_loggers(loggers, _closing_figures(record, ood), {fitted.metric: fitted.value}, fitted.steps, reporter)
    if rank() == 0:
        for name, text in findings.items():
            write_atomic(folder.path / name, text)
        _write_record(folder, plan, record, student, predictions, teacher_predictions)
    _show(record, folder, reporter)
    if ood:
        show_ood(ood, reporter, plan.task.source.embedded)
    _attack(context, folder)
    return record


def _prepare(folder: RunFolder, config: dict[str, Any], fresh: bool) -> None:
    """A folder with the configuration; every process waits for it."""
    if rank() == 0:
        folder.prepare(fresh)
        folder.write(CONFIG, config)
    barrier()


def _build(context: RunContext, seed: int) -> tuple[DistillModule, TextDataModule]:
    """The method with student, teacher and all it wants, and its data."""
    plan = context.plan
    data = context.data(plan.config.training, seed)
    needs = plan.method.needs_of(plan.settings.method)
    if Need.LOGITS in needs:
        data.hand_out_logits(context.cached_teacher)
    if plan.select_by.rule == DIVERGENCE:
        data.validate_against(context.cached_teacher)
    teacher = context.teacher if Need.TEACHER in needs else None
    module = plan.method(plan.settings.method, _build_student(context, seed), teacher, plan.task.spec)
    hand_in(module, plan.resources, data, plan.hardware, plan.cache, context.reporter)
    return module, data


def _build_student(context: RunContext, seed: int) -> TextEncoder:
    """The student with its starting weights."""
    plan, student = context.plan, context.plan.student
    if student.spec.bilstm:
        return new_bilstm(student.config, seed)
    if student.finetuned is not None and student.layers is not None:
        return take_layers(context.donor.to("cpu"), student.layers)
    if student.donor is None:
        if context.teacher is None or student.layers is None:
            raise ValueError("a student of the teacher's layers needs the teacher")
        return take_layers(context.teacher.to("cpu"), student.layers)
    labels = plan.task.spec.labels
    if student.layers is None:
        return load_encoder(student.donor, labels, student_head(plan), seed)
    return take_layers(load_encoder(student.donor, labels, None, seed), student.layers)


def _answer_ood(context: RunContext, student: TextEncoder, folder: RunFolder) -> dict[str, dict[str, Any]]:
    """The student and its teacher on the plan's sets out of domain, recorded."""
    plan = context.plan
    if rank() == 0:
        (folder.path / OOD_FILE).unlink(missing_ok=True)  # of this run before it was interrupted
    if not plan.ood:
        return {}
    teacher = None if plan.teacher is None else context.lazy_teacher
    return answer_sets(plan.ood, student, teacher, context.predictor, folder, context.reporter)


def _closing_figures(record: RunRecord, ood: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What the loggers get at the end, such as ``dev/accuracy``, ``teacher/dev/accuracy`` and ``ood/hans/accuracy``."""
    figures = {f"{split}/{name}": v for split, vs in record.student.metrics.items() for name, v in vs.items()}
    if record.teacher is not None:
        theirs = record.teacher.metrics.items()
        figures |= {f"teacher/{split}/{name}": v for split, vs in theirs for name, v in vs.items()}
    for name, entry in ood.items():
        figures |= {f"ood/{name}/{m}": v["value"] for m, v in entry["student"].items() if m != "groups"}
    for split, far in (record.divergence or {}).items():
        figures |= {f"divergence/{split}/{name}": v for name, v in far.items()}
    return figures


def _attack(context: RunContext, folder: RunFolder) -> None:
    """Attacks teacher and student of a finished run, where the plan says so; what is in the cache is shown."""
    plan = context.plan
    if plan.attacks is not None:
        barrier()  # rank 0 has written the student
        run, reporter = open_run(folder.path), context.reporter
        show_attacks(attack_run(run, plan.attacks, plan.hardware, plan.cache, reporter, aside=True), reporter)


def _complete(context: RunContext, folder: RunFolder) -> None:
    """Evaluates the student of a finished run on those of the plan's sets that its record lacks."""
    plan = context.plan
    _attack(context, folder)
    if not plan.ood:
        return
    run, own_files = open_run(folder.path), plan.config.evaluation.ood_dir is not None
    recorded = {}
    for ood_set in plan.ood:
        digest = source_digest(ood_set.source) if own_files else None
        recorded[ood_set.spec.name] = is_recorded(run, ood_set.spec.name, digest)
    recorded = broadcast(recorded)
    missing = [ood_set for ood_set in plan.ood if not recorded[ood_set.spec.name]]
    evaluate_run(run, missing, list(recorded), plan.hardware, plan.cache, context.reporter)


def _show(record: RunRecord, folder: RunFolder, reporter: Reporter) -> None:
    show_record(record, reporter)
    reporter.say(f"Record: {folder.path}")


def _write_record(
    folder: RunFolder,
    plan: Plan,
    record: RunRecord,
    encoder: TextEncoder,
    student: dict[str, Prediction],
    teacher: dict[str, Prediction],
) -> None:
    """Writes everything but the history, which the CSV logger wrote; ``metrics.json`` comes last."""
    spec, content = plan.task.spec, record.to_json()
    folder.write("environment.json", environment(plan.hardware.describe()))
    folder.write("fingerprints.json", content["fingerprints"])
    for split, prediction in student.items():
        theirs = teacher[split].logits if split in teacher else None
        folder.write_predictions(split, spec, plan.task.splits[split], prediction.logits, theirs)
        if split in spec.submission:
            folder.write_submission(spec.submission[split], spec, plan.task.splits[split], prediction.logits)

    def save(student_folder: Path) -> None:
        encoder.to("cpu").model.save_pretrained(student_folder)
        plan.text.tokenizer.save_pretrained(student_folder)
        write_atomic(student_folder / "README.md", model_card(record, spec.labels))

    write_folder(folder.path / "student", save)
    folder.write(METRICS, content)
    folder.drop_checkpoints()
