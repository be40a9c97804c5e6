"""Progress of a training: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kdlab.methods.base import DistillModule
from kdlab.system.console import Reporter, duration


class TrainingProgress(Callback):
    """Phase, epoch, loss terms, validation and time left: a bar on a terminal, a line an epoch elsewhere.

    Args:
        reporter: Where it is shown.
        module: The method in training.
        title: Whose training it is (``teacher`` or ``student``).
        epochs: Epochs of the phase.
    """

    def __init__(self, reporter: Reporter, module: DistillModule, title: str, epochs: int) -> None:
        self.reporter = reporter
        self.module = module
        self.title = title
        self.steps = module.context.total_steps
        self.epochs = epochs
        self.started = time.perf_counter()
        self.first_step = 0  # where an interrupted training goes on
        self.bar: Progress | None = None
        self.task: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock and, on a terminal, the bar."""
        self.started = time.perf_counter()
        self.first_step = self.module.student_step
        if self.reporter.terminal and not self.reporter.quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[terms]}"),
            )
            self.bar = Progress(*columns, console=self.reporter.out, transient=True)
            self.task = self.bar.add_task(self.title, total=self.steps, terms="")
            self.bar.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Moves the bar; the loss terms are those of the last logged window, so nothing waits for the device."""
        if self.bar is not None:
            label = f"{self._who()}: epoch {trainer.current_epoch + 1}/{self.epochs}"
            self.bar.update(
                self.task,
                description=label,
                completed=self.module.student_step,
                terms=_numbers(self.module.terms.last_line),
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One line an epoch."""
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        spent = time.perf_counter() - self.started
        made = max(self.module.student_step - self.first_step, 1)
        left = spent / made * max(self.steps - self.module.student_step, 0)
        terms = _numbers(self.module.terms.last_line)
        self.reporter.say(
            f"  {self._who()}: epoch {trainer.current_epoch + 1}/{self.epochs}, "
            f"step {self.module.student_step}/{self.steps}, {terms}, {_numbers(values)}, "
            f"{duration(spent)} so far, about {duration(left)} left"
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the bar away."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Takes the bar away."""
        self._stop()

    def _who(self) -> str:
        several = len(self.module.phases()) > 1
        return f"{self.title}, phase {self.module.context.phase.name}" if several else self.title

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _numbers(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())
