"""Training against attacks: augmented and attacked text beside clean text (Kalmath, Sundar and Chen, section 3.2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch

from kdlab.attacks.attempt import SUCCEEDED, Attack
from kdlab.attacks.victim import EncoderVictim
from kdlab.data.batches import EncodedSplit
from kdlab.data.module import TextDataModule
from kdlab.data.splits import join_splits
from kdlab.data.tasks import AUGMENTED_ROWS, TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import predict
from kdlab.losses.soft_targets import soft_cross_entropy, supervised
from kdlab.methods.base import DistillModule, MethodConfig, Phase, TrainingConfig
from kdlab.methods.robust_settings import APPEND, AUGMENTED, FINETUNE, RobustConfig
from kdlab.methods.shared.attacked import Attacked, attack_rows, texts_of
from kdlab.methods.shared.validation import evaluating
from kdlab.models.encoder import TextEncoder
from kdlab.types import Batch, LossTerms, Need, RecipeResource, Resource

RECIPE = "recipe"
_BETWEEN = " ⟂ "  # the texts of a pair


class Robust(DistillModule):
    """``L = (1-α)·CE(S(x), y) + α·t²·KL(softmax(T(x)/t) ‖ softmax(S(x)/t))`` on clean, augmented and attacked text.

    ``append`` trains on train and what ``augment=FILE`` adds; ``continue`` fine-tunes on train, and then trains on what
    was added alone, from the weights of the best epoch and with an optimiser and a schedule of its own. α is 0 in the
    study, where nothing is distilled.

    The study attacks finished models only. With ``online``, before each epoch a recipe attacks the student as it stands
    on rows that are drawn anew, and what it makes is trained on too, under the gold label of the row it was made of.
    An attacked row stands in the epoch however the attack ended, as the worst text that was found: the text that fools
    the student; where none does, the one that lowers the label's probability most; where the student was wrong from the
    start, the row itself. So the inner maximum is taken over every row that is drawn (Madry et al. 2018, Eq. 2.1), and
    an epoch has as many rows, and a schedule as many steps, however vulnerable the student is.

    The teacher answers attacked texts itself, and no cache keeps them. Behind each epoch the history has ``right``, the
    part of the drawn rows that the student got right before they were attacked, and ``fooled``, the part of those that
    an attack turned.
    """

    name: ClassVar[str] = "robust"
    Config: ClassVar[type[MethodConfig]] = RobustConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS, Need.TEACHER})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "*": {"training.weight_decay": 0.0},  # the study's Adam
        "paper": {"training.batch_size": 64, "training.epochs": 10, "training.learning_rate": 2e-5},
    }
    config: RobustConfig

    def __init__(self, config: RobustConfig, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__(config, student, teacher, task)
        self.attacked: Attacked | None = None
        self._recipe: Attack | None = None
        self._unshown: list[tuple[str, str]] = []  # texts of this epoch that nobody has seen yet

    # --- before training ---------------------------------------------------------------------------------------------

    @classmethod
    def needs_of(cls, config: RobustConfig) -> frozenset[Need]:
        """Without α nothing; the teacher itself only where it answers attacked texts."""
        if not config.alpha:
            return frozenset()
        return cls.needs if config.online else frozenset({Need.LOGITS})

    @classmethod
    def phases_of(cls, config: RobustConfig) -> list[Phase]:
        """One for ``append``; for ``continue`` plain fine-tuning, unless the student comes fine-tuned, and then it."""
        if config.use == APPEND:
            return [Phase()]
        first = Phase(FINETUNE, config.finetune_epochs, config.finetune_learning_rate)
        return [*([] if config.finetune_epochs == 0 else [first]), Phase(AUGMENTED)]

    @classmethod
    def resources_of(cls, config: RobustConfig) -> dict[str, Resource]:
        """The recipe of online attacks."""
        if config.online is None:
            return {}
        return {RECIPE: RecipeResource(config.online, config.resources, f"{cls.name}.online")}

    @classmethod
    def rows_of(cls, config: RobustConfig, sizes: Mapping[str, int]) -> int:
        """Those of the last phase."""
        return cls.rows_in(config, sizes, cls.phases_of(config)[-1])

    @classmethod
    def rows_in(cls, config: RobustConfig, sizes: Mapping[str, int], phase: Phase) -> int:
        """Train's own rows, augmented ones and attacked ones, as far as the phase has them.

        Raises:
            KdlabError: There are neither augmented nor attacked ones.
        """
        augmented = sizes.get(AUGMENTED_ROWS, 0)
        own = sizes[TRAIN] - augmented
        if not augmented and config.online is None:
            raise KdlabError(
                f"{cls.name}.use={config.use} trains on augmented examples, and there are none: give a file of kdlab "
                f"augment by augment=FILE, or have the student attacked in training by {cls.name}.online=deepwordbug."
            )
        if phase.name == FINETUNE:
            return own
        return augmented + config.attacked_of(own) + (own if config.use == APPEND else 0)

    @classmethod
    def foresight_of(cls, config: RobustConfig) -> dict[str, str]:
        """What is attacked."""
        if config.online is None:
            return {}
        return {"attacked": f"{100 * config.attacked:g} % of train's own rows, drawn anew before each epoch"}

    @classmethod
    def check_training(cls, config: RobustConfig, training: TrainingConfig, task: TaskSpec) -> None:
        """Scores have nothing that an attack could turn."""
        super().check_training(config, training, task)
        if config.online is not None and task.regression:
            raise KdlabError(
                f"{cls.name}.online={config.online} attacks labels, and {task.name} has scores: take augmented "
                "examples alone, or another task."
            )

    def take(self, name: str, resource: Any) -> None:
        """Takes the recipe's attack."""
        self._recipe = resource

    # --- rows --------------------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, data: TextDataModule) -> None:
        """Puts the epoch's rows together, and attacks those that are drawn."""
        train, examples = data.with_logits(data.split(TRAIN)), data.examples[TRAIN]
        own, augmented = examples.own(), examples.own(augmented=True)
        if self.context.phase.name == FINETUNE:
            data.train_on(train.take(own) if augmented else train)
            return
        kept = train if self.config.use == APPEND else train.take(augmented)
        if self.config.online is None:
            data.train_on(kept)
            return
        place = f"{self.context.phase.name}/{epoch}"
        if self.attacked is None or self.attacked.place != place:  # else a training goes on within the epoch
            self.attacked = self._attack(place, own, data)
        made = self.attacked.split(train)
        data.train_on(_joined(kept, made) if len(kept) else made)

    def _attack(self, place: str, own: list[int], data: TextDataModule) -> Attacked:
        """Draws rows, attacks the student on them, and has the teacher answer what comes out."""
        c, examples = self.config, data.examples[TRAIN]
        drawn = torch.randperm(len(own), generator=self.shared_rng)[: c.attacked_of(len(own))]
        rows = [own[i] for i in drawn.sort().values.tolist()]
        seed = int(torch.randint(2**31, (1,), generator=self.shared_rng))
        with self._as_victim(data) as victim:
            made = attack_rows(rows, examples, self.recipe, victim, seed, self.context.listener.say)
        pairs = [
            (texts_of(examples, row), one.texts) for row, one in zip(rows, made, strict=True) if one.status == SUCCEEDED
        ]
        self._unshown = [(_BETWEEN.join(old), _BETWEEN.join(new)) for old, new in pairs[: c.show]]
        attacked = Attacked.of(place, rows, made, examples, data.tokenizer, data.max_length)
        if not c.alpha:
            return attacked
        split = attacked.split(data.split(TRAIN))
        answers = predict(self.frozen_teacher, split, data.eval_batch_size, self.device).logits
        return Attacked(**{**attacked.state_dict(), "logits": answers})

    @property
    def recipe(self) -> Attack:
        """What attacks the student."""
        if self._recipe is None:
            raise ValueError(f"{self.name} was given no recipe")
        return self._recipe

    @contextmanager
    def _as_victim(self, data: TextDataModule) -> Iterator[EncoderVictim]:
        """The student as it stands, without dropout and in float32; then everything is as it was."""
        compiled, self.student.compiled = self.student.compiled, None
        try:
            with evaluating(self), self.answering():
                yield EncoderVictim(self.student, self.task.labels, data.tokenizer, data.max_length, self.device)
        finally:
            self.student.compiled = compiled

    # --- a step ------------------------------------------------------------------------------------------------------

    def compute_loss(self, batch: Batch) -> LossTerms:
        """Gold-label loss, and the soft loss where there is a teacher."""
        if self._unshown and self.training:
            self.context.listener.show(self._unshown)
            self._unshown = []
        logits, c = self.student.classify(batch), self.config  # (B, C)
        ce = supervised(logits, batch.gold(), self.task.regression)
        if not c.alpha:
            return LossTerms(ce, {"ce": ce})
        soft = soft_cross_entropy(logits, batch.soft_labels(), c.temperature, c.scale_t2, self.task.regression)
        return LossTerms((1 - c.alpha) * ce + c.alpha * soft, {"ce": ce, "kd": soft})

    def end_epoch(self, epoch: int) -> None:
        """How the epoch's attacks ended."""
        if self.attacked is not None and self.attacked.place == f"{self.context.phase.name}/{epoch}":
            self.terms.add(self.attacked.figures())

    def method_state(self) -> dict[str, Any]:
        """What the epoch under way is trained on: made again within it, it would be of a student that has moved on."""
        return {} if self.attacked is None else {"attacked": self.attacked.state_dict()}

    def restore_method_state(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self.attacked = Attacked(**state["attacked"]) if "attacked" in state else None


def _joined(kept: EncodedSplit, made: EncodedSplit) -> EncodedSplit:
    """Both, with the teacher's logits of both."""
    rows = join_splits({"train": kept, "attacked": made})
    if kept.teacher_logits is not None and made.teacher_logits is not None:
        rows.teacher_logits = np.concatenate([kept.teacher_logits, made.teacher_logits])
    return rows
