"""The loss terms of the steps between two lines of the history."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from kdlab.errors import KdlabError, MethodError
from kdlab.methods.shared.context import PhaseContext
from kdlab.methods.shared.players import STUDENT
from kdlab.system.distributed import gather, world_size
from kdlab.types import Batch, LossTerms


class StepTerms:
    """Collects detached scalars without waiting for the device; they are read together when a line is due.

    What a step's terms belong to is fixed when its batch begins: a term that is recorded after the student's step
    stands in that step's line, not in the next one's.

    Attributes:
        last_line: The terms of the last line, as they were written.
    """

    names: list[str]
    steps: list[int]
    values: list[Tensor]
    examples: list[Tensor]

    def __init__(self) -> None:
        self.last_line: dict[str, float] = {}
        self.begin(1, None)
        self.clear()

    def __len__(self) -> int:
        return len(set(self.steps))

    def begin(self, step: int, batch: Batch | None) -> None:
        """Says what the terms to come belong to.

        Args:
            step: The student's step that they stand beside.
            batch: The batch under way; None between batches, where every process has the same loss.
        """
        self._step = step
        self._index = torch.empty(0, dtype=torch.long) if batch is None else batch.index
        shared = batch is not None and batch.whole is not None
        self._share = batch.fraction * world_size() if shared and batch is not None else 1.0

    def record(self, player: str, losses: LossTerms, moves: bool = False) -> Tensor:
        """Adds a step's terms; nothing is moved to the CPU here.

        Args:
            player: Whose they are; the student's total is ``loss``, another's ``NAME_loss``.
            losses: Its objective and the parts.
            moves: Whether the objective must have a gradient.

        Returns:
            The objective weighted so that the mean over processes is the global batch's: a process's mean counts by its
            examples.

        Raises:
            MethodError: The objective is no scalar, has no gradient where it must, or a term is no tensor.
        """
        if not isinstance(losses, LossTerms):
            raise MethodError(f"the loss of the {player} is a {type(losses).__name__}: give LossTerms(total, terms)")
        total = "loss" if player == STUDENT else f"{player}_loss"
        if total in losses.terms:
            raise MethodError(f"a loss term of the {player} is called '{total}', as its total is: give it another name")
        if losses.total.ndim or (moves and not losses.total.requires_grad):
            what = f"has the shape {tuple(losses.total.shape)}" if losses.total.ndim else "has no gradient"
            raise MethodError(f"the total loss of the {player} {what}: it must be a scalar that is differentiated")
        if odd := [name for name, value in losses.terms.items() if not isinstance(value, Tensor)]:
            raise MethodError(f"the loss term '{odd[0]}' of the {player} is no tensor: give the scalar tensor itself")
        self.add({total: losses.total, **losses.terms})
        return losses.total if self._share == 1.0 else losses.total * self._share

    def add(self, terms: dict[str, Tensor]) -> None:
        """Adds scalars by name."""
        for name, value in terms.items():
            self.names.append(name)
            self.steps.append(self._step)
            self.values.append(value.detach().float() * self._share if self._share != 1.0 else value.detach().float())
            self.examples.append(self._index)

    def read_line(self) -> dict[str, float]:
        """Each term's mean over the steps that had it and over the processes; the terms begin anew."""
        self.last_line = mean_of(gather(self.means()))
        self.clear()
        return self.last_line

    def means(self) -> dict[str, float]:
        """Each term's mean over the steps that had it, of this process."""
        sums: dict[str, list[float]] = {}
        for name, value in zip(self.names, self._read(), strict=True):
            sums.setdefault(name, []).append(value)
        return {name: math.fsum(values) / len(values) for name, values in sums.items()}

    def first_bad(self) -> tuple[str, float, int, list[int]] | None:
        """The first term that is infinite or no number: name, value, step, and positions of the step's examples."""
        for i, value in enumerate(self._read()):
            if not math.isfinite(value):
                return self.names[i], value, self.steps[i], self.examples[i].tolist()
        return None

    def check_finite(self, method: str, context: PhaseContext) -> None:
        """Stops where a term became infinite or no number.

        Raises:
            KdlabError: Names term, step and examples.
        """
        bad = self.first_bad()
        if bad is None:
            return
        name, value, step, positions = bad
        names = positions if context.data is None else [context.data.training_split.names[i] for i in positions]
        where = f", on the training examples with ids {', '.join(map(str, names))}" if names else ""
        raise KdlabError(
            f"The loss term '{name}' of {method} became {value} in step {step} of phase '{context.phase.name}'{where}: "
            f"lower the learning rate (training.learning_rate is {context.training.learning_rate}) or look at these "
            "examples; the state before is kept."
        )

    def clear(self) -> None:
        """Forgets the terms of the line under way."""
        self.names, self.steps, self.values, self.examples = [], [], [], []

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint, as plain values."""
        examples = [e.tolist() for e in self.examples]
        terms = {"names": self.names, "steps": self.steps, "values": self._read(), "examples": examples}
        return {**terms, "last_line": self.last_line}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.names, self.steps = list(state["names"]), list(state["steps"])
        self.values = [torch.tensor(value) for value in state["values"]]
        self.examples = [torch.tensor(e, dtype=torch.long) for e in state["examples"]]
        self.last_line = dict(state.get("last_line", {}))

    def _read(self) -> list[float]:
        if not self.values:
            return []
        device = self.values[-1].device
        return torch.stack([v.to(device) for v in self.values]).tolist()


def mean_of(processes: list[dict[str, float]]) -> dict[str, float]:
    """Each term's mean over the processes that had it."""
    if len(processes) == 1:
        return processes[0]
    names = dict.fromkeys(name for terms in processes for name in terms)
    by_name = {name: [terms[name] for terms in processes if name in terms] for name in names}
    return {name: math.fsum(values) / len(values) for name, values in by_name.items()}
