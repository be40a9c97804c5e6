"""Which epochs are validated."""

from __future__ import annotations

from lightning import Callback, LightningModule, Trainer


def is_validated(epoch: int, epochs: int, every: int) -> bool:
    """Whether an epoch, from 0, is one of those that are ``every`` apart, or the last."""
    return (epoch + 1) % every == 0 or epoch + 1 == epochs


class Validations(Callback):
    """Has a training validate some of its epochs, and the last one always, which Lightning's own setting leaves out.

    Args:
        every: Epochs from one validation to the next.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decides it for an epoch that goes on from its midst, which does not start."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decides it for the epoch."""
        epoch = trainer.current_epoch
        due = is_validated(epoch, int(trainer.max_epochs or 0), self.every)
        trainer.check_val_every_n_epoch = 1 if due else epoch + 2  # of which this one is no multiple
