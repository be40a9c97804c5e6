"""Training: the only file that builds a Lightning Trainer. Teachers and students of every method go through ``fit``."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException

from kdlab.data.module import TextDataModule
from kdlab.data.selection import SelectBy
from kdlab.errors import MethodError, Terminated
from kdlab.evaluation.predict import Prediction
from kdlab.methods.base import DistillModule, PhaseContext, TrainingConfig
from kdlab.methods.shared.context import Listener
from kdlab.system.console import Reporter
from kdlab.system.cost import Cost
from kdlab.system.distributed import barrier, broadcast, local_world_size, rank, world_size
from kdlab.system.files import write_atomic
from kdlab.system.hardware import Hardware
from kdlab.training.answering import QuickValidation
from kdlab.training.checkpoints import Checkpoints
from kdlab.training.history import CSVHistory
from kdlab.training.progress import TrainingProgress
from kdlab.training.resume import finished_phase, forget_later, goes_on, take_up
from kdlab.training.steps import count_steps
from kdlab.training.text_samples import TextSamples
from kdlab.training.validations import Validations
from kdlab.training.writer import CheckpointWriter


@dataclass(frozen=True)
class Fitted:
    """How a training ended.

    Attributes:
        metric: Name of the metric that chose the checkpoint (``val/accuracy``).
        value: Its value.
        epoch: Epoch of the chosen checkpoint, from 1.
        steps: Optimiser steps of all phases.
        cost: Of all phases.
        ties: Other epochs in which the metric was the same.
        answers: The chosen checkpoint's on the split that chose it, in the precision of the training; None where an
            earlier process made them.
    """

    metric: str
    value: float
    epoch: int
    steps: int
    cost: Cost
    ties: int = 0
    answers: Prediction | None = None

    def to_json(self) -> dict[str, Any]:
        """Its figures alone, as the mark of a finished training holds them."""
        figures = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("answers", "cost")}
        return {**figures, **asdict(self.cost)}


def seed_all(seed: int) -> None:
    """Seeds Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@dataclass(frozen=True)
class TrainingRequest:
    """How and where a module is trained, and who is told.

    Attributes:
        training: Epochs, learning rate and the like; a phase may change some.
        hardware: Where.
        folder: Checkpoints go below it.
        seed: Draws everything random in it.
        loggers: Lightning loggers; a ``CSVHistory`` among them is truncated when training goes on.
        reporter: Shows progress.
        title: Whose training it is.
    """

    training: TrainingConfig
    hardware: Hardware
    folder: Path
    seed: int
    loggers: Sequence[Logger]
    reporter: Reporter
    title: str

    @property
    def history(self) -> CSVHistory | None:
        """The history among the loggers."""
        return next((logger for logger in self.loggers if isinstance(logger, CSVHistory)), None)


def fit(module: DistillModule, data: TextDataModule, request: TrainingRequest) -> Fitted:
    """Trains a module through all its phases and leaves it with the weights that did best on the selection split.

    Where an earlier process left checkpoints of the same training in the folder, it goes on from the last of them and
    ends as if it had never stopped.

    Args:
        module: A method.
        data: Its data.
        request: How, where, and who is told.

    Raises:
        KdlabError: The method can't be trained so, or a loss became no number.
    """
    training, history = request.training, request.history
    module.check_training(module.config, training, module.task)
    seed_all(request.seed)
    if request.hardware.compile:
        for encoder in (module.student, module.teacher):
            if encoder is not None:
                encoder.compile_pass()
    cost, steps, lines = Cost(), 0, 0
    fitted: Fitted | None = None
    for number, phase in enumerate(module.phases()):
        epochs = phase.epochs or training.epochs
        rows = module.rows_in(module.config, data.sizes, phase)
        total = count_steps(rows, training, epochs, module.cycle, world_size())
        keep = _checkpoints(module, number, request, data.rule)
        done = keep.folder / f"{keep.name}-done.json"
        samples = TextSamples(request.folder, module, request.loggers, request.reporter)
        listener = RunListener(request.reporter, samples, keep)
        context = PhaseContext(phase, training, max(total, 1), request.seed, steps, data, listener)
        module.begin_phase(context)
        if module.context is not context:
            raise MethodError(f"{module.name} overrides begin_phase: it must call super().begin_phase(context) first")
        state = broadcast(finished_phase(done, keep, phase.choose, request.reporter) if rank() == 0 else None)
        if state is not None:
            take_up(module, keep, state)
        else:
            forget_later(keep.folder, request.title, number)
            with keep.writer:
                _fit_phase(module, data, request, epochs, keep, samples, lines)
            if module.student_step == 0:
                raise MethodError(
                    f"{module.name}'s student made no step in phase '{phase.name}': what loss_of gives it is None or "
                    "has no gradient"
                )
            if keep.stopped:
                request.reporter.say(
                    f"  {request.title}: ends behind epoch {keep.last_epoch + 1}, for epoch "
                    f"{keep.best_epoch + 1} stays the best (patience {keep.patience})."
                )
            state = {**keep.state_dict(), "steps": module.student_step if keep.stopped else total}
            if rank() == 0 and not keep.final:
                write_atomic(done, json.dumps(state))
            barrier()
        lines = int(state["history_rows"])
        steps += int(state.get("steps", total))
        cost += keep.cost()
        if phase.choose:
            module.load_weights(keep.best_weights())
            if keep.select_by.count:
                keep.best_value = module.score(data.select_on)
        answers = keep.answers if phase.choose else None
        fitted = Fitted(keep.monitor, keep.best_value, keep.best_epoch + 1, steps, cost, keep.ties, answers)
    if fitted is None:
        raise ValueError(f"{module.name} has no phases")
    if history is not None:
        history.truncate(lines)  # what an earlier process wrote behind the last phase is written again
        if history.lost:
            request.reporter.warn(
                f"{history.file} was damaged, and {history.lost} of its rows are lost; training goes on without them."
            )
    return fitted


def _checkpoints(module: DistillModule, number: int, request: TrainingRequest, rule: SelectBy) -> Checkpoints:
    """Those of a phase."""
    phases, training = module.phases(), request.training
    return Checkpoints(
        folder=request.folder / "checkpoints",
        name=f"{request.title}-{number}-{phases[number].name}",
        monitor=f"val/{module.task.monitor}",
        select_by=rule,
        history=request.history,
        every=training.checkpoint_every,
        check=module.check_finite,
        final=number + 1 == len(phases),
        patience=training.patience if phases[number].choose else 0,
        writer=CheckpointWriter(),
    )


class RunListener(Listener):
    """Tells a run's user, its text samples and its checkpoints what a training has to say.

    Args:
        reporter: Shows warnings.
        samples: Takes text that the method made.
        checkpoints: Asked after each step.
    """

    def __init__(self, reporter: Reporter, samples: TextSamples, checkpoints: Checkpoints) -> None:
        self.reporter, self.samples, self.checkpoints = reporter, samples, checkpoints

    def warn(self, text: str) -> None:
        """A sentence for the user."""
        self.reporter.warn(text)

    def say(self, text: str) -> None:
        """A line of progress."""
        self.reporter.say(text)

    def show(self, pairs: list[tuple[str, str]]) -> None:
        """Pairs of original and made text."""
        self.samples.show(pairs)

    def step_done(self, trainer: Trainer) -> None:
        """A checkpoint may be due."""
        self.checkpoints.after_step(trainer)


def _fit_phase(
    module: DistillModule,
    data: TextDataModule,
    request: TrainingRequest,
    epochs: int,
    keep: Checkpoints,
    samples: TextSamples,
    lines: int,
) -> None:
    """Trains one phase, from its last checkpoint where there is one; ``lines`` of the history stand before it."""
    manual = not module.automatic_optimization
    training, hardware, reporter, title = request.training, request.hardware, request.reporter, request.title
    trainer = Trainer(
        accelerator=hardware.accelerator,
        devices=local_world_size(),
        num_nodes=world_size() // local_world_size(),
        strategy=_strategy(manual or len(module.phases()) > 1),
        precision=hardware.precision,  # type: ignore[arg-type]
        max_epochs=epochs,
        max_steps=-1 if manual else training.max_steps,
        accumulate_grad_batches=1 if manual else training.accumulate,
        plugins=[keep.writer],
        callbacks=[
            Validations(training.validate_every),
            QuickValidation(module),
            keep,
            TrainingProgress(reporter, module, title, epochs),
            samples,
        ],
        logger=list(request.loggers) or False,
        log_every_n_steps=1,  # the module itself writes only every `training.log_every` steps
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=int(module.draws_rows()),
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=keep.folder,
    )
    resumes = broadcast(goes_on(keep, reporter, title) if rank() == 0 else False)
    if not resumes and keep.history is not None:
        keep.history.truncate(lines)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=keep.last if resumes else None, weights_only=True)
    except SystemExit as e:  # Lightning's answer to Ctrl-C, and to SIGTERM
        if isinstance(e.__context__, Terminated):
            raise e.__context__ from None
        raise (Terminated if isinstance(e, SIGTERMException) else KeyboardInterrupt) from e


def _strategy(unused: bool) -> str | DDPStrategy:
    """One process, or data parallelism over the processes that are there."""
    if world_size() == 1:
        return "auto"
    # a step of one of several players leaves the others' weights unused, and a phase what another one trains
    return DDPStrategy(find_unused_parameters=unused, gradient_as_bucket_view=True)
