"""DistillModule: what every method shares.

The base owns the frozen teacher, optimisers with warm-up, logging of every loss term and one evaluation step. A
one-player method declares its ``Config`` and ``needs`` and overrides ``compute_loss``; nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from lightning import Trainer
from torch import Tensor

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import evaluate
from kdlab.losses.soft_targets import supervised
from kdlab.methods.shared.players import STUDENT, Players, gradients_for
from kdlab.methods.shared.settings import MethodConfig, Phase, TrainingConfig
from kdlab.methods.shared.terms import TermWindow, mean_of
from kdlab.models.encoder import TextEncoder, freeze
from kdlab.system.distributed import gather, rank, world_size
from kdlab.types import Batch, GeneratorWish, LossTerms, Need

__all__ = ["DistillModule", "MethodConfig", "Phase", "TrainingConfig"]


class DistillModule(Players):
    """A method: a loss over a student and a frozen teacher.

    Args:
        config: The method's own settings, an instance of ``Config``.
        student: What is trained.
        teacher: What is learned from, where ``needs`` asks for more than its cached logits; else None.
        task: What the labels are.

    Attributes:
        name: Name of the method, its section in the configuration, and the start of its run folders.
        Config: Dataclass of the method's settings.
        needs: What it takes from the teacher; empty means that no teacher is loaded for the loss.
        presets: Profile name (``paper``, ``embedded``, ``auto``; ``*`` is all of them) to configuration values.
    """

    name: ClassVar[str]
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    needs: ClassVar[frozenset[Need]] = frozenset()
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init_subclass__(cls) -> None:
        """A method without a name takes its class's, in lower case."""
        super().__init_subclass__()
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    def __init__(self, config: Any, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__()
        if self.needs_of(config) - {Need.LOGITS} and teacher is None:
            raise ValueError(f"{self.name} needs the teacher itself")
        self.config = config
        self.task = task
        self.student = student
        self.teacher = None if teacher is None else freeze(teacher)
        self.training_config = TrainingConfig()
        self.phase = Phase()
        self.total_steps = 1
        self.seed = 0
        self.shared_rng: torch.Generator | None = None  # draws what all processes must draw alike
        self.student_step = 0
        self.batches_seen = 0  # of the phase: where the cycle of players stands
        self.steps_before = 0  # of earlier phases, so that steps rise through the history
        self.last_terms: dict[str, float] = {}
        self.after_step: Callable[[Trainer], None] = lambda trainer: None  # set by training.py: time for a checkpoint?
        self.show: Callable[[list[tuple[str, str]]], None] = lambda pairs: None  # set by training.py: to be read
        self.warn: Callable[[str], None] = lambda text: None  # set by training.py: a sentence to the user
        self.window = TermWindow()
        self._examples = torch.empty(0, dtype=torch.long)
        self._share = 1.0  # what this process's mean counts in the mean over the processes
        self._outputs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.train()  # from_pretrained leaves the student in eval mode, and fit does not call train()

    # --- what a method overrides -------------------------------------------------------------------------------------

    def compute_loss(self, batch: Batch) -> LossTerms:
        """The objective on a batch: what to minimise, and its parts by name."""
        raise NotImplementedError(f"{type(self).__name__} must override compute_loss")

    def loss_of(self, player: str, batch: Batch) -> LossTerms:
        """What a player minimises in its turn; the student's is ``compute_loss``."""
        if player != STUDENT:
            raise NotImplementedError(f"{type(self).__name__} must override loss_of for its {player}")
        return self.compute_loss(batch)

    @classmethod
    def needs_of(cls, config: Any) -> frozenset[Need]:
        """What it takes from the teacher where that depends on the settings."""
        return cls.needs

    @classmethod
    def check_pair(cls, config: Any, teacher: Any, student: Any) -> None:
        """Raises ``KdlabError`` before any training for two Hugging Face configurations that it can't compare."""

    @classmethod
    def check_training(cls, config: Any, training: TrainingConfig, task: TaskSpec) -> None:
        """Raises ``KdlabError`` before any training for one that it can't do."""
        if training.accumulate > 1 and cls.cycle_of(config, task).turns:
            raise KdlabError(f"{cls.name} steps several players by hand and can't add up gradients: set accumulate=1.")

    @classmethod
    def generator_wish(cls, config: Any) -> GeneratorWish | None:
        """Which masked LM it wants besides student and teacher; it comes through ``take_generator``."""
        return None

    def take_generator(self, generator: Any) -> None:
        """Called once, before training, with the masked LM that ``generator_wish`` asked for."""
        raise ValueError(f"{self.name} asked for no generator")

    @classmethod
    def phases_of(cls, config: Any) -> list[Phase]:
        """The stretches of training, in order."""
        return [Phase()]

    # --- the shared loop ---------------------------------------------------------------------------------------------

    def phases(self) -> list[Phase]:
        """The stretches of this training, in order."""
        return self.phases_of(self.config)

    @property
    def frozen_teacher(self) -> TextEncoder:
        """The teacher of a method that needs it itself."""
        if self.teacher is None:
            raise ValueError(f"{self.name} has no teacher: declare it in `needs`")
        return self.teacher

    def begin_phase(self, phase: Phase, training: TrainingConfig, total_steps: int, seed: int) -> None:
        """Called before each phase's ``fit``: its schedule, length in the student's steps, and seed."""
        self.automatic_optimization = len(self.players()) == 1  # several players are stepped by `optimize`
        self.phase, self.training_config, self.total_steps, self.seed = phase, training, max(total_steps, 1), seed
        self.student_step = self.batches_seen = 0

    def compile_encoders(self) -> None:
        """Has torch.compile speed up both encoders' passes."""
        for encoder in (self.student, self.teacher):
            if encoder is not None:
                encoder.compile_pass()

    def train(self, mode: bool = True) -> DistillModule:
        """Sets the mode of everything but the teacher, which stays in eval mode."""
        super().train(mode)
        if getattr(self, "teacher", None) is not None:
            self.frozen_teacher.eval()
        return self

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draws this step's random numbers from (seed, phase, step) alone, whatever ran before."""
        text = f"{self.seed}/{self.phase.name}/{self.global_step}/{batch_idx}"
        _seed(_number(f"{text}/{rank()}"), self.device)
        self._examples = batch.index
        self._share = batch.fraction * world_size() if batch.whole is not None else 1.0
        self.shared_rng = torch.Generator().manual_seed(_number(text))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """One step of a one-player method, or one player's turn."""
        if self.cycle.turns:
            self._take_turn(batch)
            return None
        losses = self.compute_loss(batch)
        self.record_terms({"loss": losses.total, **losses.terms})
        # each process's mean counts by its examples, so that the mean of the processes is the global batch's
        return losses.total * self._share if batch.whole is not None else losses.total

    def _take_turn(self, batch: Batch) -> None:
        player = self.cycle.player_at(self.batches_seen)
        with gradients_for(player, self.held):
            losses = self.loss_of(player, batch)
            self.record_terms({"loss" if player == STUDENT else f"{player}_loss": losses.total, **losses.terms})
            if losses.total.requires_grad:  # a player may have nothing to learn from a batch
                self.optimize(player, losses.total * self._share)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Counts student steps and writes the window's means to the loggers."""
        if self.automatic_optimization:
            self.student_step = self.global_step
        students = not self.cycle.turns or self.cycle.player_at(self.batches_seen) == STUDENT
        self.batches_seen += 1
        last = 0 <= self.training_config.max_steps <= self.student_step
        if last:
            self.trainer.should_stop = True  # the Trainer's own max_steps would end the epoch without validation
        last = last or batch_idx + 1 == self.trainer.num_training_batches
        stepped = (batch_idx + 1) % self.training_config.accumulate == 0
        if last or (stepped and students and len(self.window) >= self.training_config.log_every):
            self._write_window()
        if stepped and not last:  # gradients half added up are in no checkpoint, and an epoch's end has one of its own
            self.after_step(self.trainer)

    def record_terms(self, terms: dict[str, Tensor]) -> None:
        """Adds a step's loss terms to the window; nothing is moved to the CPU here."""
        self.window.add(self.student_step + 1, terms, self._examples, self._share)

    def check_finite(self) -> None:
        """Stops where a loss became infinite or no number; called before every line of history and checkpoint.

        Raises:
            KdlabError: Names term, step and examples.
        """
        bad = self.window.first_bad()
        if bad is None:
            return
        name, value, step, positions = bad
        source: Any = getattr(self.trainer, "datamodule", None)
        ids = [source.examples["train"].ids[i] for i in positions] if source is not None else positions
        raise KdlabError(
            f"The loss term '{name}' of {self.name} became {value} in step {step} of phase '{self.phase.name}', on the "
            f"training examples with ids {', '.join(map(str, ids))}: lower training.learning_rate (now "
            f"{self.training_config.learning_rate}) or look at these examples; the state before is kept."
        )

    def _write_window(self) -> None:
        self.check_finite()
        if not len(self.window) or (self.cycle.turns and "loss" not in self.window.names):
            return  # another player's turns stand in the line of the student's next step
        self.last_terms = mean_of(gather(self.window.means()))
        self.window.clear()
        line = {f"train/{name}": value for name, value in self.last_terms.items()}
        line["lr"] = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        for logger in self.loggers:
            logger.log_metrics(line, step=self.steps_before + self.student_step)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The student's logits on clean inputs, the same for every method."""
        self._outputs.append((batch.index, self.student.classify(batch).float(), batch.gold()))

    def on_validation_epoch_end(self) -> None:
        """The task's metrics on the whole split, as ``val/<metric>`` and ``val/loss``."""
        mine = [torch.cat(column).cpu() for column in zip(*self._outputs, strict=True)]
        self._outputs.clear()
        parts = gather(mine)
        index, logits, labels = (torch.cat([part[i] for part in parts]) for i in range(3))
        kept = torch.empty(int(index.max()) + 1, dtype=torch.long)
        kept[index] = torch.arange(len(index))  # where each example stands, once
        logits, labels = logits[kept], labels[kept]
        scores = evaluate(logits, labels, self.task.metrics, self.task.regression)
        scores["loss"] = float(supervised(logits, labels, self.task.regression))
        # Lightning takes the step of its own loggers' rows from "step", which would be one less than the student's
        step = {"step": float(self.steps_before + self.student_step)}
        self.log_dict({f"val/{name}": value for name, value in scores.items()} | step)

    # --- checkpoints hold no teacher ---------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves the teacher's weights out."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith("teacher.")}
        checkpoint["kdlab"] = {
            "windows": gather(self.window.state_dict()),  # every process's own terms
            "last_terms": self.last_terms,
            "student_step": self.student_step,
            "batches_seen": self.batches_seen,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts the teacher that was given back in, so that loading stays strict."""
        checkpoint["state_dict"] = self._with_teacher(checkpoint["state_dict"])
        kept = checkpoint["kdlab"]
        self.window.clear()
        if len(kept["windows"]) == world_size():  # another number of processes begins the line anew
            self.window.load_state_dict(kept["windows"][rank()])
        self.last_terms, self.student_step = kept["last_terms"], kept["student_step"]
        self.batches_seen = kept["batches_seen"]

    def load_weights(self, state: dict[str, Tensor]) -> None:
        """Takes the weights of a checkpoint, and nothing else of it."""
        self.load_state_dict(self._with_teacher(state))

    def _with_teacher(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        held = {} if self.teacher is None else {f"teacher.{k}": v for k, v in self.teacher.state_dict().items()}
        return {**state, **held}


def _seed(number: int, device: torch.device) -> None:
    """Seeds what draws on a device and on the CPU; ``torch.manual_seed`` asks every kind there is, at 1 ms a call."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def _number(text: str) -> int:
    """A seed from words."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
