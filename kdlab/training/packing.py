"""Validation in float32 on a processor with packed linear layers, as predictions are made."""

from __future__ import annotations

from lightning import Callback, LightningModule, Trainer
from torch import nn

from kdlab.methods.base import DistillModule
from kdlab.models.packed import pack, unpack


class PackedValidation(Callback):
    """Packs the linear layers that answer, for each validation.

    Args:
        module: The method in training.
    """

    def __init__(self, module: DistillModule) -> None:
        self.module = module
        self._layers: list[nn.Linear] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Packs them; lower precision has products of its own, and a compiled pass stays one."""
        if trainer.precision == "32-true" and self.module.student.compiled is None:
            self._layers = pack(self.module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Unpacks them."""
        layers, self._layers = self._layers, []
        unpack(layers)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Unpacks them."""
        self.on_validation_end(trainer, pl_module)
