"""What a person sees: lines, tables and progress; plain lines where standard output is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


class Reporter:
    """Speaks to the person at the terminal.

    Args:
        quiet: Says nothing at all (used by other processes than the first).
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stdout.isatty()
        self.out = Console(highlight=False, soft_wrap=True, force_terminal=self.terminal, quiet=quiet)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)

    def say(self, text: str) -> None:
        """One line on standard output."""
        self.out.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line on standard error."""
        self.err.print(f"kdlab: warning: {text}", markup=False, style="yellow")

    def announce(self, text: str) -> None:
        """One line that can't be missed."""
        self.out.print(f"*** {text} ***", markup=False, style="bold reverse" if self.terminal else None)

    def rows(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values under a title."""
        width = max(len(name) for name, _ in rows)
        self.out.print(title, markup=False, style="bold")
        for name, value in rows:
            self.out.print(f"  {name:<{width}}  {value}", markup=False)

    def table(self, header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
        """A table; plain columns where there is no terminal."""
        if self.terminal:
            table = Table(*header)
            for row in body:
                table.add_row(*row)
            self.out.print(table)
            return
        widths = [max(len(str(row[i])) for row in [header, *body]) for i in range(len(header))]
        for row in [header, *body]:
            self.say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    """Seconds as people say them: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class TrainingProgress(Callback):
    """Phase, epoch, loss terms, validation and time left: a bar on a terminal, a line an epoch elsewhere.

    Args:
        reporter: Where it is shown.
        title: Whose training it is (``teacher`` or ``student``).
        steps: Optimiser steps of the phase.
        epochs: Epochs of the phase.
    """

    def __init__(self, reporter: Reporter, title: str, steps: int, epochs: int) -> None:
        self.reporter = reporter
        self.title = title
        self.steps = steps
        self.epochs = epochs
        self.started = time.perf_counter()
        self.bar: Progress | None = None
        self.task: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock and, on a terminal, the bar."""
        self.started = time.perf_counter()
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
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int  # noqa: ANN401
    ) -> None:
        """Moves the bar; the loss terms are those of the last logged window, so nothing waits for the device."""
        if self.bar is not None:
            label = f"{self._who(pl_module)}: epoch {trainer.current_epoch + 1}/{self.epochs}"
            self.bar.update(
                self.task, description=label, completed=pl_module.student_step, terms=_numbers(pl_module.last_terms)
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One line an epoch."""
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        spent = time.perf_counter() - self.started
        left = spent / max(pl_module.student_step, 1) * max(self.steps - pl_module.student_step, 0)
        self.reporter.say(
            f"  {self._who(pl_module)}: epoch {trainer.current_epoch + 1}/{self.epochs}, "
            f"step {pl_module.student_step}/{self.steps}, {_numbers(pl_module.last_terms)}, {_numbers(values)}, "
            f"{duration(spent)} so far, about {duration(left)} left"
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the bar away."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Takes the bar away."""
        self._stop()

    def _who(self, module: LightningModule) -> str:
        several = len(module.phases()) > 1
        return f"{self.title}, phase {module.phase.name}" if several else self.title

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _numbers(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())
