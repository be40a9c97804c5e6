"""The contract: everything a method may override, each with what a method of one player and one phase needs.

What a method says of itself before it exists is a class's own (settings, needs, players, phases, resources, rows), so
that a run can be planned, checked and fingerprinted before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from lightning import LightningModule
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TRAIN, UNLABELLED, TaskSpec
from kdlab.errors import KdlabError, MethodError
from kdlab.methods.shared.context import PhaseContext
from kdlab.methods.shared.players import STUDENT, Cycle, adamw, linear_warmup_decay
from kdlab.methods.shared.settings import MethodConfig, Phase, TrainingConfig
from kdlab.models.encoder import TextEncoder
from kdlab.types import Batch, LossTerms, Need, Resource, SplitWish


class MethodContract(LightningModule):
    """What a method is asked for; ``DistillModule`` does the asking.

    Attributes:
        config: The method's own settings, an instance of ``Config``.
        task: What the labels are.
        student: What is trained.
        teacher: What is learned from, frozen; None where ``needs`` asks for its logits at most.
        context: The phase under way, its length and data, and who is told.
        name: Name of the method, its section in the configuration, and the start of its run folders.
        Config: Dataclass of the method's settings.
        needs: What it takes from the teacher; empty means that no teacher is loaded for the loss.
        takes_unlabelled: Whether it trains on rows without labels too, where the data has some; ``batch.labelled`` says
            which rows have one. They are left out for other methods.
        presets: Configuration values under ``*`` (always), ``paper`` (that profile), ``embedded`` (that encoder) and
            ``bilstm`` (that student).
    """

    name: ClassVar[str]
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    needs: ClassVar[frozenset[Need]] = frozenset()
    takes_unlabelled: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    config: Any
    task: TaskSpec
    student: TextEncoder
    teacher: TextEncoder | None
    context: PhaseContext

    # --- before it exists ---------------------------------------------------------------------------------------------

    def __init_subclass__(cls) -> None:
        """A method without a name takes its class's, in lower case; its settings know their section."""
        super().__init_subclass__()
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()
        if "Config" in cls.__dict__ and "section" not in vars(cls.Config):
            cls.Config.section = cls.name

    @classmethod
    def needs_of(cls, config: Any) -> frozenset[Need]:
        """What it takes from the teacher where that depends on the settings."""
        return cls.needs

    @classmethod
    def players_of(cls, config: Any) -> tuple[str, ...]:
        """Names of those who are optimised, the student first; with a second one the method is stepped by hand."""
        return (STUDENT,)

    @classmethod
    def cycle_of(cls, config: Any, task: TaskSpec) -> Cycle:
        """Whose turn it is on which batch; without turns every player moves on every batch."""
        return Cycle()

    @classmethod
    def phases_of(cls, config: Any) -> list[Phase]:
        """The stretches of training, in order."""
        return [Phase()]

    @classmethod
    def resources_of(cls, config: Any) -> dict[str, Resource]:
        """Models that it wants besides student and teacher, by name; each comes through ``take``."""
        return {}

    @classmethod
    def splits_of(cls, config: Any) -> dict[str, SplitWish]:
        """Rows that it wants besides train, hold-out, dev and test, by the name of their split in the data."""
        return {}

    @classmethod
    def rows_of(cls, config: Any, sizes: Mapping[str, int]) -> int:
        """How many rows an epoch has: those of ``train`` and ``train/unlabelled``, unless it trains on others.

        Args:
            config: The method's settings.
            sizes: Split name to number of rows.
        """
        return sizes[TRAIN] + sizes.get(UNLABELLED, 0)

    @classmethod
    def rows_in(cls, config: Any, sizes: Mapping[str, int], phase: Phase) -> int:
        """How many rows an epoch of a phase has, where phases have different ones; ``rows_of`` otherwise."""
        return cls.rows_of(config, sizes)

    @classmethod
    def foresight_of(cls, config: Any) -> dict[str, str]:
        """What its settings come to, for the plan: lines by what they are about."""
        return {}

    @classmethod
    def taps_of(cls, config: Any) -> str:
        """What it reads or changes inside encoders besides their logits, in words; empty where any network will do.

        A method that says so is refused for a student without layers before any training, and for such a teacher too
        where it has ``Need.TEACHER``.
        """
        return ""

    @classmethod
    def check_pair(cls, config: Any, teacher: Any, student: Any) -> None:
        """Raises ``KdlabError`` before any training for two Hugging Face configurations that it can't compare."""

    @classmethod
    def check_training(cls, config: Any, training: TrainingConfig, task: TaskSpec) -> None:
        """Raises ``KdlabError`` before any training for one that it can't do."""
        if training.accumulate > 1 and len(cls.players_of(config)) > 1:
            raise KdlabError(f"{cls.name} steps several players by hand and can't add up gradients: set accumulate=1.")

    # --- what follows from it -----------------------------------------------------------------------------------------

    @property
    def frozen_teacher(self) -> TextEncoder:
        """The teacher of a method that needs it itself."""
        if self.teacher is None:
            raise MethodError(f"{self.name} has no teacher: declare it in `needs`")
        return self.teacher

    @property
    def cycle(self) -> Cycle:
        """Whose turn it is on which batch."""
        return self.cycle_of(self.config, self.task)

    def phases(self) -> list[Phase]:
        """The stretches of this training, in order."""
        return self.phases_of(self.config)

    @classmethod
    def draws_rows(cls) -> bool:
        """Whether its training rows may be others in each epoch."""
        return cls.begin_epoch is not MethodContract.begin_epoch

    # --- in training --------------------------------------------------------------------------------------------------

    def compute_loss(self, batch: Batch) -> LossTerms:
        """The objective on a batch: what to minimise, and its parts by name."""
        raise NotImplementedError(f"{type(self).__name__} must override compute_loss")

    def loss_of(self, player: str, batch: Batch) -> LossTerms | None:
        """What a player minimises on a batch; the student's is ``compute_loss``. None: it makes no step on this batch.

        Without turns the players step one after the other, in the order of ``players``. Whether it is None must be
        alike in every process.
        """
        if player != STUDENT:
            raise NotImplementedError(f"{type(self).__name__} must override loss_of for its {player}")
        return self.compute_loss(batch)

    def players(self) -> dict[str, Iterable[Parameter]]:
        """The weights of each of ``players_of``; of one player, everything but the teacher.

        Weights that are new are drawn in ``begin_phase`` from the phase's seed (``Projection`` does it), not in
        ``__init__``, whatever was drawn before.
        """
        return {STUDENT: [p for n, p in self.named_parameters() if not n.startswith("teacher.")]}

    def learning_rate_of(self, player: str) -> float:
        """A player's peak learning rate."""
        return self.context.phase.learning_rate or self.context.training.learning_rate

    def optimizer_of(self, player: str, parameters: list[Parameter]) -> Optimizer:
        """A player's optimiser: AdamW with weight decay on all but biases and LayerNorm."""
        fused = self.trainer.precision != "16-mixed"  # a gradient scaler must unscale before clipping
        return adamw(parameters, self.learning_rate_of(player), self.context.training.weight_decay, fused)

    def schedule_of(self, player: str, optimizer: Optimizer, steps: int) -> LRScheduler | None:
        """A player's schedule over its steps of the phase: linear warm-up and decay. None keeps the rate."""
        return LambdaLR(optimizer, linear_warmup_decay(steps, self.context.training.warmup))

    def take(self, name: str, resource: Any) -> None:
        """Called once before training with each of ``resources_of``."""
        raise MethodError(f"{self.name} asked for no {name}")

    def begin_epoch(self, epoch: int, data: TextDataModule) -> None:
        """Called before the batches of an epoch are made, and again where a training goes on in the middle of one.

        A method that trains on other rows hands them in here (``data.train_on``). They must be a function of the seed,
        which ``shared_rng`` holds for this epoch, or of ``method_state``, which is restored before.
        """

    def end_epoch(self, epoch: int) -> None:
        """Called behind an epoch's last batch and validation, before its checkpoint; players may be stepped here."""

    def method_state(self) -> dict[str, Any]:
        """What checkpoints keep of the method besides weights: tensors and plain values, alike in every process."""
        return {}

    def restore_method_state(self, state: dict[str, Any]) -> None:
        """Takes back what ``method_state`` gave."""

    def answer(self, batch: Batch) -> Tensor:
        """The logits ``(B, C)`` that are validated; they must be those of ``finished_student``."""
        return self.student.classify(batch)

    def finished_student(self) -> TextEncoder:
        """What is predicted with, saved and exported when training is done."""
        return self.student

    def findings(self, data: TextDataModule) -> dict[str, str]:
        """What else the record keeps: name of a file to its text. Every process asks, when training is done."""
        return {}
