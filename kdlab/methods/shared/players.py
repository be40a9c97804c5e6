"""Who is optimised: players and their turns, who takes a gradient, and each one's optimiser, clipping and schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn import Parameter

from kdlab.data.tasks import TaskSpec
from kdlab.methods.shared.settings import Phase, TrainingConfig

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
        made = whole * sum(n for name, n in self.turns if name == player)
        for name, n in self.turns:
            made += min(rest, n) if name == player else 0
            rest = max(rest - n, 0)
        return made

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
    kept = {id(p) for p in players[player]}
    others = [p for name, held in players.items() if name != player for p in held]
    others = [p for p in others if p.requires_grad and id(p) not in kept]
    for p in others:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in others:
            p.requires_grad_(True)


def adamw(parameters: Iterable[Parameter], rate: float, decay: float, fused: bool) -> torch.optim.AdamW:
    """AdamW with weight decay on everything but biases and LayerNorm."""
    held = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in held if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in held if p.ndim < 2], "weight_decay": 0.0},  # biases and LayerNorm
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


class Players(LightningModule):
    """The side of a method that optimises: one player by Lightning, several by hand, each in its own steps.

    Attributes:
        student_step: Steps that the student has made in this phase; schedules, history and checkpoints count in them.
        batches_seen: Batches of this phase so far: where the cycle stands.
        held: Each player's weights; walking through all modules in every step would cost milliseconds.
    """

    config: Any
    task: TaskSpec
    phase: Phase
    training_config: TrainingConfig
    total_steps: int
    student_step: int
    batches_seen: int
    held: dict[str, list[Parameter]]

    # --- what a method overrides -------------------------------------------------------------------------------------

    def players(self) -> dict[str, Iterable[Parameter]]:
        """Who is optimised, by name, the student first. The default is one player.

        A second makes the method step by hand: it overrides ``cycle_of`` and ``loss_of``, or, where all move on every
        batch, ``training_step``, in which it calls ``optimize`` for each.
        """
        return {STUDENT: [p for n, p in self.named_parameters() if not n.startswith("teacher.")]}

    @classmethod
    def cycle_of(cls, config: Any, task: TaskSpec) -> Cycle:
        """Whose turn it is on which batch, where players take turns."""
        return Cycle()

    def learning_rate_of(self, player: str) -> float:
        """A player's peak learning rate."""
        return self.phase.learning_rate or self.training_config.learning_rate

    # --- how it is done ----------------------------------------------------------------------------------------------

    @property
    def cycle(self) -> Cycle:
        """Whose turn it is on which batch."""
        return self.cycle_of(self.config, self.task)

    def optimize(self, player: str, loss: Tensor) -> None:
        """Backward, clip, step and schedule of one player of several."""
        at = list(self.held).index(player)
        optimizers: Any = self.optimizers()
        schedules: Any = self.lr_schedulers()
        optimizer = optimizers[at]
        with gradients_for(player, self.held):
            self.manual_backward(loss)
            optimizer.step()  # clips in on_before_optimizer_step, where a gradient scaler has unscaled
            optimizer.zero_grad()
        schedules[at].step()
        if player == STUDENT:
            self.student_step += 1

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clips a player that is stepped by hand; the Trainer asks for the only player's clipping below."""
        if not self.automatic_optimization:
            self._clip(optimizer)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: Any = None,
        gradient_clip_algorithm: Any = None,
    ) -> None:
        """Clips here, not in the Trainer, which refuses fused AdamW under autocast though nothing is scaled there."""
        self._clip(optimizer)

    def _clip(self, optimizer: Any) -> None:
        if self.training_config.clip:
            held = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(held, self.training_config.clip)

    def configure_optimizers(self) -> Any:
        """AdamW for each player with linear warm-up and decay, counted in its own steps."""
        optimizers, schedules = [], []
        fused = self.trainer.precision != "16-mixed"  # a gradient scaler must unscale before clipping
        batches = self.cycle.batches(STUDENT, self.total_steps)
        self.held = {name: list(parameters) for name, parameters in self.players().items()}
        for player, parameters in self.held.items():
            rate = self.learning_rate_of(player)
            optimizer = adamw(parameters, rate, self.training_config.weight_decay, fused)
            optimizers.append(optimizer)
            schedule = linear_warmup_decay(self.cycle.steps(player, batches), self.training_config.warmup)
            schedules.append(torch.optim.lr_scheduler.LambdaLR(optimizer, schedule))
        if self.automatic_optimization:
            each_step = {"scheduler": schedules[0], "interval": "step"}
            return {"optimizer": optimizers[0], "lr_scheduler": each_step}
        return optimizers, schedules
