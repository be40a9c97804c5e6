"""Typed settings that every method shares: its own section, how it is trained, and its phases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from kdlab.errors import KdlabError, nearest


@dataclass
class MethodConfig:
    """Settings of a method; subclass it beside the method, one typed field a setting.

    Attributes:
        not_in_fingerprint: Those that change nothing of the student, and so stand in no fingerprint.
        section: Where they stand in the configuration: the method's name, which it sets itself.
    """

    not_in_fingerprint: ClassVar[tuple[str, ...]] = ()
    section: ClassVar[str] = "method"

    def validate(self) -> None:
        """Raises ``KdlabError`` for values that make no sense; the base has none."""


def positive(config: MethodConfig, *names: str) -> None:
    """Raises ``KdlabError`` where one of these settings is neither positive nor left out (None)."""
    for name in names:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise KdlabError(f"{config.section}.{name} is {value}: it must be positive.")


def at_least(config: MethodConfig, least: int, *names: str, counts: str = "") -> None:
    """Raises ``KdlabError`` where one of these settings is below a number; None is left out.

    Args:
        config: The settings.
        least: The smallest number that makes sense.
        names: Which of them.
        counts: What they count, for the message.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value < least:
            must = f"it counts {counts}, {least} or more" if counts else f"it must be {least} or more"
            raise KdlabError(f"{config.section}.{name} is {value}: {must}.")


def fraction(config: MethodConfig, *names: str) -> None:
    """Raises ``KdlabError`` where one of these settings is not in [0, 1]."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise KdlabError(f"{config.section}.{name} is {value}: it must lie in [0, 1].")


def one_of(config: MethodConfig, name: str, words: Iterable[str]) -> None:
    """Raises ``KdlabError`` where a setting is none of these words."""
    value = str(getattr(config, name))
    if value not in words:
        raise nearest(value, words, f"{config.section}.{name} of the name")


def check_weights(config: MethodConfig, *names: str) -> None:
    """Raises ``KdlabError`` where one of these weights of losses is negative."""
    for name in names:
        if getattr(config, name) < 0:
            raise KdlabError(
                f"{config.section}.{name} is {getattr(config, name)}: the weight of a loss can't be negative."
            )


@dataclass
class TrainingConfig:
    """How an encoder is trained.

    Attributes:
        epochs: Passes over the training data.
        max_steps: Stop each phase after so many steps; -1 trains all epochs.
        min_steps: Where the epochs make fewer steps, more of them are trained, unless they or ``max_steps`` are given:
            a hundred sentences are three steps an epoch. 0 keeps the epochs; phases of a length of their own stay.
        batch_size: Examples an optimiser step, over all devices.
        eval_batch_size: Examples a batch of evaluation; 0 takes what is fastest on the hardware.
        learning_rate: Peak learning rate.
        weight_decay: AdamW's, on all weights but biases and LayerNorm.
        warmup: Fraction of steps in which the learning rate rises; then it falls linearly to zero.
        clip: Largest norm of the gradient; 0 does not clip.
        accumulate: Steps whose gradients are added up before an optimiser step; ``batch_size`` counts all of them.
        patience: End a phase behind so many epochs without a better one; 0 trains all epochs. The learning rate falls
            as if all were trained.
        validate_every: Epochs from one validation to the next; the last epoch is validated always. Where an epoch is a
            few steps, validating each of them takes longer than training.
        checkpoint_every: Seconds of work that an interruption may cost, besides the step under way.
        log_every: Optimiser steps between two lines of the history; each line is the mean of what lies between.
    """

    epochs: int = 3
    max_steps: int = -1
    min_steps: int = 300
    batch_size: int = 32
    eval_batch_size: int = 0
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    accumulate: int = 1
    log_every: int = 20
    patience: int = 0
    validate_every: int = 1
    checkpoint_every: float = 30.0


ROBERTA_PAIR = {"teacher.source": "roberta-large", "student.source": "distilroberta-base"}
"""Teacher and student of CILDA's table 1, in which MATE-KD and Annealing-KD stand as well."""

NOT_IN_FINGERPRINT = ("eval_batch_size", "log_every", "checkpoint_every", "min_steps")
"""Settings of a training that stand in no fingerprint: they change nothing of what it makes, or, as ``min_steps`` does,
another setting that stands in it."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training with a schedule of its own.

    Attributes:
        name: Shown in progress and history.
        epochs: Passes over the data; None takes the configuration's.
        learning_rate: Peak learning rate; None takes the configuration's.
        choose: Whether the epoch with the best metric goes on to the next phase; otherwise the last one does, where the
            metric says nothing yet.
    """

    name: str = "train"
    epochs: int | None = None
    learning_rate: float | None = None
    choose: bool = True
