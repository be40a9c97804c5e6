"""GAN-BERT: adversarial learning from few labels (Croce et al. 2020; Kalmath, Sundar and Chen, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TRAIN, UNLABELLED, TaskSpec
from kdlab.errors import KdlabError
from kdlab.losses.gan_bert import feature_matching, fooling, log_p_fake, told_fake, told_real
from kdlab.methods.base import DistillModule, MethodConfig, PhaseContext, TrainingConfig
from kdlab.methods.ganbert_settings import GANBERTConfig
from kdlab.methods.shared.feature_generator import FeatureGenerator
from kdlab.methods.shared.labelled import gold_loss
from kdlab.methods.shared.players import STUDENT, adamw
from kdlab.models.encoder import TextEncoder
from kdlab.models.heads import Head
from kdlab.system.distributed import gather_rows
from kdlab.types import Batch, LossTerms, Need

GENERATOR = "generator"
_SURE = 0.99  # mean p_fake from which a side of the game counts as lost


class GANBERT(DistillModule):
    """``L_D = CE(y) - log(1 - p_fake(real)) - log p_fake(made)``; ``L_G = -log(1 - p_fake(made) + ε) + matching``.

    A generator makes features of noise, and the student's head tells them from its encoder's: its classes are the
    labels, UNK (what is real and no label says) and FAKE. CE is over the real classes, of labelled rows alone, so that
    no row is ever taught to be UNK. Matching is the squared distance of the mean hidden states of real and made
    features, as a mean over their numbers. The two players take separate steps on each batch, the generator's behind
    the student's and on its detached features. A labelled row stands in train max(1, ⌊log2(⌊all / labelled⌋)⌋) times.

    The discriminator is the student's own head, from the state of ``[CLS]`` on, with rows for UNK and FAKE beside it;
    without them it is what is validated and saved: softmax over the labels. So the hidden layer has the activation of
    the architecture (ReLU in DistilBERT, tanh in BERT) where the paper's has LeakyReLU. Logged: the three parts of L_D,
    p_fake and log p_fake on real and on made features, and how often the head is right about labels (of labelled rows)
    and about what is real; the generator's two parts.
    """

    name: ClassVar[str] = "ganbert"
    Config: ClassVar[type[MethodConfig]] = GANBERTConfig
    needs: ClassVar[frozenset[Need]] = frozenset()
    takes_unlabelled: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "*": {"training.weight_decay": 0.0},  # the study's Adam
        "paper": {"training.batch_size": 64, "training.epochs": 10, "training.learning_rate": 2e-5},
    }
    config: GANBERTConfig

    def __init__(
        self, config: GANBERTConfig, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec
    ) -> None:
        super().__init__(config, student, teacher, task)
        self.head = Head(student)
        self.further: nn.Linear | None = None
        if config.further_classes:
            self.further = nn.Linear(self.head.output.in_features, config.further_classes)
        if config.game:
            width = self.head.width
            self.generator = FeatureGenerator(config.noise, config.hidden or width, width, config.dropout)
        self._seen: tuple[Batch, Tensor] | None = None  # a batch, and the features that the student's step had of it
        self._rows: EncodedSplit | None = None  # what it trains on, once the data is there
        self._warned = False

    # --- before training ---------------------------------------------------------------------------------------------

    @classmethod
    def players_of(cls, config: Any) -> tuple[str, ...]:
        """The student with its head, and the generator where there is a game."""
        return (STUDENT, GENERATOR) if config.game else (STUDENT,)

    @classmethod
    def check_training(cls, config: Any, training: TrainingConfig, task: TaskSpec) -> None:
        """Scores have no classes."""
        super().check_training(config, training, task)
        if task.regression:
            raise KdlabError(
                f"{cls.name} tells labels from made features, and {task.name} has scores: take a task with labels, or "
                "kd, which learns from rows without scores too."
            )

    @classmethod
    def rows_of(cls, config: Any, sizes: Mapping[str, int]) -> int:
        """Labelled rows as often as they are repeated, and the others."""
        without = sizes.get(UNLABELLED, 0)
        return sizes[TRAIN] * repetitions(sizes[TRAIN], sizes[TRAIN] + without) + without

    @classmethod
    def foresight_of(cls, config: Any) -> dict[str, str]:
        """What the head's classes are."""
        classes = ["the labels", *(["UNK"] if config.unknown else []), *(["FAKE"] if config.game else [])]
        return {"classes": ", ".join(classes) + ("" if config.game else " (no game: labelled rows alone)")}

    def players(self) -> dict[str, Iterable[Parameter]]:
        """Encoder and head, and the generator."""
        students = [p for n, p in self.named_parameters() if not n.startswith(("teacher.", f"{GENERATOR}."))]
        return {STUDENT: students, **({GENERATOR: self.generator.parameters()} if self.config.game else {})}

    def optimizer_of(self, player: str, parameters: list[Parameter]) -> Optimizer:
        """Adam for both, as long as ``training.weight_decay`` is 0."""
        if player == STUDENT:
            return super().optimizer_of(player, parameters)
        return adamw(parameters, self.config.generator_learning_rate, 0.0, fused=self.trainer.precision != "16-mixed")

    def schedule_of(self, player: str, optimizer: Optimizer, steps: int) -> LRScheduler | None:
        """The student's rate alone warms up and falls."""
        return super().schedule_of(player, optimizer, steps) if player == STUDENT else None

    def begin_phase(self, context: PhaseContext) -> None:
        """Draws the classes beside the labels, and the generator."""
        super().begin_phase(context)
        draw = torch.Generator().manual_seed(context.seed)
        if self.further is not None:
            nn.init.normal_(self.further.weight, std=0.02, generator=draw)
            nn.init.zeros_(self.further.bias)
        if self.config.game:
            self.generator.draw_weights(draw)

    def begin_epoch(self, epoch: int, data: TextDataModule) -> None:
        """Repeats the labelled rows, the same in every epoch."""
        if self._rows is None:
            sizes = data.sizes
            self._rows = data.all_rows(repetitions(sizes[TRAIN], sizes[TRAIN] + sizes.get(UNLABELLED, 0)))
        data.train_on(self._rows)

    # --- the two steps -----------------------------------------------------------------------------------------------

    def loss_of(self, player: str, batch: Batch) -> LossTerms:
        """L_D, or L_G."""
        return self.compute_loss(batch) if player == STUDENT else self.fool(batch)

    def compute_loss(self, batch: Batch) -> LossTerms:
        """L_D: the labels of labelled rows, and real against made features."""
        features = self.head.features(batch)  # (B, F)
        logits = self.discriminate(self.head.hidden(features))  # (B, R + 1), without a game (B, R)
        real = logits[:, :-1] if self.config.game else logits
        ce = gold_loss(real, batch)
        terms = {"ce": ce, **self._right_labels(real, batch)}
        if not self.config.game:
            return LossTerms(ce, terms)
        self._seen = batch, features.detach()
        made = self.discriminate(self.head.hidden(self.make(batch).detach()[self._own(batch)]))
        terms |= {"real": told_real(logits), "fake": told_fake(made)}
        return LossTerms(ce + terms["real"] + terms["fake"], terms | _watched(logits.detach(), made.detach()))

    def fool(self, batch: Batch) -> LossTerms:
        """L_G on features made for the batch that processes share; the real ones are those that L_D had."""
        c, whole = self.config, len(batch.whole or batch)
        features = gather_rows(self._features_seen(batch).float(), batch.rows, whole)  # (B, F) of all processes
        with torch.no_grad():
            real = self.head.hidden(features)
        made = self.head.hidden(self.make(batch))
        terms = {"fooling": fooling(self.discriminate(made), c.epsilon), "matching": feature_matching(real, made)}
        return LossTerms(terms["fooling"] + c.matching_weight * terms["matching"], terms)

    def make(self, batch: Batch) -> Tensor:
        """Features of new noise, one for each row of the batch that processes share, ``(B, F)``."""
        features: Tensor = self.generator(self.generator.sample(len(batch.whole or batch), self.shared_rng))
        return features

    def discriminate(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states ``(B, H)``: labels, UNK where there is one, FAKE where there is a game."""
        labels: Tensor = self.head.output(hidden)  # (B, k)
        return labels if self.further is None else torch.cat([labels, self.further(hidden)], dim=-1)

    def _features_seen(self, batch: Batch) -> Tensor:
        """The features that the student's step on this batch had, ``(b, F)``, without a graph."""
        seen, self._seen = self._seen, None
        if seen is not None and seen[0] is batch:
            return seen[1]
        with torch.no_grad():
            return self.head.features(batch)

    @staticmethod
    def _own(batch: Batch) -> Any:
        """Which of the features made for all processes this one judges."""
        return slice(None) if batch.rows is None else batch.rows

    def _right_labels(self, real: Tensor, batch: Batch) -> dict[str, Tensor]:
        """How often the head is right about labelled rows, where the batch that processes share has one."""
        whole, rows = batch.whole or batch, batch.labelled_rows()
        if whole.labels is None or (whole.labelled is not None and not bool(whole.labelled.any())):
            return {}
        said = (real if batch.labelled is None else real[batch.labelled]).detach()[:, : self.task.num_outputs]
        return {"right_label": batch.labelled_mean((said.argmax(-1) == rows.gold()).float())}

    # --- behind an epoch ---------------------------------------------------------------------------------------------

    def end_epoch(self, epoch: int) -> None:
        """Says once where the game is over: one side has won, and the other learns nothing from it."""
        line = self.terms.last_line
        if self._warned or not self.config.game or "p_fake_made" not in line:
            return
        ended = how_it_ended(line["p_fake_real"], line["p_fake_made"])
        if ended:
            self._warned = True
            self.context.listener.warn(
                f"The game of {self.name} has collapsed in epoch {epoch + 1} (mean p_fake "
                f"{line['p_fake_real']:.3f} on real features, {line['p_fake_made']:.3f} on made ones): {ended}; "
                f"the student learns from labelled rows alone, as with {self.name}.game=false."
            )

    def method_state(self) -> dict[str, Any]:
        """Whether the user was told."""
        return {"warned": self._warned}

    def restore_method_state(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self._warned = bool(state["warned"])


def repetitions(labelled: int, rows: int) -> int:
    """How often a labelled row stands in train: ``max(1, ⌊log2(⌊rows / labelled⌋)⌋)``, as in GAN-BERT's code.

    Args:
        labelled: Rows with a label.
        rows: All rows.
    """
    return max(1, (rows // max(labelled, 1)).bit_length() - 1)


def how_it_ended(real: float, made: float) -> str:
    """How a game ended, in words; empty while it goes on.

    Args:
        real: Mean p_fake on real features.
        made: On made ones.
    """
    if real <= 1 - _SURE and made >= _SURE:
        return "the discriminator tells every made feature, and the generator has no gradient to learn from"
    if made <= 1 - _SURE:
        return "the discriminator takes every made feature for real"
    return "the discriminator takes every feature for made" if real >= _SURE else ""


def _watched(real: Tensor, made: Tensor) -> dict[str, Tensor]:
    """What is logged of the game: p_fake, its logarithm, and how often real and made features are told.

    Args:
        real: Logits of real features, ``(B, R + 1)``.
        made: Of made ones.
    """
    logs = {"real": log_p_fake(real), "made": log_p_fake(made)}  # (B,) each
    told = torch.cat([logs["real"].exp() < 0.5, logs["made"].exp() > 0.5]).float().mean()
    means = {f"log_p_fake_{name}": log.mean() for name, log in logs.items()}
    return {**means, **{f"p_fake_{name}": log.exp().mean() for name, log in logs.items()}, "right_real": told}
