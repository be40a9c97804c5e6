"""DistillModule: the training loop that every method shares; what a method overrides stands in ``contract.py``.

The base owns the frozen teacher, optimisers with warm-up, logging of every loss term and one evaluation step. A
one-player method declares its ``Config`` and ``needs`` and overrides ``compute_loss``; nothing else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TaskSpec
from kdlab.errors import MethodError
from kdlab.methods.contract import MethodContract
from kdlab.methods.shared.context import PhaseContext, plain_state, without_teacher
from kdlab.methods.shared.players import STUDENT, Players, clip_gradients, gradients_for
from kdlab.methods.shared.randomness import seed_step
from kdlab.methods.shared.settings import MethodConfig, Phase, TrainingConfig
from kdlab.methods.shared.terms import StepTerms
from kdlab.methods.shared.validation import Validation, answers_on, evaluating, scores_of
from kdlab.models.answering import answering
from kdlab.models.encoder import TextEncoder, freeze
from kdlab.models.packed import packed
from kdlab.system.distributed import agree, gather, rank, world_size
from kdlab.types import Batch, LossTerms, Need

__all__ = ["DistillModule", "MethodConfig", "Phase", "PhaseContext", "TrainingConfig"]


class DistillModule(MethodContract):
    """A method: a loss over a student and a frozen teacher.

    Args:
        config: The method's own settings, an instance of ``Config``.
        student: What is trained.
        teacher: What is learned from, where ``needs`` asks for more than its cached logits; else None.
        task: What the labels are.

    Attributes:
        context: The phase under way, its length and data, and who is told.
        student_step: Steps that the student has made in this phase; schedules, history and checkpoints count in them.
        batches_seen: Batches of this phase so far: where the cycle of players stands.
        shared_rng: Draws what all processes must draw alike; seeded anew for every batch and epoch.
        terms, validation: Loss terms between two lines of the history; answers on the split that selects.
    """

    def __init__(self, config: Any, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__()
        if self.needs_of(config) - {Need.LOGITS} and teacher is None:
            raise MethodError(f"{self.name} needs the teacher itself")
        self.config = config
        self.task = task
        self.student = student
        self.teacher = None if teacher is None else freeze(teacher)
        self.context = PhaseContext()
        self.shared_rng: torch.Generator | None = None
        self.student_step = self.batches_seen = 0
        self.epoch_begun = -1
        self.terms = StepTerms()
        self.validation = Validation()
        self.train()  # from_pretrained leaves the student in eval mode, and fit does not call train()

    # --- where a training stands -------------------------------------------------------------------------------------

    def begin_phase(self, context: PhaseContext) -> None:
        """Called before each phase's ``fit``."""
        if (players := tuple(self.players())) != (declared := self.players_of(self.config)):
            raise MethodError(f"{self.name}: players() are {players}, and players_of says {declared}")
        self.automatic_optimization = len(players) == 1  # several players are stepped by `step`
        self.context = context
        self.student_step = self.batches_seen = 0
        self.epoch_begun = -1

    @torch.no_grad()
    def score(self, split: str, metric: str | None = None) -> float:
        """The task's first metric, or ``metric``, of the student's answers on a labelled split; every process must ask.

        Modes are put back, and no random number is drawn. The phase must have been begun with data.
        """
        if self.context.data is None:
            raise ValueError("a score needs data: the phase was begun without any")
        with evaluating(self), self.answering():
            threaded = self.student.compiled is None and not self._answers_itself()  # its own may keep things
            answers = answers_on(self.context.data, split, self.answer, self.device, threaded)
        return scores_of(answers, self.task)[metric or self.task.monitor]

    def answering(self) -> AbstractContextManager[None]:
        """In eval mode ``answer`` has the same result at the least cost, for as long as this lasts.

        A method that answers in a way of its own may read any layer's states, so nothing is left out there.
        """
        if self._answers_itself():
            return nullcontext() if self.student.compiled else packed(self)
        return answering(self.student)

    def _answers_itself(self) -> bool:
        return type(self).answer is not MethodContract.answer

    def train(self, mode: bool = True) -> DistillModule:
        """Sets the mode of everything but the teacher, which stays in eval mode."""
        super().train(mode)
        if getattr(self, "teacher", None) is not None:
            self.frozen_teacher.eval()
        return self

    # --- the shared loop ---------------------------------------------------------------------------------------------

    def start_epoch(self, epoch: int, data: TextDataModule) -> None:
        """Has the method draw its rows, once in each process for each epoch."""
        if epoch == self.epoch_begun:
            return
        self.epoch_begun = epoch
        self._draw_from(f"epoch {epoch}")
        self.begin_epoch(epoch, data)
        rows, promised = len(data.training_split), self.rows_in(self.config, data.sizes, self.context.phase)
        if rows != promised:
            raise MethodError(f"{self.name} trains on {rows} rows in epoch {epoch}, and rows_of says {promised}")

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Fixes what a step's terms belong to, and draws its random numbers from (seed, phase, step) alone."""
        self._draw_from(f"{self.global_step}/{batch_idx}")
        self.terms.begin(self.student_step + 1, batch)

    def _draw_from(self, place: str) -> None:
        self.shared_rng = seed_step(f"{self.context.seed}/{self.context.phase.name}/{place}", rank(), self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """One step of a one-player method, the turn of one of several players, or a step of each."""
        if self.automatic_optimization:
            losses = self.compute_loss(batch)
            return self.terms.record(STUDENT, losses, moves=True)
        turns = [self.cycle.player_at(self.batches_seen)] if self.cycle.turns else self.optimised.parameters
        for player in turns:
            with gradients_for(player, self.optimised.parameters):
                losses_of_player = self.loss_of(player, batch)
            if agree(losses_of_player is not None, f"{self.name}'s loss_of says None for its {player}"):
                self.step(player, losses_of_player)  # type: ignore[arg-type]
        return None

    def step(self, player: str, losses: LossTerms) -> None:
        """One step of one of several players: record, backward, clip, step, schedule.

        A loss without a gradient is recorded and moves nobody: a player may have nothing to learn from a batch, in
        which case it has nothing in any process.
        """
        loss = self.terms.record(player, losses)
        if not agree(loss.requires_grad, f"{self.name}'s loss of its {player} has no gradient"):
            return
        optimizers: Any = self.optimizers()
        optimizer = optimizers[self.optimised.index(player)]
        with gradients_for(player, self.optimised.parameters):
            self.manual_backward(loss)
            optimizer.step()  # clips in on_before_optimizer_step, where a gradient scaler has unscaled
            optimizer.zero_grad()
        schedule = self.optimised.schedules[player]
        if schedule is not None:
            schedule.step()
        if player == STUDENT:
            self.student_step += 1

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Counts student steps and writes the means of terms to the loggers."""
        if self.automatic_optimization:
            self.student_step = self.global_step
        training = self.context.training
        students = not self.cycle.turns or self.cycle.player_at(self.batches_seen) == STUDENT
        self.batches_seen += 1
        last = 0 <= training.max_steps <= self.student_step
        if last:
            self.trainer.should_stop = True  # the Trainer's own max_steps would end the epoch without validation
        last = last or batch_idx + 1 == self.trainer.num_training_batches
        stepped = (batch_idx + 1) % training.accumulate == 0
        if last or (stepped and students and len(self.terms) >= training.log_every):
            self._write_line(waits_for_student=bool(self.cycle.turns))
        if stepped and not last:  # gradients half added up are in no checkpoint, and an epoch's end asks by itself
            self.context.listener.step_done(self.trainer)

    def on_train_epoch_end(self) -> None:
        """Lets players step behind the epoch, and writes their terms in a line of their own."""
        self.terms.begin(self.student_step, None)
        self.end_epoch(self.trainer.current_epoch)
        self._write_line(waits_for_student=bool(self.cycle.turns))

    def _write_line(self, waits_for_student: bool) -> None:
        """A line of the history; other players' turns stand in the line of the student's next step."""
        self.check_finite()
        if not len(self.terms) or (waits_for_student and "loss" not in self.terms.names):
            return
        line = {f"train/{name}": value for name, value in self.terms.read_line().items()}
        line["lr"] = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        for logger in self.loggers:
            logger.log_metrics(line, step=self.context.steps_before + self.student_step)

    def check_finite(self) -> None:
        """Raises ``KdlabError`` where a loss became infinite or no number; called before every line and checkpoint."""
        self.terms.check_finite(self.name, self.context)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The student's answers on clean inputs."""
        self.validation.add(batch, self.answer(batch))

    def on_validation_epoch_end(self) -> None:
        """The task's metrics on the whole split, as ``val/<metric>`` and ``val/loss``."""
        scores = self.validation.close(self.task)
        # Lightning takes the step of its own loggers' rows from "step", which would be one less than the student's
        step = {"step": float(self.context.steps_before + self.student_step)}
        self.log_dict({f"val/{name}": value for name, value in scores.items()} | step)

    # --- optimisers ---------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """Each player's optimiser and schedule, counted in its own steps."""
        batches = self.cycle.batches(STUDENT, self.context.total_steps)
        self.optimised = Players(self.players())
        for player, weights in self.optimised.parameters.items():
            optimizer = self.optimised.checked(player, self.optimizer_of(player, weights))
            self.optimised.add(
                player, optimizer, self.schedule_of(player, optimizer, self.cycle.steps(player, batches))
            )
        return self.optimised.for_lightning(self.automatic_optimization)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clips a player that is stepped by hand; the Trainer asks for the only player's clipping below."""
        if not self.automatic_optimization:
            clip_gradients(optimizer, self.context.training.clip)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clips here, not in the Trainer, which refuses fused AdamW under autocast though nothing is scaled there."""
        clip_gradients(optimizer, self.context.training.clip)

    # --- checkpoints hold no teacher ---------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves the teacher's weights out, and puts in where the training stands."""
        checkpoint["state_dict"] = without_teacher(checkpoint["state_dict"])
        checkpoint["kdlab"] = {
            "terms": gather(self.terms.state_dict()),  # every process's own
            "student_step": self.student_step,
            "batches_seen": self.batches_seen,
            "method": plain_state(self.name, self.method_state()),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts the teacher that was given back in, so that loading stays strict."""
        checkpoint["state_dict"] = self._with_teacher(checkpoint["state_dict"])
        place = checkpoint["kdlab"]
        terms = place["terms"] if "terms" in place else place["windows"]  # as kdlab wrote them before it kept `method`
        if len(terms) == world_size():  # another number of processes begins the line anew
            self.terms.load_state_dict(terms[rank()])
        self.student_step, self.batches_seen = place["student_step"], place["batches_seen"]
        self.restore_method_state(place.get("method", {}))

    def load_weights(self, state: dict[str, Tensor]) -> None:
        """Takes the weights of a checkpoint, and nothing else of it."""
        self.load_state_dict(self._with_teacher(state))

    def _with_teacher(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        teacher = {} if self.teacher is None else {f"teacher.{k}": v for k, v in self.teacher.state_dict().items()}
        return {**state, **teacher}
