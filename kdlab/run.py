"""``python -m kdlab.run``: parse, plan, run, record, print.

Importing this module imports neither torch nor lightning, so that ``--help`` answers at once.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdlab.console import Reporter
    from kdlab.data.glue import GLUEDataModule
    from kdlab.inference import Prediction
    from kdlab.methods.base import TrainingConfig
    from kdlab.models.encoder import TextEncoder
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
    from kdlab.plan import make_plan, seeds, show_plan
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
    records = [_one_seed(stage, seed) for seed in seeds(plan.config)]
    if len(records) > 1:
        show_seeds(records, reporter)
    return records


def _print_config(plan: Plan) -> None:
    import yaml

    sys.stdout.write(yaml.safe_dump(plan.settings.plain, sort_keys=False, allow_unicode=True))


class Stage:
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
        from kdlab.data.glue import GLUEDataModule

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
        )

    @cached_property
    def teacher(self) -> TextEncoder | None:
        """The teacher, fine-tuned where the cache has none; None where nobody needs one."""
        from kdlab.teacher import obtain_teacher

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
        self._check_teacher(found)
        return found

    def _check_teacher(self, found: dict[str, Prediction]) -> None:
        import torch

        from kdlab.metrics import evaluate, trivial

        task = self.plan.task
        metric = task.spec.monitor if task.spec.regression else "accuracy"
        split = task.dev_splits[0]
        labels = torch.tensor(task.splits[split].labels)
        score = evaluate(found[split].logits, labels, [metric], task.spec.regression)[metric]
        constant = trivial(labels, metric, task.spec.regression)
        if score <= constant:
            self.reporter.warn(
                f"The teacher's {metric} on {split} is {score:.4f}, no better than a constant answer's {constant:.4f}: "
                "a student can learn nothing from it; check the teacher's settings and label order."
            )


def _one_seed(stage: Stage, seed: int) -> dict[str, Any]:
    """Trains, evaluates and records one student, or returns its finished record."""
    from kdlab.loggers import finish_loggers, make_loggers
    from kdlab.methods.base import MethodConfig
    from kdlab.results.record import RunFolder
    from kdlab.training import fit
    from kdlab.types import Need

    plan, reporter = stage.plan, stage.reporter
    folder = RunFolder(plan.folder(seed))
    done = folder.finished()
    if done is not None and not plan.config.fresh:
        reporter.say(f"Seed {seed} is finished already (--fresh runs it again):")
        _close(done, folder, reporter)
        return done
    teacher_predictions = stage.teacher_predictions
    folder.prepare(plan.config.fresh)
    plain = {**plan.settings.plain, "seed": seed, "seeds": 1}
    folder.write("config.yaml", plain)
    data = stage.data(plan.config.training, seed)
    if Need.LOGITS in plan.method.needs:
        data.hand_out_logits(_logits_file(stage, data))
    settings = plan.settings.method if isinstance(plan.settings.method, MethodConfig) else MethodConfig()
    needs_model = bool(plan.method.needs - {Need.LOGITS})
    module = plan.method(settings, _build_student(stage, seed), stage.teacher if needs_model else None, plan.task.spec)
    reporter.say(f"Training the student, seed {seed}.")
    loggers = make_loggers(plan.config.logger, folder.path, plain, reporter)
    fitted = fit(module, data, plan.config.training, plan.hardware, folder.path, seed, loggers, reporter, "student")
    predictions = _predict_all(module.student, data, plan)
    metrics = _metrics(plan, seed, fitted, predictions, teacher_predictions)
    figures = {f"{split}/{name}": v for split, vs in metrics["student"]["metrics"].items() for name, v in vs.items()}
    if metrics["teacher"]:
        theirs = metrics["teacher"]["metrics"].items()
        figures |= {f"teacher/{split}/{name}": v for split, vs in theirs for name, v in vs.items()}
    finish_loggers(loggers, figures, fitted.steps)
    _record(folder, plan, metrics, module.student, predictions, teacher_predictions)
    _close(metrics, folder, reporter)
    return metrics


def _close(metrics: dict[str, Any], folder: Any, reporter: Reporter) -> None:
    from kdlab.results.tables import show_record

    show_record(metrics, reporter)
    reporter.say(f"Record: {folder.path}")


def _logits_file(stage: Stage, data: GLUEDataModule) -> Any:
    from kdlab.teacher import clean_logits

    plan = stage.plan
    if stage.teacher is None or plan.teacher is None:
        raise ValueError(f"{plan.method.name} needs a teacher")
    size = plan.config.teacher.eval_batch_size
    return clean_logits(stage.teacher, plan.teacher.key, data, size, plan.hardware, plan.cache)


def _build_student(stage: Stage, seed: int) -> TextEncoder:
    """The student with its starting weights."""
    from kdlab.models.checkpoint import load_encoder
    from kdlab.models.student import take_layers
    from kdlab.plan import student_head

    plan, student = stage.plan, stage.plan.student
    if student.donor is None:
        if stage.teacher is None or student.layers is None:
            raise ValueError("a student of the teacher's layers needs the teacher")
        return take_layers(stage.teacher.to("cpu"), student.layers)
    labels = plan.task.spec.labels
    if student.layers is None:
        return load_encoder(student.donor, labels, student_head(plan), seed)
    return take_layers(load_encoder(student.donor, labels, None, seed), student.layers)


def _predict_all(encoder: TextEncoder, data: GLUEDataModule, plan: Plan) -> dict[str, Prediction]:
    from kdlab.inference import predict

    names = [*plan.task.dev_splits, *plan.task.test_splits]
    return {n: predict(encoder, data.split(n), data.eval_batch_size, plan.hardware.device) for n in names}


def _scores(plan: Plan, predictions: dict[str, Prediction]) -> dict[str, dict[str, float]]:
    import torch

    from kdlab.metrics import evaluate

    spec = plan.task.spec
    return {
        split: evaluate(
            predictions[split].logits, torch.tensor(plan.task.splits[split].labels), spec.metrics, spec.regression
        )
        for split in plan.task.dev_splits
    }


def _metrics(
    plan: Plan,
    seed: int,
    fitted: Any,
    student: dict[str, Prediction],
    teacher: dict[str, Prediction],
) -> dict[str, Any]:
    """The content of ``metrics.json``."""
    from dataclasses import asdict

    from kdlab import __version__

    main = plan.task.dev_splits[0]
    ours = _scores(plan, student)
    theirs = _scores(plan, teacher) if teacher else None
    made_of = plan.student.donor.source if plan.student.donor else "the teacher"
    if plan.student.layers is not None:
        made_of = f"layers {', '.join(map(str, plan.student.layers))} of {made_of}"
    retained = {}
    if theirs is not None:
        for split, values in ours.items():
            positive = {n: 100 * v / theirs[split][n] for n, v in values.items() if theirs[split][n] > 0}
            retained[split] = positive
    return {
        "kdlab": __version__,
        "method": plan.method.name,
        "task": plan.task.spec.name,
        "profile": plan.config.profile,
        "seed": seed,
        "teacher_seed": plan.config.teacher.seed,
        "split_seed": plan.config.data.split_seed,
        "source": {**asdict(plan.task.source), "embedded": plan.task.source.embedded},
        "substituted": list(plan.substituted),
        "selection": {
            "split": plan.task.select_on,
            "metric": fitted.metric,
            "value": fitted.value,
            "epoch": fitted.epoch,
        },
        "max_length": plan.max_length,
        "training": {"steps": fitted.steps, "epochs": plan.config.training.epochs, "seconds": round(fitted.seconds, 2)},
        "teacher": None
        if theirs is None or plan.teacher is None
        else {
            "source": plan.teacher.checkpoint.source,
            "status": plan.teacher.status,
            "parameters": plan.teacher_parameters,
            "samples_per_second": teacher[main].samples_per_second,
            "metrics": theirs,
        },
        "student": {
            "made_of": made_of,
            "parameters": plan.student.parameters,
            "samples_per_second": student[main].samples_per_second,
            "metrics": ours,
        },
        "retained": retained,
        "fingerprints": _fingerprints(plan, seed),
    }


def _fingerprints(plan: Plan, seed: int) -> dict[str, Any]:
    return {
        "run": plan.identity(seed),
        "data": plan.task.fingerprint,
        "splits": plan.task.fingerprints,
        "teacher": plan.teacher.key if plan.teacher else None,
        "tokenizer": plan.text.tokenizer_fingerprint,
    }


def _record(
    folder: Any,
    plan: Plan,
    metrics: dict[str, Any],
    encoder: TextEncoder,
    student: dict[str, Prediction],
    teacher: dict[str, Prediction],
) -> None:
    """Writes everything but the history, which the CSV logger wrote; ``metrics.json`` comes last."""
    from kdlab.cache import write_atomic
    from kdlab.results.card import model_card
    from kdlab.results.record import METRICS, environment

    spec = plan.task.spec
    folder.write("environment.json", environment(plan.hardware.describe()))
    folder.write("fingerprints.json", metrics["fingerprints"])
    for split, prediction in student.items():
        theirs = teacher[split].logits if split in teacher else None
        folder.write_predictions(split, spec, plan.task.splits[split], prediction.logits, theirs)
        if split in spec.submission:
            folder.write_submission(spec.submission[split], spec, plan.task.splits[split], prediction.logits)
    encoder.to("cpu").model.save_pretrained(folder.path / "student")
    plan.text.tokenizer.save_pretrained(folder.path / "student")
    write_atomic(folder.path / "student" / "README.md", model_card(metrics, spec.labels))
    shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
    folder.write(METRICS, metrics)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m kdlab.run …``, the same as ``kdlab run …``."""
    from kdlab.cli import main as cli

    return cli(["run", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
