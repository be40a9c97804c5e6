"""What the students of one plan share: data, the teacher and its answers; and how a finished student is judged."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from kdlab.data.domains import DomainDataModule
from kdlab.data.module import TextDataModule
from kdlab.data.selection import parse_rule
from kdlab.data.task_data import TaskData
from kdlab.data.tasks import TRAIN, UNLABELLED
from kdlab.evaluation.metrics import evaluate, trivial
from kdlab.evaluation.predict import Prediction, predict
from kdlab.methods.base import TrainingConfig
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.ood import Predictor
from kdlab.pipeline.teacher import CachedTeacher, LazyTeacher, check_answers, cost_of_teacher, obtain_teacher
from kdlab.planning.plan import Plan
from kdlab.planning.teacher import AS_IS, FOUND
from kdlab.system.console import Reporter
from kdlab.system.cost import Cost
from kdlab.training.fit import Fitted
from kdlab.types import Need

ON_TRAIN = 512
"""Training rows on which a finished student is judged."""


class RunContext:
    """What the seeds of one plan share: the teacher, its predictions, and who is told.

    Args:
        plan: What was decided.
        reporter: Shows progress.
    """

    def __init__(self, plan: Plan, reporter: Reporter) -> None:
        self.plan = plan
        self.reporter = reporter

    def data(self, training: TrainingConfig, seed: int, task: TaskData | None = None) -> DomainDataModule:
        """The task's data, batched for one training; without augmented examples where ``task`` has none."""
        plan, task = self.plan, task or self.plan.task
        return DomainDataModule(
            task=task.spec,
            splits=task.splits,
            tokenizer=plan.text.tokenizer,
            tokenizer_fingerprint=plan.text.tokenizer_fingerprint,
            max_length=plan.max_length,
            batch_size=training.batch_size // training.accumulate,
            eval_batch_size=plan.hardware.eval_batch(training.eval_batch_size),
            select_on=task.select_on,
            seed=seed,
            cache=plan.cache,
            workers=plan.config.data.workers,
            select_by=parse_rule(plan.config.data.select_by),
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
    def donor(self) -> TextEncoder:
        """The student's donor where plain fine-tuning makes it, made where the cache has none."""
        plan, own = self.plan, self.plan.config.teacher
        if plan.student.finetuned is None:
            raise ValueError("the student's donor is no fine-tuned one")
        data = self.data(own, own.seed, plan.task.for_donor)
        how = (plan.hardware, plan.cache, self.reporter)
        return obtain_teacher(plan.student.finetuned, data, own, own.seed, *how, who="donor")

    @cached_property
    def teacher_data(self) -> DomainDataModule:
        """The task's data as the teacher is trained and asked on it."""
        own = self.plan.config.teacher
        return self.data(own, own.seed, self.plan.task.for_teacher)

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
        """The teacher's logits on every reported and unlabelled split; warns where it learned nothing."""
        plan = self.plan
        if plan.teacher is None:
            return {}
        if plan.teacher.status not in (AS_IS, FOUND):
            _ = self.teacher  # as the plan says, though the cache may hold answers of one that was removed
        splits = (*plan.task.reported_splits, *plan.task.unlabelled_splits)
        predictions = {name: self.cached_teacher.prediction(self.teacher_data.split(name)) for name in splits}
        then = "a student can learn nothing from it; check the teacher's settings and label order"
        self.check_learned(predictions, "teacher", then)
        return predictions

    @property
    def predictor(self) -> Predictor:
        """How models are asked on sets out of domain."""
        plan = self.plan
        size = plan.hardware.eval_batch(plan.config.training.eval_batch_size)
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
        size = plan.hardware.eval_batch(plan.config.teacher.eval_batch_size)
        return CachedTeacher(self.lazy_teacher, size, plan.hardware, plan.cache, plan.task.spec.name)

    def make_shared(self) -> None:
        """Makes what the cache lacks of the teacher and its answers, before any training."""
        plan = self.plan
        _ = self.teacher_predictions
        if plan.student.finetuned is not None:
            _ = self.donor
        if Need.LOGITS in plan.method.needs_of(plan.settings.method) and not plan.method.draws_rows():
            data = self.data(plan.config.training, plan.seeds[0])
            for name in (TRAIN, UNLABELLED):
                if name in data.examples:
                    self.cached_teacher(data.split(name))

    def answers_from_cache(self) -> list[str]:
        """The splits on which the teacher's answers were asked for, and none had to be computed."""
        if self.plan.teacher is None:
            return []
        found = self.cached_teacher.costs.keys() - self.cached_teacher.made
        return [name for name, key in self.plan.tokens_keys.items() if key in found]

    def predict_all(self, encoder: TextEncoder, data: TextDataModule, fitted: Fitted) -> dict[str, Prediction]:
        """A student's float32 logits on every reported and unlabelled split; on one, the chosen epoch's own."""
        plan, known = self.plan, {}
        if fitted.answers is not None and plan.hardware.precision == "32-true":
            known[plan.task.select_on] = fitted.answers
        names = (*plan.task.reported_splits, *plan.task.unlabelled_splits)
        size, device = data.eval_batch_size, plan.hardware.device
        return {name: known.get(name) or predict(encoder, data.split(name), size, device) for name in names}

    def score_on_train(self, encoder: TextEncoder, data: TextDataModule) -> tuple[dict[str, float], int]:
        """A student's metrics on a seeded sample of train's own rows, and its size: they tell of overfitting."""
        task, rows = self.plan.task.spec, data.split(TRAIN)
        draw = np.random.default_rng(self.plan.config.data.split_seed)
        own = len(self.plan.task.unaugmented.splits[TRAIN])  # augmented rows and a source domain's stand behind them
        if rows.domain is not None and rows.domain.all():
            own = len(rows)  # all are the source's
        sample = rows.take(np.sort(draw.permutation(own)[:ON_TRAIN]).tolist())
        made = predict(encoder, sample, data.eval_batch_size, self.plan.hardware.device)
        gold = torch.from_numpy(np.asarray(sample.labels))
        return evaluate(made.logits, gold, task.metrics, task.regression), len(sample)

    def cost_of_teacher(self) -> dict[str, Cost]:
        """What training teacher and fine-tuned donor took, and the teacher's answers, whenever that was."""
        teacher, donor = self.plan.teacher, self.plan.student.finetuned
        made = {}
        if donor is not None and donor.status != AS_IS:
            made["donor"] = cost_of_teacher(donor.key, self.plan.cache)
        if teacher is None:
            return made
        trained = Cost() if teacher.status == AS_IS else cost_of_teacher(teacher.key, self.plan.cache)
        return {"teacher": trained, "answers": sum(self.cached_teacher.costs.values(), Cost()), **made}

    def check_learned(self, predictions: dict[str, Prediction], who: str, then: str) -> None:
        """Warns where an encoder does no better than one answer to everything.

        Args:
            predictions: Its logits on each reported split.
            who: Teacher or student.
            then: What follows from it and what to do, which ends the sentence.
        """
        task = self.plan.task
        metric = task.spec.monitor if task.spec.regression else "accuracy"
        split = task.reported_splits[0]
        labels = torch.tensor(task.splits[split].labels)
        score = evaluate(predictions[split].logits, labels, [metric], task.spec.regression)[metric]
        constant = trivial(labels, metric, task.spec.regression)
        if score <= constant:
            self.reporter.warn(
                f"The {who}'s {metric} on {split} is {score:.4f}, no better than a constant answer's {constant:.4f}: "
                f"{then}."
            )
