"""Validation at the cost of predictions."""

from __future__ import annotations

from contextlib import ExitStack

from lightning import Callback, LightningModule, Trainer

from kdlab.methods.base import DistillModule


class QuickValidation(Callback):
    """Has a method answer at the least cost in each validation.

    Args:
        module: The method in training.
    """

    def __init__(self, module: DistillModule) -> None:
        self.module = module
        self._meanwhile = ExitStack()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Behind this the method only answers."""
        self._meanwhile.enter_context(self.module.answering())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Everything is as it was."""
        self._meanwhile.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Everything is as it was."""
        self._meanwhile.close()
