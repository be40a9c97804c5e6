"""What a training hands to the method it trains: the phase, its length, the data, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lightning import Trainer
from torch import Tensor

from kdlab.data.module import TextDataModule
from kdlab.errors import MethodError
from kdlab.methods.shared.settings import Phase, TrainingConfig


class Listener:
    """Who is told during a training; this one does nothing, so that a method works without a run around it."""

    def warn(self, text: str) -> None:
        """Takes a sentence for the user."""

    def say(self, text: str) -> None:
        """Takes a line about what takes long."""

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


def without_teacher(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A method's weights by name, less those of its teacher, which checkpoints leave out."""
    return {name: weight for name, weight in weights.items() if not name.startswith("teacher.")}


def plain_state(method: str, state: dict[str, Any]) -> dict[str, Any]:
    """A method's state, of which a checkpoint can be read again without running foreign code.

    Raises:
        MethodError: It holds more than tensors, numbers, texts, None, and lists, tuples and dictionaries of them.
    """
    todo: list[tuple[str, Any]] = list(state.items())
    while todo:
        name, value = todo.pop()
        if isinstance(value, dict):
            todo += [(f"{name}.{key}", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            todo += [(f"{name}[{i}]", item) for i, item in enumerate(value)]
        elif type(value) not in (int, float, bool, str, type(None), Tensor):
            raise MethodError(
                f"{method}: method_state's {name} is a {type(value).__name__}; keep tensors and plain values"
            )
    return state
