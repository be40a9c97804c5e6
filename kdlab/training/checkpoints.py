"""Checkpoints of a training: the last state, to go on from, and the best weights, to end with."""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from kdlab.data.selection import SelectBy
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import Prediction
from kdlab.methods.shared.context import without_teacher
from kdlab.system.cost import Cost, Meter
from kdlab.system.distributed import broadcast, world_size
from kdlab.system.foreign import door
from kdlab.training.history import CSVHistory
from kdlab.training.writer import CheckpointWriter, copied

_ASK_EVERY = 10


class Checkpoints(Checkpoint):
    """Keeps the weights of the best epoch in memory, and saves them and the whole state every so often.

    The best weights are on the disk before a state that knows of them: after a kill at any point the last state and the
    best weights that it knows are whole. A last phase ends without writing, for what follows it is the record.

    Args:
        folder: Where the files lie.
        name: Start of their names, one for each phase of each training.
        monitor: The task's first metric; larger is better.
        select_by: How the scores of an epoch choose it.
        history: Cut back to the checkpoint when training goes on.
        every: Seconds of work that may be lost, besides the step under way.
        check: Raises where the state is not worth keeping.
        final: Whether it is the training's last phase.
        patience: Epochs without a better one behind which the phase ends; 0 trains them all.
        writer: Writes the files.

    Attributes:
        values: The task's first metric in each epoch that was validated.
        last_epoch: The last of these.
        stopped: Whether the phase ended before its time.
        answers: The best epoch's on the split that chose it; None where an earlier process made them.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        monitor: str,
        select_by: SelectBy,
        history: CSVHistory | None,
        every: float,
        check: Callable[[], None],
        final: bool,
        patience: int,
        writer: CheckpointWriter,
    ) -> None:
        self.folder = folder
        self.name = name
        self.monitor = monitor
        self.select_by = select_by
        self.history = history
        self.every = every
        self.check = check
        self.final = final
        self.patience = patience
        self.writer = writer
        self.best_epoch = self.last_epoch = -1
        self.best_value = float("-inf")
        self.best_key: tuple[float, ...] = ()
        self.values: list[float] = []
        self.stopped = False
        self.answers: Prediction | None = None
        self._best_weights: dict[str, Any] = {}
        self._on_disk = -1  # the best epoch whose weights are, or are about to be
        self._validation = Meter()
        self._before, self._meter = Cost(), Meter()
        self._saved_at = time.monotonic()

    @property
    def ties(self) -> int:
        """Other epochs in which the task's first metric was the same as in the chosen one; 0 where nothing chooses."""
        return max(self.values.count(self.best_value) - 1, 0) if self.select_by.chooses else 0

    @property
    def last(self) -> Path:
        """The whole state."""
        return self.folder / f"{self.name}-last.ckpt"

    @property
    def best(self) -> Path:
        """The weights of the best epoch so far."""
        return self.best_of(self.best_epoch)

    def best_of(self, epoch: int) -> Path:
        """The weights of an epoch that was the best one at its time."""
        return self.folder / f"{self.name}-best-{epoch}.ckpt"

    def best_weights(self) -> dict[str, Any]:
        """The weights of the best epoch, from memory or as an earlier process wrote them.

        Raises:
            KdlabError: Their file is gone or damaged.
        """
        return self._best_weights or dict(load_checkpoint(self.best)["state_dict"])

    def best_known_to(self, checkpoint: dict[str, Any]) -> int:
        """The best epoch that a state knows of; -1 where there was none yet."""
        return int(checkpoint["callbacks"][self.state_key]["best_epoch"])

    def forget(self) -> None:
        """Removes what an earlier process left, because some of it is damaged, and begins anew."""
        for old in self.folder.glob(f"{self.name}-*"):
            old.unlink(missing_ok=True)
        self.best_epoch, self.best_value, self.best_key, self.values, self.answers = -1, float("-inf"), (), [], None
        self._best_weights, self._on_disk = {}, -1
        self._before, self._meter = Cost(), Meter()

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        rows = self.history.rows if self.history is not None else 0
        return {
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "best_key": list(self.best_key),
            "values": list(self.values),
            "history_rows": rows,
            "stopped": self.stopped,
            "last_epoch": self.last_epoch,
            **asdict(self.cost()),
        }

    def cost(self) -> Cost:
        """What the phase took so far, in all processes that worked on it one after the other."""
        return self._before + self._meter.cost()

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Knows again what an earlier process knew; the history is left alone."""
        self.best_epoch = self._on_disk = int(state_dict["best_epoch"])
        self.best_value = float(state_dict["best_value"])
        moved = float(state_dict.get("best_moved", True))
        self.best_key = tuple(state_dict.get("best_key", (moved, self.best_value)))  # as it was before there were rules
        self.values = list(state_dict.get("values", ()))
        self.stopped = bool(state_dict.get("stopped", False))
        self.last_epoch = int(state_dict.get("last_epoch", self.best_epoch + self.patience))
        spent = float(state_dict["seconds"]), float(state_dict.get("cpu_seconds", math.nan))
        self._before, self._meter, self.answers = Cost(*spent), Meter(), None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up where the checkpoint left off, the history too."""
        self.restore(state_dict)
        if self.history is not None:
            self.history.truncate(int(state_dict["history_rows"]))

    def after_step(self, trainer: Trainer) -> None:
        """Called when a step is done and logged."""
        if world_size() > 1 and trainer.global_step % _ASK_EVERY:
            return  # rank 0's clock decides, and asking it costs a message
        self._save_where_due(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of the validation."""
        self._validation = Meter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the weights where the scores are the best so far, of equal epochs the first; or averages the last ones.

        Another player may have all of the first epochs; any epoch in which the student moved is better than those.
        """
        if trainer.sanity_checking:
            return
        scores = {name.removeprefix("val/"): float(value) for name, value in trainer.callback_metrics.items()}
        value, epoch = scores[self.monitor.removeprefix("val/")], trainer.current_epoch
        key = (float(bool(pl_module.student_step)), *self.select_by.key(value, scores, epoch))
        self.values.append(value)
        self.last_epoch = epoch
        if self.best_epoch < 0 or key > self.best_key:
            self.check()
            weights = copied(without_teacher(pl_module.state_dict()))
            number = epoch - max(int(trainer.max_epochs or 0) - self.select_by.count, 0) if self.select_by.count else 0
            self._best_weights = _averaged(self.best_weights(), weights, number) if number > 0 else weights
            self.best_epoch, self.best_value, self.best_key = epoch, value, key
            validation: Any = pl_module.validation
            self.answers = None if self.select_by.count else Prediction(validation.logits, self._validation.cost())
        elif self.patience and self.best_key[0] and epoch - self.best_epoch >= self.patience:
            self.stopped = trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves what the next phase begins with; amid a phase only where it is due."""
        if not (trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs):
            self._save_where_due(trainer)
        elif not self.final:
            self._save(trainer)

    def _save_where_due(self, trainer: Trainer) -> None:
        if broadcast(time.monotonic() - self._saved_at >= self.every):
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """The best weights and behind them the whole state; only then go weights that an older state would need."""
        self.check()
        self._saved_at = time.monotonic()
        self.writer.wait()
        if trainer.is_global_zero and self.best_epoch != self._on_disk:
            self.writer.write({"state_dict": self._best_weights}, self.best)
        trainer.save_checkpoint(self.last)
        if trainer.is_global_zero:
            self.writer.remove(old for old in self.folder.glob(f"{self.name}-best-*.ckpt") if old != self.best)
        self._on_disk = self.best_epoch


def _averaged(mean: dict[str, Any], weights: dict[str, Any], number: int) -> dict[str, Any]:
    """The mean of ``number`` epochs' weights with those of one more."""
    return {
        name: mean[name] + (value - mean[name]) / (number + 1) if value.is_floating_point() else value
        for name, value in weights.items()
    }


def load_checkpoint(file: Path) -> dict[str, Any]:
    """A checkpoint of kdlab's own making, as tensors and plain values.

    Raises:
        KdlabError: It is not there, or damaged.
    """
    with door(file, "the training starts again"):
        checkpoint: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return checkpoint


def is_whole(file: Path) -> bool:
    """Whether a checkpoint can be read to its end, every part of it with the checksum that it was written with."""
    try:
        with door(file, "the training starts again"), zipfile.ZipFile(file) as parts:
            return parts.testzip() is None
    except KdlabError:
        return False
