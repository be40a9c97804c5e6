"""Carrying out a plan: the teacher once, then each seed's student, its evaluation and its record."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from kdlab.data.module import GLUEDataModule
from kdlab.data.ood.sets import source_digest
from kdlab.evaluation.metrics import evaluate, trivial
from kdlab.evaluation.predict import Prediction, predict
from kdlab.methods.base import MethodConfig, TrainingConfig
from kdlab.models.checkpoint import load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.models.student import take_layers
from kdlab.pipeline.evaluate import Predictor, evaluate_run, is_recorded
from kdlab.pipeline.finished import open_run
from kdlab.pipeline.generator import obtain_generator
from kdlab.pipeline.metrics_json import figures
from kdlab.pipeline.teacher import clean_logits, obtain_teacher
from kdlab.planning.plan import Plan, student_head
from kdlab.results.card import model_card
from kdlab.results.ood import OOD_FILE, ood_figures, record_ood, show_ood
from kdlab.results.record import METRICS, RunFolder, environment
from kdlab.results.tables import show_record
from kdlab.system.console import Reporter
from kdlab.system.distributed import barrier, broadcast, rank
from kdlab.system.files import write_atomic, write_folder
from kdlab.training.fit import fit
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
        """The teacher, fine-tuned where the cache has none; None where nobody needs one."""
        plan = self.plan
        if plan.teacher is None:
            return None
        own = plan.config.teacher
        return obtain_teacher(
            plan.teacher, self.data(own, own.seed), own, own.seed, plan.hardware, plan.cache, self.reporter
        )

    @cached_property
    def teacher_predictions(self) -> dict[str, Prediction]:
        """The teacher's logits on every dev and test split; warns where it learned nothing."""
        if self.teacher is None:
            return {}
        own = self.plan.config.teacher
        found = _predict_all(self.teacher, self.data(own, own.seed), self.plan)
        self.check_learned(
            found, "teacher", "a student can learn nothing from it; check the teacher's settings and label order"
        )
        return found

    @cached_property
    def teacher_ood(self) -> dict[str, Prediction]:
        """The teacher's logits on every set out of domain."""
        teacher, plan = self.teacher, self.plan.teacher
        if teacher is None or plan is None:
            return {}
        predictor = self.predictor
        return {ood_set.spec.name: predictor.predict_teacher(teacher, plan.key, ood_set) for ood_set in self.plan.ood}

    @property
    def predictor(self) -> Predictor:
        """How models are asked."""
        plan = self.plan
        size = plan.config.training.eval_batch_size
        return Predictor(plan.text, plan.max_length, size, plan.hardware, plan.cache)

    def check_learned(self, found: dict[str, Prediction], who: str, then: str) -> None:
        """Warns where an encoder does no better than one answer to everything.

        Args:
            found: Its logits on each dev split.
            who: Teacher or student.
            then: What follows from it and what to do, which ends the sentence.
        """
        task = self.plan.task
        metric = task.spec.monitor if task.spec.regression else "accuracy"
        split = task.dev_splits[0]
        labels = torch.tensor(task.splits[split].labels)
        score = evaluate(found[split].logits, labels, [metric], task.spec.regression)[metric]
        constant = trivial(labels, metric, task.spec.regression)
        if score <= constant:
            self.reporter.warn(
                f"The {who}'s {metric} on {split} is {score:.4f}, no better than a constant answer's {constant:.4f}: "
                f"{then}."
            )


def run_seed(context: RunContext, seed: int) -> dict[str, Any]:
    """Trains, evaluates and records one student, or returns its finished record."""
    plan, reporter = context.plan, context.reporter
    folder = RunFolder(plan.folder(seed))
    with folder.locked(reporter.say):
        done = broadcast(folder.finished())
        if done is None or plan.config.fresh:
            return _train_and_record(context, seed, folder)
        folder.drop_checkpoints()
        reporter.say(f"Seed {seed} is finished already (--fresh runs it again):")
        _close(done, folder, reporter)
        _complete(context, folder)
        return done


def _train_and_record(context: RunContext, seed: int, folder: RunFolder) -> dict[str, Any]:

    plan, reporter = context.plan, context.reporter
    teacher_predictions = context.teacher_predictions
    plain = {**plan.settings.plain, "seed": seed, "seeds": 1, "fresh": False}
    if rank() == 0:
        folder.prepare(plan.config.fresh)
        folder.write("config.yaml", plain)
    barrier()
    data = context.data(plan.config.training, seed)
    settings = plan.settings.method if isinstance(plan.settings.method, MethodConfig) else MethodConfig()
    needs = plan.method.needs_of(settings)
    if Need.LOGITS in needs:
        data.hand_out_logits(_logits_file(context, data))
    teacher = context.teacher if needs - {Need.LOGITS} else None
    module = plan.method(settings, _build_student(context, seed), teacher, plan.task.spec)
    if plan.generator is not None:
        module.take_generator(obtain_generator(plan.generator, data, plan.hardware, plan.cache, reporter))
    reporter.say(f"Training the student, seed {seed}.")
    loggers = make_loggers(plan.config.logger, folder.path, plain, reporter)
    fitted = fit(module, data, plan.config.training, plan.hardware, folder.path, seed, loggers, reporter, "student")
    predictions = _predict_all(module.student, data, plan)
    context.check_learned(predictions, "student", "it has learned nothing yet; train it longer, or at another rate")
    metrics = figures(plan, seed, fitted, predictions, teacher_predictions)
    closing = {f"{split}/{name}": v for split, vs in metrics["student"]["metrics"].items() for name, v in vs.items()}
    if metrics["teacher"]:
        theirs = metrics["teacher"]["metrics"].items()
        closing |= {f"teacher/{split}/{name}": v for split, vs in theirs for name, v in vs.items()}
    outside = _outside(context, module.student, folder)
    for name, entry in outside.items():
        closing |= {f"ood/{name}/{m}": v["value"] for m, v in entry["student"].items() if m != "groups"}
    for split, far in (metrics["divergence"] or {}).items():
        closing |= {f"divergence/{split}/{name}": v for name, v in far.items()}
    finish_loggers(loggers, closing, {fitted.metric: fitted.value}, fitted.steps)
    if rank() == 0:
        _record(folder, plan, metrics, module.student, predictions, teacher_predictions)
    _close(metrics, folder, reporter)
    if outside:
        show_ood(outside, reporter, plan.task.source.embedded)
    return metrics


def _outside(context: RunContext, encoder: TextEncoder, folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Evaluates a student that was just trained on the plan's sets out of domain, and records the figures."""
    predictor, found = context.predictor, {}
    if rank() == 0:
        (folder.path / OOD_FILE).unlink(missing_ok=True)  # of this run before it was interrupted
    for ood_set in context.plan.ood:
        name = ood_set.spec.name
        context.reporter.say(f"Evaluating on {name}: {len(ood_set.examples):,} examples.")
        ours, theirs = predictor.predict(encoder, ood_set), context.teacher_ood.get(name)
        embedded = context.plan.task.source.embedded
        found[name] = ood_figures(
            ood_set, ours, theirs, predictor.max_length, predictor.count_truncated(ood_set), embedded
        )
        if rank() == 0:
            record_ood(folder, ood_set, found[name], ours, theirs)
    return found


def _complete(context: RunContext, folder: RunFolder) -> None:
    """Evaluates the student of a finished run on those of the plan's sets that its record lacks."""
    plan = context.plan
    if not plan.ood:
        return
    run, own_files = open_run(folder.path), plan.config.evaluation.ood_dir is not None
    done = {
        f.spec.name: is_recorded(run, f.spec.name, source_digest(f.source) if own_files else None) for f in plan.ood
    }
    done = broadcast(done)
    sets = [ood_set for ood_set in plan.ood if not done[ood_set.spec.name]]
    evaluate_run(run, sets, list(done), plan.hardware, plan.cache, context.reporter)


def _close(metrics: dict[str, Any], folder: RunFolder, reporter: Reporter) -> None:

    show_record(metrics, reporter)
    reporter.say(f"Record: {folder.path}")


def _logits_file(context: RunContext, data: GLUEDataModule) -> Path:

    plan = context.plan
    if context.teacher is None or plan.teacher is None:
        raise ValueError(f"{plan.method.name} needs a teacher")
    size = plan.config.teacher.eval_batch_size
    return clean_logits(context.teacher, plan.teacher.key, data, size, plan.hardware, plan.cache)


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


def _predict_all(encoder: TextEncoder, data: GLUEDataModule, plan: Plan) -> dict[str, Prediction]:

    names = [*plan.task.dev_splits, *plan.task.test_splits]
    return {n: predict(encoder, data.split(n), data.eval_batch_size, plan.hardware.device) for n in names}


def _record(
    folder: RunFolder,
    plan: Plan,
    metrics: dict[str, Any],
    encoder: TextEncoder,
    student: dict[str, Prediction],
    teacher: dict[str, Prediction],
) -> None:
    """Writes everything but the history, which the CSV logger wrote; ``metrics.json`` comes last."""
    spec = plan.task.spec
    folder.write("environment.json", environment(plan.hardware.describe()))
    folder.write("fingerprints.json", metrics["fingerprints"])
    for split, prediction in student.items():
        theirs = teacher[split].logits if split in teacher else None
        folder.write_predictions(split, spec, plan.task.splits[split], prediction.logits, theirs)
        if split in spec.submission:
            folder.write_submission(spec.submission[split], spec, plan.task.splits[split], prediction.logits)

    def save(student_folder: Path) -> None:
        encoder.to("cpu").model.save_pretrained(student_folder)
        plan.text.tokenizer.save_pretrained(student_folder)
        write_atomic(student_folder / "README.md", model_card(metrics, spec.labels))

    write_folder(folder.path / "student", save)
    folder.write(METRICS, metrics)
    folder.drop_checkpoints()
