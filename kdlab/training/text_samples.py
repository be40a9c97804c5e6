"""Text that a method made, as people read it: a line each in the log, in the record and in the loggers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from kdlab.methods.base import DistillModule
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.files import write_atomic

FILE = "augmented.jsonl"
_COLUMNS = ["phase", "step", "original", "generated"]


class TextSamples(Callback):
    """Writes pairs of original and made text; a training that goes on from a checkpoint forgets what came after it.

    Args:
        folder: Of the run; its file is ``augmented.jsonl``.
        module: Whose phase and step a pair belongs to.
        loggers: Of which W&B and TensorBoard get the text too.
        reporter: Says the pairs.
    """

    def __init__(self, folder: Path, module: DistillModule, loggers: Sequence[Logger], reporter: Reporter) -> None:
        self.file = folder / FILE
        self.module = module
        self.loggers = loggers
        self.reporter = reporter

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the lines that the checkpoint knows."""
        if rank() != 0 or not self.file.is_file():
            return
        texts = self.file.read_text(encoding="utf-8", errors="replace").splitlines()  # one may have been cut off
        lines = [line for text in texts if (line := _whole(text))]
        here, done = self.module.context.phase.name, self.module.student_step
        self._write([line for line in lines if line["phase"] != here or line["step"] <= done])

    def show(self, pairs: list[tuple[str, str]]) -> None:
        """Takes pairs of original and made text, in the student step under way."""
        if rank() != 0:
            return
        phase, step = self.module.context.phase.name, self.module.student_step + 1
        rows: list[list[Any]] = [[phase, step, *pair] for pair in pairs]
        with self.file.open("a", encoding="utf-8") as f:
            f.writelines(json.dumps(dict(zip(_COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
        for original, made in pairs:
            self.reporter.say(f"  step {step}: {original} → {made}")
        for logger in self.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_text("augmented", columns=_COLUMNS, data=rows, step=step)
            elif isinstance(logger, TensorBoardLogger):
                text = "\n".join(f"- {a} → {b}" for a, b in pairs)
                logger.experiment.add_text("augmented", text, step)

    def _write(self, lines: list[dict[str, object]]) -> None:
        write_atomic(self.file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _whole(text: str) -> dict[str, Any] | None:
    """A line of the file; None for one that was cut off in the middle."""
    try:
        line: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    known = isinstance(line, dict) and isinstance(line.get("step"), int) and "phase" in line
    return line if known else None
