"""The loss terms of the steps between two lines of the history."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class TermWindow:
    """Collects detached scalars without waiting for the device; they are read together when a line is due."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.steps: list[int] = []
        self.values: list[Tensor] = []
        self.examples: list[Tensor] = []

    def __len__(self) -> int:
        return len(set(self.steps))

    def add(self, step: int, terms: dict[str, Tensor], examples: Tensor, share: float = 1.0) -> None:
        """Adds a step's terms.

        Args:
            step: Its number.
            terms: Scalars by name.
            examples: Positions of the step's examples in the training split, ``(B,)``.
            share: What this process's mean counts in the mean over several processes.
        """
        for name, value in terms.items():
            self.names.append(name)
            self.steps.append(step)
            self.values.append(value.detach().float() * share if share != 1.0 else value.detach().float())
            self.examples.append(examples)

    def means(self) -> dict[str, float]:
        """Each term's mean over the steps that had it."""
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

    def clear(self) -> None:
        """Starts anew."""
        self.__init__()  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint, as plain values."""
        examples = [e.tolist() for e in self.examples]
        return {"names": self.names, "steps": self.steps, "values": self._read(), "examples": examples}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.names, self.steps = list(state["names"]), list(state["steps"])
        self.values = [torch.tensor(value) for value in state["values"]]
        self.examples = [torch.tensor(e) for e in state["examples"]]

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
    held = {name: [terms[name] for terms in processes if name in terms] for name in names}
    return {name: math.fsum(values) / len(values) for name, values in held.items()}
