"""Carrying out a plan: the teacher once, then each seed's student, its evaluation and its record."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from kdlab.data.module import GLUEDataModule, TextDataModule
from kdlab.data.ood.sets import source_digest
from kdlab.data.tasks import TRAIN
from kdlab.evaluation.metrics import evaluate, trivial
from kdlab.evaluation.predict import Prediction, predict
from kdlab.methods.base import DistillModule, TrainingConfig
from kdlab.models.checkpoint import load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.models.student import take_layers
from kdlab.pipeline.evaluate import evaluate_run, is_recorded
from kdlab.pipeline.finished import CONFIG, open_run
from kdlab.pipeline.metrics_json import run_record
from kdlab.pipeline.ood import Predictor, answer_sets
from kdlab.pipeline.resources import hand_in
from kdlab.pipeline.teacher import CachedTeacher, LazyTeacher, check_answers, obtain_teacher
from kdlab.planning.plan import Plan, student_head
from kdlab.planning.teacher import AS_IS, FOUND
from kdlab.results.card import model_card
from kdlab.results.ood import OOD_FILE, show_ood
from kdlab.results.record import RunFolder, environment
from kdlab.results.run_record import METRICS, RunRecord
from kdlab.results.tables import show_record
from kdlab.system.console import Reporter
from kdlab.system.distributed import barrier, broadcast, rank
from kdlab.system.files import write_atomic, write_folder
from kdlab.training.fit import Fitted, TrainingRequest, fit
from kdlab.training.loggers import finish_loggers, make_loggers
from kdlab.types import Need


class RunContext:
    """What the seeds of one plan share: the teacher, its predictions, and who is told.

    Args:
        plan: What was decided.
        reporter: Shows progress.
    """

    def __init__(self, plan: Plan, reporter: Reporter) -> None:
        self.plan = plan
        self.reporter = reporter

    def data(self, training: TrainingConfig, seed: int) -> GLUEDataModule:
        """The task's data, batched for one training."""
        plan = self.plan
        return GLUEDataModule(
            task=plan.task.spec,
            splits=plan.task.splits,
            tokenizer=plan.text.tokenizer,
            tokenizer_fingerprint=plan.text.tokenizer_fingerprint,
            max_length=plan.max_length,
            batch_size=training.batch_size // training.accumulate,
            eval_batch_size=training.eval_batch_size,
            select_on=plan.task.select_on,
            seed=seed,
            cache=plan.cache,
            workers=plan.config.data.workers,
        )

    @cached_property
    def teacher(self) -> TextEncoder | None:
        """The teacher, trained where the cache has none; None where nobody needs one."""
        plan = self.plan
        if plan.teacher is None:
            return None
        own = plan.config.teacher
        return obtain_teacher(plan.teacher, self.teacher_data, own, own.seed, plan.hardware, plan.cache, self.reporter)

    @cached_property
    def teacher_data(self) -> GLUEDataModule:
        """The task's data as the teacher is trained and asked on it."""
        own = self.plan.config.teacher
        return self.data(own, own.seed)

    @cached_property
    def answering_teacher(self) -> TextEncoder:
        """The teacher where the cache lacks an answer of it; one used as it is answers a few texts on trial first."""
        plan = self.plan
        if self.teacher is None or plan.teacher is None:
            raise ValueError(f"{plan.method.name} has no teacher")
        if plan.teacher.status == AS_IS:
            check_answers(self.teacher, self.teacher_data.split(TRAIN), plan.teacher.checkpoint.source)
        return self.teacher

    @cached_property
    def teacher_predictions(self) -> dict[str, Prediction]:
        """The teacher's logits on every dev and test split; warns where it learned nothing."""
        plan = self.plan
        if plan.teacher is None:
            return {}
        if plan.teacher.status not in (AS_IS, FOUND):
            _ = self.teacher  # as the plan says, though the cache may hold answers of one that was removed
        splits = (*plan.task.dev_splits, *plan.task.test_splits)
        predictions = {name: self.cached_teacher.prediction(self.teacher_data.split(name)) for name in splits}
        then = "a student can learn nothing from it; check the teacher's settings and label order"
        self.check_learned(predictions, "teacher", then)
        return predictions

    @property
    def predictor(self) -> Predictor:
        """How models are asked on sets out of domain."""
        plan = self.plan
        size = plan.config.training.eval_batch_size
        return Predictor(plan.text, plan.max_length, size, plan.hardware, plan.cache, plan.task.source.embedded)

    @property
    def lazy_teacher(self) -> LazyTeacher:
        """The teacher, loaded where it must answer."""
        plan = self.plan
        if plan.teacher is None:
            raise ValueError(f"{plan.method.name} has no teacher")
        return LazyTeacher(lambda: self.answering_teacher, plan.teacher.key, plan.task.spec.num_outputs)

    @cached_property
    def cached_teacher(self) -> CachedTeacher:
        """The teacher as the source of clean logits."""
        plan = self.plan
        size = plan.config.teacher.eval_batch_size
        return CachedTeacher(self.lazy_teacher, size, plan.hardware, plan.cache, plan.task.spec.name)

    def answers_from_cache(self) -> list[str]:
        """The splits on which the teacher's answers were asked for, and none had to be computed."""
        if self.plan.teacher is None:
            return []
        found = self.cached_teacher.asked - self.cached_teacher.made
        return [name for name, key in self.plan.tokens_keys.items() if key in found]

    def predict_all(self, encoder: TextEncoder, data: TextDataModule, fitted: Fitted) -> dict[str, Prediction]:
        """A student's float32 logits on every dev and test split; on one, the chosen epoch's own."""
        plan, known = self.plan, {}
        if fitted.answers is not None and plan.hardware.precision == "32-true":
            known[plan.task.select_on] = fitted.answers
        names = (*plan.task.dev_splits, *plan.task.test_splits)
        size, device = data.eval_batch_size, plan.hardware.device
        return {name: known.get(name) or predict(encoder, data.split(name), size, device) for name in names}

    def check_learned(self, predictions: dict[str, Prediction], who: str, then: str) -> None:
        """Warns where an encoder does no better than one answer to everything.

        Args:
            predictions: Its logits on each dev split.
            who: Teacher or student.
            then: What follows from it and what to do, which ends the sentence.
        """
        task = self.plan.task
        metric = task.spec.monitor if task.spec.regression else "accuracy"
        split = task.dev_splits[0]
        labels = torch.tensor(task.splits[split].labels)
        score = evaluate(predictions[split].logits, labels, [metric], task.spec.regression)[metric]
        constant = trivial(labels, metric, task.spec.regression)
        if score <= constant:
            self.reporter.warn(
                f"The {who}'s {metric} on {split} is {score:.4f}, no better than a constant answer's {constant:.4f}: "
                f"{then}."
            )


def run_seed(context: RunContext, seed: int) -> RunRecord:
    """Trains, evaluates and records one student, or returns its finished record.

    Raises:
        KdlabError: Anything that goes wrong on the way; what was finished before is kept.
    """
    plan, reporter = context.plan, context.reporter
    folder = RunFolder(plan.folder(seed))
    with folder.locked(reporter.say):
        record = broadcast(None if plan.config.fresh else folder.finished())
        if record is None:
            return _train_and_record(context, seed, folder)
        folder.drop_checkpoints()
        reporter.say(f"Seed {seed} is finished already (--fresh runs it again):")
        _show(record, folder, reporter)
        if damage := folder.damage(record):
            reporter.warn(f"The record is not whole ({damage}): --fresh makes it again, and keeps what is there.")
        _complete(context, folder)
        return record


def _train_and_record(context: RunContext, seed: int, folder: RunFolder) -> RunRecord:
    """Prepare, build, train, judge, record."""
    plan, reporter = context.plan, context.reporter
    teacher_predictions = context.teacher_predictions
    config = {**plan.settings.plain, "seed": seed, "seeds": 1, "fresh": False}
    _prepare(folder, plan, config)
    module, data = _build(context, seed)
    reporter.say(f"Training the student, seed {seed}.")
    loggers = make_loggers(plan.config.logger, folder.path, config, reporter)
    training, hardware = plan.config.training, plan.hardware
    fitted = fit(module, data, TrainingRequest(training, hardware, folder.path, seed, loggers, reporter, "student"))
    student = module.finished_student()
    predictions = context.predict_all(student, data, fitted)
    context.check_learned(predictions, "student", "it has learned nothing yet; train it longer, or at another rate")
    from_cache = context.answers_from_cache()
    record = run_record(plan, seed, fitted, predictions, teacher_predictions, from_cache)
    ood = _answer_ood(context, student, folder)
    finish_loggers(loggers, _closing_figures(record, ood), {fitted.metric: fitted.value}, fitted.steps, reporter)
    if rank() == 0:
        _write_record(folder, plan, record, student, predictions, teacher_predictions)
    _show(record, folder, reporter)
    if ood:
        show_ood(ood, reporter, plan.task.source.embedded)
    return record


def _prepare(folder: RunFolder, plan: Plan, config: dict[str, Any]) -> None:
    """A folder with the configuration; every process waits for it."""
    if rank() == 0:
        folder.prepare(plan.config.fresh)
        folder.write(CONFIG, config)
    barrier()


def _build(context: RunContext, seed: int) -> tuple[DistillModule, GLUEDataModule]:
    """The method with student, teacher and all it wants, and its data."""
    plan = context.plan
    data = context.data(plan.config.training, seed)
    needs = plan.method.needs_of(plan.settings.method)
    if Need.LOGITS in needs:
        data.hand_out_logits(context.cached_teacher)
    teacher = context.teacher if Need.TEACHER in needs else None
    module = plan.method(plan.settings.method, _build_student(context, seed), teacher, plan.task.spec)
    hand_in(module, plan.resources, data, plan.hardware, plan.cache, context.reporter)
    return module, data


def _build_student(context: RunContext, seed: int) -> TextEncoder:
    """The student with its starting weights."""
    plan, student = context.plan, context.plan.student
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


def _complete(context: RunContext, folder: RunFolder) -> None:
    """Evaluates the student of a finished run on those of the plan's sets that its record lacks."""
    plan = context.plan
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
