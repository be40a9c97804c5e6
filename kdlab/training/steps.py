"""How many optimiser steps a training takes."""

from __future__ import annotations

import math

from kdlab.data.batches import count_batches
from kdlab.errors import KdlabError
from kdlab.methods.base import TrainingConfig
from kdlab.methods.shared.players import STUDENT, Cycle

EVERY_BATCH = Cycle()


def epochs_for(examples: int, training: TrainingConfig, cycle: Cycle = EVERY_BATCH, processes: int = 1) -> int:
    """The epochs that make at least ``training.min_steps`` steps of the student, and no fewer than ``training.epochs``.

    Args:
        examples: Of the training split.
        training: Epochs, batch size and the like.
        cycle: Whose turn it is on which batch.
        processes: That share a batch.
    """
    batches = count_batches(examples, max(training.batch_size // training.accumulate, 1), processes)
    each, epochs = math.ceil(batches / training.accumulate), training.epochs
    while each and cycle.steps(STUDENT, each * epochs) < training.min_steps:
        epochs += 1
    return epochs


def count_steps(
    examples: int, training: TrainingConfig, epochs: int, cycle: Cycle = EVERY_BATCH, processes: int = 1
) -> int:
    """The student's optimiser steps in a phase.

    Args:
        examples: Of the training split.
        training: Batch size and the like.
        epochs: Of the phase.
        cycle: Whose turn it is on which batch.
        processes: That share a batch.

    Raises:
        KdlabError: The other players' turns leave it none.
    """
    batches = count_batches(examples, max(training.batch_size // training.accumulate, 1), processes)
    steps = cycle.steps(STUDENT, math.ceil(batches / training.accumulate) * epochs)
    if steps == 0 and examples:
        (first, n), *others = cycle.turns
        turns = ", then ".join([f"the {first} has {n} batches", *(f"the {player} {n}" for player, n in others)])
        raise KdlabError(
            f"The student would get no step: {turns}, and there are {batches * epochs} in all: train for more epochs, "
            "in smaller batches, or give the others fewer."
        )
    return min(steps, training.max_steps) if training.max_steps >= 0 else steps
