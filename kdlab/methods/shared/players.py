"""Who is optimised: players and their turns, who takes a gradient, optimisers and schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from kdlab.errors import MethodError

STUDENT = "student"


@dataclass(frozen=True)
class Cycle:
    """Whose turn it is: each player moves on so many batches, one player after the other, again and again.

    Every batch of an epoch goes to one player, and the cycle runs on through the epochs of a phase.

    Attributes:
        turns: Player and number of batches, in order; empty where every player moves on every batch.
    """

    turns: tuple[tuple[str, int], ...] = ()

    def player_at(self, batch: int) -> str:
        """Who moves on a batch.

        Args:
            batch: Its number in the phase, from 0.

        Raises:
            ValueError: There are no turns.
        """
        if not self.turns:
            raise ValueError("without turns every player moves on every batch")
        left = batch % sum(n for _, n in self.turns)
        for player, n in self.turns:
            if left < n:
                return player
            left -= n
        raise ValueError(f"batch {batch} is no number from 0")

    def steps(self, player: str, batches: int) -> int:
        """Steps of a player in the first so many batches of a phase."""
        if not self.turns:
            return batches
        whole, rest = divmod(batches, sum(n for _, n in self.turns))
        steps = whole * sum(n for name, n in self.turns if name == player)
        for name, n in self.turns:
            steps += min(rest, n) if name == player else 0
            rest = max(rest - n, 0)
        return steps

    def batches(self, player: str, steps: int) -> int:
        """The fewest batches in which a player makes so many steps."""
        if not self.turns or steps == 0:
            return steps
        a_cycle = self.steps(player, sum(n for _, n in self.turns))
        whole, rest = divmod(steps - 1, a_cycle)  # rest + 1 steps fall in the last cycle
        used = whole * sum(n for _, n in self.turns)
        for name, n in self.turns:
            if name == player and rest < n:
                return used + rest + 1
            rest -= n if name == player else 0
            used += n
        raise ValueError(f"{player} has no turn")


@contextmanager
def gradients_for(player: str, players: Mapping[str, Iterable[Parameter]]) -> Iterator[None]:
    """Lets gradients reach one player's weights alone, from the forward pass on; they still flow *through* the others.

    Lightning's ``toggle_optimizer`` around the backward pass alone would still compute the others' gradients.

    Args:
        player: Who takes gradients.
        players: Everybody's weights; one that belongs to two players goes with either.
    """
    own = {id(p) for p in players[player]}
    others = [p for name, weights in players.items() if name != player for p in weights]
    others = [p for p in others if p.requires_grad and id(p) not in own]
    for p in others:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in others:
            p.requires_grad_(True)


def adamw(parameters: Iterable[Parameter], rate: float, decay: float, fused: bool) -> torch.optim.AdamW:
    """AdamW with weight decay on everything but biases and LayerNorm."""
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},  # biases and LayerNorm
    ]
    return torch.optim.AdamW(groups, lr=rate, fused=fused)


def linear_warmup_decay(total: int, warmup: float) -> Callable[[int], float]:
    """Fraction of the peak learning rate at a step: up linearly, then down linearly to zero.

    Args:
        total: Steps of the whole schedule.
        warmup: Fraction of them in which it rises.
    """
    warm = round(warmup * total)

    def at(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return max(0.0, (total - step) / max(total - warm, 1))

    return at


class Players:
    """The weights that are optimised, by player, each with its optimiser and its schedule.

    Built once a phase, because walking through all modules in every step would cost milliseconds.

    Args:
        parameters: Each player's weights, the student's first.
    """

    def __init__(self, parameters: Mapping[str, Iterable[Parameter]]) -> None:
        self.parameters = {name: list(weights) for name, weights in parameters.items()}
        self.optimizers: dict[str, Optimizer] = {}
        self.schedules: dict[str, LRScheduler | None] = {}

    def checked(self, player: str, optimizer: Optimizer) -> Optimizer:
        """A player's optimiser, which must be one of all the weights that it trains and of no others.

        Raises:
            MethodError: It is not.
        """
        if not isinstance(optimizer, Optimizer):
            raise MethodError(f"optimizer_of gives the {player} a {type(optimizer).__name__}, which is no optimiser")
        stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
        handed = self.parameters[player]
        if stepped - {id(p) for p in handed} or {id(p) for p in handed if p.requires_grad} - stepped:
            raise MethodError(f"the optimiser that optimizer_of gives the {player} is of other weights than its own")
        return optimizer

    def add(self, player: str, optimizer: Optimizer, schedule: LRScheduler | None) -> None:
        """Gives a player its optimiser and its schedule; None keeps the learning rate."""
        self.optimizers[player], self.schedules[player] = optimizer, schedule

    def index(self, player: str) -> int:
        """Where its optimiser stands among all."""
        return list(self.parameters).index(player)

    def for_lightning(self, automatic: bool) -> Any:
        """What ``configure_optimizers`` returns."""
        optimizers = list(self.optimizers.values())
        schedules = [schedule for schedule in self.schedules.values() if schedule is not None]
        if not automatic:
            return optimizers, schedules
        if not schedules:
            return optimizers[0]
        return {"optimizer": optimizers[0], "lr_scheduler": {"scheduler": schedules[0], "interval": "step"}}


def clip_gradients(optimizer: Optimizer, largest: float) -> None:
    """Scales an optimiser's gradients down to a norm; 0 leaves them as they are."""
    if largest:
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, largest)
