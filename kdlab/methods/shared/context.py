"""What a training hands to the method it trains: the phase, its length, the data, and who is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightning import Trainer

from kdlab.data.module import TextDataModule
from kdlab.methods.shared.settings import Phase, TrainingConfig


class Listener:
    """Who is told during a training; this one does nothing, so that a method works without a run around it."""

    def warn(self, text: str) -> None:
        """Takes a sentence for the user."""

    def show(self, pairs: list[tuple[str, str]]) -> None:
        """Takes pairs of original and made text, in the student step under way."""

    def step_done(self, trainer: Trainer) -> None:
        """Called when a batch is done and its terms are logged: a checkpoint may be due."""


@dataclass(frozen=True)
class PhaseContext:
    """One phase of a training.

    Attributes:
        phase: Its name, epochs and learning rate.
        training: Batch size, clipping and the like.
        total_steps: Its length in the student's steps, at least 1.
        seed: Draws everything random in it.
        steps_before: The student's steps in earlier phases, so that steps rise through the history.
        data: The data that is trained on, for methods that draw rows or ask for scores.
        listener: Who is told.
    """

    phase: Phase = field(default_factory=Phase)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    total_steps: int = 1
    seed: int = 0
    steps_before: int = 0
    data: TextDataModule | None = None
    listener: Listener = field(default_factory=Listener)
