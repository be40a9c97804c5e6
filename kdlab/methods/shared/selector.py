"""L2A's selector: a small network that keeps or drops examples, and what it has done in the epoch under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

_KINDS = ("states", "actions", "drawn", "index")
_SPREAD = 5.0  # of the first weights: probabilities differ by tenths, and units that are nearly linear tell no pattern


class Selector(nn.Module):
    """Logits of keeping an example, of what teacher and student answer to it; at first it keeps every second one.

    Args:
        outputs: C of each network.
        hidden: Units of its hidden layer; 128 in the paper.
        regression: Whether it sees scores and not probabilities.
    """

    def __init__(self, outputs: int, hidden: int, regression: bool) -> None:
        super().__init__()
        self.regression = regression
        self.hidden = nn.Linear(2 * outputs, hidden)
        self.keep = nn.Linear(hidden, 1)
        self.drawn = False

    def draw(self, seed: int) -> None:
        """Draws its weights the first time."""
        if not self.drawn:
            draw = torch.Generator().manual_seed(seed)
            spread = self.hidden.in_features**-0.5 if self.regression else _SPREAD
            nn.init.normal_(self.hidden.weight, std=spread, generator=draw)
            nn.init.normal_(self.hidden.bias, std=spread / 2, generator=draw)
            nn.init.zeros_(self.keep.weight)
            nn.init.zeros_(self.keep.bias)
        self.drawn = True

    def forward(self, states: Tensor) -> Tensor:
        """``(B, 2C)`` to ``(B,)`` float32, whatever precision is around."""
        with torch.autocast(states.device.type, enabled=False):
            return self.keep(torch.tanh(self.hidden(states.float()))).squeeze(-1)  # type: ignore[no-any-return]


def state_of(teacher: Tensor, student: Tensor, regression: bool) -> Tensor:
    """What the selector sees of examples: both networks' probabilities, or their scores, ``(B, 2C)`` float32.

    Args:
        teacher: Logits ``(B, C)``.
        student: Logits ``(B, C)``.
        regression: Whether they are scores.
    """
    answers = [logits.detach().float() for logits in (teacher, student)]
    return torch.cat(answers if regression else [one.softmax(-1) for one in answers], dim=-1)


@dataclass
class Episode:
    """The steps of an epoch: what the selector saw, what it did, and what came of it.

    Attributes:
        states: ``(B, 2C)`` of each step, on the CPU.
        actions: ``(B,)``, 1 for kept.
        drawn: The chance that each was kept, ``(B,)``.
        index: Positions of the examples in the pool, ``(B,)``.
        rewards: How much the score rose in each step.
    """

    states: list[Tensor] = field(default_factory=list)
    actions: list[Tensor] = field(default_factory=list)
    drawn: list[Tensor] = field(default_factory=list)
    index: list[Tensor] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def add(self, states: Tensor, actions: Tensor, drawn: Tensor, index: Tensor) -> None:
        """A step whose reward is still to come."""
        self.states.append(states.cpu())
        self.actions.append(actions.cpu())
        self.drawn.append(drawn.cpu())
        self.index.append(index.cpu())

    def reward(self, value: float) -> None:
        """The reward of the last step."""
        self.rewards.append(value)

    @torch.no_grad()
    def chances(self, selector: Selector, size: int, device: torch.device) -> Tensor:
        """How likely a selector now keeps each of ``size`` examples, ``(size,)``; 1 for those that were in no step."""
        keep = torch.ones(size)
        for states, index in zip(self.states, self.index, strict=True):
            keep[index] = torch.sigmoid(selector(states.to(device))).cpu()
        return keep

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint, as plain values: one tensor of each kind, for thousands take long to write."""
        sizes = [len(actions) for actions in self.actions]
        kinds = {name: getattr(self, name) for name in _KINDS}
        joined = {name: torch.cat(parts) if parts else torch.empty(0) for name, parts in kinds.items()}
        return {**joined, "sizes": sizes, "rewards": list(self.rewards)}

    @staticmethod
    def from_state(state: dict[str, Any]) -> Episode:
        """From a checkpoint."""
        sizes = list(state["sizes"])
        parts = {name: list(state[name].split(sizes)) if sizes else [] for name in _KINDS}
        return Episode(**parts, rewards=list(state["rewards"]))
