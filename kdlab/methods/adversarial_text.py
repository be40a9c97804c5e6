"""Text that a generator makes so that teacher and student disagree on it: what ``mate_kd`` and ``cilda`` share.

A max step trains the generator: gradients flow through the frozen teacher and through the student, into neither. A min
step trains the student on text that the generator makes without a graph, as token ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.losses.soft_targets import soft_cross_entropy, supervised
from kdlab.methods.base import DistillModule, MethodConfig, TrainingConfig
from kdlab.methods.shared.players import STUDENT, Cycle
from kdlab.methods.shared.settings import at_least, check_weights, positive
from kdlab.models.encoder import TextEncoder
from kdlab.models.generator import MaskedLM, readable
from kdlab.ops.gumbel import draw_mask, draw_uniform, fill_embeddings, fill_ids, sample_words, straight_through
from kdlab.types import Batch, EncoderOutput, LossTerms, MaskedLMResource, Need, Resource, Taps

GENERATOR = "generator"
_SMALL = ("cola", "mrpc", "rte")  # CILDA, section 4.2: n_G is 20 for these and 10 for the rest


@dataclass
class AdversarialTextConfig(MethodConfig):
    """Settings that ``mate_kd`` and ``cilda`` share; the defaults are the papers'.

    Attributes:
        generator: A masked LM with the teacher's vocabulary: a folder, a name on the hub, or ``embedded``; None takes
            the student's own checkpoint, or the teacher's, whichever comes with a masked-LM head.
        n_g: Batches that the generator trains on in a cycle; None is 20 for CoLA, MRPC and RTE and 10 elsewhere.
        n_s: Batches that the student trains on after them.
        p: Probability of masking a token, in (0, 1).
        gumbel_temperature: Of the Gumbel-softmax; it shapes the generator's gradient.
        generator_learning_rate: Its peak; None takes ``training.learning_rate``, but beside a BiLSTM, whose own rate is
            too high for a pretrained network, the default of that setting at most.
        head_steps: Steps in which a masked-LM head is trained on the task's text where the checkpoint has none.
        temperature: t of the student's two soft losses; plays no part in regression. The generator's is 1.
        ce_weight: Weight of the gold label's loss.
        kd_weight: Weight of the soft loss on clean text.
        adv_weight: Weight of the soft loss on generated text.
        show_every: Student steps between two looks at generated text, the first of them at step 1; 0 shows none.
        show: Texts a look.
    """

    generator: str | None = None
    n_g: int | None = None
    n_s: int = 100
    p: float = 0.3
    gumbel_temperature: float = 1.0
    generator_learning_rate: float | None = None
    head_steps: int = 1000
    temperature: float = 1.0
    ce_weight: float = 1 / 3
    kd_weight: float = 1 / 3
    adv_weight: float = 1 / 3
    show_every: int = 100
    show: int = 3
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("show_every", "show")

    @property
    def generated_weight(self) -> float:
        """Weight of everything on generated text in the student's loss."""
        return self.adv_weight

    def validate(self) -> None:
        """Checks ranges."""
        at_least(self, 1, "n_g", counts="the generator's batches in a cycle")
        at_least(self, 1, "n_s", counts="the student's batches in a cycle")
        at_least(self, 1, "head_steps", "show")
        at_least(self, 0, "show_every", counts="student steps (0 shows none)")
        if not 0 < self.p < 1:
            raise KdlabError(
                f"{self.section}.p is {self.p}: it is the part of the tokens that is masked, between 0 and 1."
            )
        positive(self, "gumbel_temperature", "temperature", "generator_learning_rate")
        check_weights(self, "ce_weight", "kd_weight", "adv_weight")
        if not self.generated_weight:
            raise KdlabError(
                f"{self.section}: generated text has no weight in the student's loss; that is what kd is for."
            )


class AdversarialText(DistillModule):
    """A student and a generator that take turns; subclasses say what else is compared on generated text.

    Logged besides the losses: ``changed``, the part of an example's tokens that the generator changed, and in its own
    steps ``generator_kd``, the divergence it reached. In a batch without a token to mask, which has only special ones,
    the text stays as it is and the generator takes no gradient from it.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS, Need.TEACHER})
    config: AdversarialTextConfig
    generator: MaskedLM
    _warned = False

    # --- the game ----------------------------------------------------------------------------------------------------

    @classmethod
    def cycle_of(cls, config: Any, task: TaskSpec) -> Cycle:
        """n_G batches of the generator, then n_S of the student, fresh ones.

        The paper's "for each batch" would train 120 steps on one batch; MATE-KD's code takes fresh ones.
        """
        n_g = config.n_g if config.n_g is not None else 20 if task.name in _SMALL else 10
        return Cycle(((GENERATOR, n_g), (STUDENT, config.n_s)))

    @classmethod
    def players_of(cls, config: Any) -> tuple[str, ...]:
        """The student and the generator."""
        return (STUDENT, GENERATOR)

    @classmethod
    def resources_of(cls, config: Any) -> dict[str, Resource]:
        """A masked LM."""
        return {GENERATOR: MaskedLMResource(config.generator, config.head_steps, f"{cls.name}.generator")}

    def take(self, name: str, resource: Any) -> None:
        """Takes the generator, whose words must be the encoders'.

        Raises:
            KdlabError: Its vocabulary has another size.
        """
        generator: MaskedLM = resource
        for who, encoder in (("teacher", self.frozen_teacher), ("student", self.student)):
            if len(encoder.word_table) != generator.vocabulary:
                raise KdlabError(
                    f"The generator has {generator.vocabulary} words and the {who} {len(encoder.word_table)}: "
                    f"set {self.name}.generator to a masked LM with the {who}'s vocabulary."
                )
        self.generator = generator.train(self.training)

    def players(self) -> dict[str, Iterable[Parameter]]:
        """The student with what the method adds to it, and the generator.

        Raises:
            ValueError: No generator was given.
        """
        if not hasattr(self, GENERATOR):
            raise ValueError(f"{self.name} needs a generator: call take before training")
        others = ("teacher.", f"{GENERATOR}.")
        students = [p for n, p in self.named_parameters() if not n.startswith(others)]
        return {STUDENT: students, GENERATOR: self.generator.parameters()}

    def learning_rate_of(self, player: str) -> float:
        """The generator has its own."""
        own, students = self.config.generator_learning_rate, super().learning_rate_of(player)
        if player != GENERATOR:
            return students
        most = TrainingConfig.learning_rate if self.student.depth == 0 else students
        return min(students, most) if own is None else own

    # --- the two steps -----------------------------------------------------------------------------------------------

    def loss_of(self, player: str, batch: Batch) -> LossTerms:
        """The max step's objective with its sign turned, or the min step's."""
        return self.attack(batch) if player == GENERATOR else self.compute_loss(batch)

    def attack(self, batch: Batch) -> LossTerms:
        """``-(α1·KL(T(x') ‖ S(x')) + …)`` on text whose words carry the generator's gradient (CILDA, Eq. 1)."""
        masked, drawn, any_masked = self._draw(batch, self.generator.vocabulary)
        logits = self.generator(batch.input_ids, batch.attention_mask, batch.token_type_ids, masked)  # (M, V)
        one_hot = straight_through(logits, drawn, self.config.gumbel_temperature)
        theirs = self._read_filled(self.frozen_teacher, batch, masked, one_hot, self.teacher_taps)
        ours = self._read_filled(self.student, batch, masked, one_hot, self.student_taps)
        divergence = soft_cross_entropy(ours.logits, theirs.logits, 1.0, True, self.task.regression)
        reached, terms = self.reward(batch, ours, theirs, divergence)
        # without a word to choose there is nothing to learn, and momentum alone must not move the generator
        return LossTerms(-reached if any_masked else -reached.detach(), {f"{GENERATOR}_kd": divergence, **terms})

    def compute_loss(self, batch: Batch) -> LossTerms:
        """The student's losses on clean text and on generated text, which is plain ids here."""
        c = self.config
        generated, soundness = self._write(batch)
        clean = self.student.classify(batch)  # (B, C)
        with torch.no_grad():
            theirs = self.frozen_teacher.read(generated, self.teacher_taps)
        ours = self.student.read(generated, self.student_taps)
        terms = {
            "ce": supervised(clean, batch.gold(), self.task.regression),
            "kd": self._soft(clean, batch.soft_labels()),
            "adv": self._soft(ours.logits, theirs.logits),
        }
        total = c.ce_weight * terms["ce"] + c.kd_weight * terms["kd"] + c.adv_weight * terms["adv"]
        more, further = self.penalty(batch, ours, theirs)
        changed = ((generated.input_ids != batch.input_ids).sum(1) / batch.attention_mask.sum(1)).mean() + soundness
        return LossTerms(total if more is None else total + more, {**terms, **further, "changed": changed})

    @torch.no_grad()
    def augment(self, batch: Batch) -> Batch:
        """The batch with other words at masked positions, without a graph."""
        return self._write(batch)[0]

    # --- what a subclass adds ----------------------------------------------------------------------------------------

    @property
    def teacher_taps(self) -> Taps | None:
        """What is kept of the teacher's pass on generated text."""
        return None

    @property
    def student_taps(self) -> Taps | None:
        """What is kept of the student's pass on generated text."""
        return None

    def reward(
        self, batch: Batch, ours: EncoderOutput, theirs: EncoderOutput, divergence: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the generator maximises, and further terms."""
        return divergence, {}

    def penalty(
        self, batch: Batch, ours: EncoderOutput, theirs: EncoderOutput
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What else the student minimises on generated text, weighted, and its terms."""
        return None, {}

    # --- parts -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _write(self, batch: Batch) -> tuple[Batch, Tensor]:
        """What ``augment`` returns, and 0, or NaN where the generator's logits are no numbers: words never show it."""
        masked, drawn, any_masked = self._draw(batch)
        logits = self.generator(batch.input_ids, batch.attention_mask, batch.token_type_ids, masked)  # (M, V)
        generated = replace(batch, input_ids=fill_ids(batch.input_ids, masked, sample_words(logits, drawn)))
        every, texts, step = self.config.show_every, self.generator.tokenizer, self.student_step + 1
        if self.training and texts is not None and any_masked and every and (step == 1 or step % every == 0):
            self.context.listener.show(_pairs(texts, batch, generated, self.config.show))
        return generated, 0 * logits.amax() if len(logits) else logits.new_zeros(())

    def _soft(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return soft_cross_entropy(ours, theirs, self.config.temperature, True, self.task.regression)

    def _draw(self, batch: Batch, *words: int) -> tuple[Tensor, Tensor, bool]:
        """Masked positions ``(B, T)``, uniform numbers ``(M, *words)``, and whether any process has a masked position.

        Both are drawn for the batch that processes share.
        """
        whole = batch.whole or batch
        ids, device = whole.input_ids, whole.input_ids.device
        masked = draw_mask(ids, whole.attention_mask, self.generator.special, self.config.p, self.shared_rng)
        counts = masked.sum(1).tolist()
        if not any(counts) and not self._warned:
            self._warned = True
            self.context.listener.warn(
                f"A batch has no token to mask, for all of its tokens are special or unknown to the vocabulary: its "
                f"text stays as it is, and the generator learns nothing from it. Where the data is in another script, "
                f"take a teacher, a student and {self.name}.generator that know it."
            )
        rows = None if batch.rows is None else set(batch.rows.tolist())
        drawn = draw_uniform(counts, *words, rows=rows, device=device, generator=self.shared_rng)
        return masked if batch.rows is None else masked[batch.rows], drawn, any(counts)

    @staticmethod
    def _read_filled(
        encoder: TextEncoder, batch: Batch, masked: Tensor, one_hot: Tensor, taps: Taps | None
    ) -> EncoderOutput:
        """A pass on generated text whose words are rows of the encoder's *own* table, chosen by the generator."""
        words = fill_embeddings(encoder.look_up(batch.input_ids), masked, one_hot, encoder.word_table)
        embeddings = encoder.embed(batch.input_ids, batch.token_type_ids, words)
        return encoder(attention_mask=batch.attention_mask, embeddings=embeddings, taps=taps)  # type: ignore[no-any-return]


def _pairs(tokenizer: Any, before: Batch, after: Batch, count: int) -> list[tuple[str, str]]:
    """The first few texts, original and generated."""
    lengths = before.attention_mask[:count].sum(1).tolist()
    both = zip(before.input_ids[:count].tolist(), after.input_ids[:count].tolist(), lengths, strict=True)
    return [readable(tokenizer, old[:n], new[:n]) for old, new, n in both]
