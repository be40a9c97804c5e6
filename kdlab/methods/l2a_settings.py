"""Settings of ``l2a``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kdlab.augmentation.p_s import PRIORS, EditPriorSettings, expected_share
from kdlab.errors import KdlabError
from kdlab.methods.shared.layer_match import RELATIONS
from kdlab.methods.shared.settings import MethodConfig, at_least, check_weights, fraction, one_of, positive
from kdlab.ops.policy import BASELINES, FORECAST, WEIGHTS
from kdlab.types import CarvedRows, SplitWish, ValidationRows

GENERATOR = "generator"
LEARNED, RANDOM, ALL = "learned", "random", "all"
P_S = "p_s"
VALIDATION, CARVED, AUTO = "validation", "carved", "auto"
METRIC, LOSS = "metric", "loss"
TYPICAL, BERT_VOCABULARY = 20, 30_522  # a text's words and a masked LM's, where the plan says how many are edited


@dataclass
class L2AConfig(MethodConfig):
    """Settings of ``l2a``; the defaults are the paper's where it says them.

    Attributes:
        samples: Candidates of each target row.
        source_samples: Candidates of each row of a source domain.
        edit_prior: How many words are edited: ``binomial``, ``araml`` or ``literal`` (see ``kdlab augment``'s p_s).
        alpha: α of the edit prior and of the candidates' weights.
        word_temperature: T, by which the masked LM's logits are divided.
        keep_original: Whether each row stands unedited among its own candidates, as in the code of the ancestor.
        masked_lm: What writes candidates: a folder, a name on the hub, or ``embedded``; None takes the student's own
            checkpoint, or the teacher's, whichever comes with a masked-LM head.
        head_steps: Steps in which a masked-LM head is trained on the task's text where the checkpoint has none.
        attention: ``maps`` as in Eq. 2, ``scores`` before the softmax, or ``relations`` (MiniLMv2), for any heads.
        relation_heads: Heads of the relations; None takes the most that divide both encoders' numbers of heads.
        attention_weight: Weight of L_att, on the last layers; 0 leaves it out.
        hidden_weight: Weight of L_hidden, on the last hidden states.
        dark_weight: Weight of L_dark.
        temperature: T_KD of L_dark; plays no part in regression.
        selector: ``learned``, ``random`` (keeps each candidate by chance) or ``all``.
        keep_rate: The chance of ``random``.
        reward: ``validation``, rows of the target's validation part as in the paper, ``carved`` out of its training
            rows, or ``auto``, the first where the task has a validation part that is not reported.
        reward_rows: At most so many rows of the validation part; 0 takes all. They are scored after every batch.
        reward_fraction: Part of train that is carved out.
        reward_by: ``metric``, the rise of the task's first metric as in the paper, or ``loss``, the fall of the loss,
            which also moves where no answer tips over.
        selector_hidden: Units of the selector's hidden layer.
        selector_learning_rate: Of its Adam, with β = (.9, .998).
        discount: γ of Eq. 14, which the paper does not give.
        baseline: What is subtracted from a step's return: ``forecast``, what its place in the epoch and the reward
            before it foretell, ``mean``, the mean return of the epoch, or ``none``.
        sample_from: ``p_s``, or ``generator``: a copy of the masked LM that learns from the selector, and of which the
            pool is drawn anew before each epoch.
        weights: How candidates count for the generator: ``payoff``, ``batch``, ``counted`` or ``literal``.
        generator_learning_rate: Of its AdamW.
        generator_batch: Places in texts that the generator learns from in a step.
        show: Candidates in each half of the record's table.
    """

    samples: int = 20
    source_samples: int = 1
    edit_prior: str = "binomial"  # Eq. 11's (|V|-1)^d would replace every word
    alpha: float = 0.6
    word_temperature: float = 1.0
    keep_original: bool = False
    masked_lm: str | None = None
    head_steps: int = 1000
    attention: str = "maps"
    relation_heads: int | None = None
    attention_weight: float = 1.0
    hidden_weight: float = 1.0
    dark_weight: float = 1.0
    temperature: float = 1.0
    selector: str = LEARNED
    keep_rate: float = 0.5
    reward: str = AUTO
    reward_rows: int = 128
    reward_fraction: float = 0.25
    reward_by: str = METRIC
    selector_hidden: int = 128
    selector_learning_rate: float = 3e-5
    discount: float = 0.9
    baseline: str = FORECAST
    sample_from: str = P_S
    weights: str = "payoff"  # Eq. 9's log P_s + π is negative for every sentence
    generator_learning_rate: float = 3e-5
    generator_batch: int = 32
    show: int = 10
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("show",)

    @property
    def reads_layers(self) -> bool:
        """Whether the loss compares more than logits."""
        return bool(self.attention_weight or self.hidden_weight)

    @property
    def layers_read(self) -> str:
        """What the loss reads of the last layers, in words; empty where it compares logits alone."""
        parts = {"attention": self.attention_weight, "hidden states": self.hidden_weight}
        read = [name for name, weight in parts.items() if weight]
        settings = [f"{self.section}.{name.split()[0]}_weight=0" for name in read]
        leave = "leave" if len(read) > 1 else "leaves"
        return f"{' and '.join(read)} of the last layer (which {' and '.join(settings)} {leave} out)" if read else ""

    @property
    def prior(self) -> EditPriorSettings:
        """P_s, of which candidates are drawn."""
        return EditPriorSettings(self.edit_prior, self.alpha, self.word_temperature)

    @property
    def words_edited(self) -> str:
        """How many words P_s edits on average, of a text of ``TYPICAL`` words, in words."""
        share = expected_share(TYPICAL, self.alpha, self.edit_prior, BERT_VOCABULARY)
        of = f"{share * TYPICAL:.1f} of {TYPICAL} words"
        return f"{of} edited on average, {100 * share:.1f} %, {self.edit_prior} with α {self.alpha:g}"

    @property
    def reward_rows_wished(self) -> SplitWish | None:
        """Rows on which the student is scored after each batch.

        Where they are carved out of train every selector goes without them, so that all have the same rows.
        """
        if self.selector != LEARNED and self.reward == VALIDATION:
            return None
        if self.reward == CARVED:
            return CarvedRows(self.reward_fraction)
        carved = self.reward_fraction if self.reward == AUTO else 0.0
        return ValidationRows(self.reward_rows, carved, f"set {self.section}.reward=carved")

    def validate(self) -> None:
        """Checks ranges."""
        at_least(self, 0, "samples", "source_samples", counts="candidates of each row")
        if not (self.samples or self.source_samples):
            raise KdlabError(f"{self.section}.samples and source_samples are both 0: there would be no candidates.")
        at_least(self, 0, "reward_rows", "show")
        at_least(self, 1, "head_steps", "selector_hidden", "generator_batch")
        one_of(self, "edit_prior", PRIORS)
        one_of(self, "attention", ("maps", "scores", RELATIONS))
        one_of(self, "selector", (LEARNED, RANDOM, ALL))
        one_of(self, "reward", (AUTO, VALIDATION, CARVED))
        one_of(self, "reward_by", (METRIC, LOSS))
        one_of(self, "sample_from", (P_S, GENERATOR))
        one_of(self, "weights", WEIGHTS)
        one_of(self, "baseline", BASELINES)
        fraction(self, "discount", "keep_rate", "reward_fraction")
        check_weights(self, "attention_weight", "hidden_weight", "dark_weight")
        if not (self.attention_weight or self.hidden_weight or self.dark_weight):
            raise KdlabError(f"{self.section}: all three losses have weight 0, and nothing would be learned.")
        positive(self, "alpha", "word_temperature", "temperature", "selector_learning_rate", "generator_learning_rate")
        positive(self, "relation_heads")
        if self.selector == RANDOM and self.keep_rate == 0:
            raise KdlabError(f"{self.section}.keep_rate=0 keeps no candidate: give a chance above 0.")
        if self.reward != VALIDATION and self.reward_fraction in (0, 1):
            raise KdlabError(
                f"{self.section}.reward_fraction is {self.reward_fraction}: it is the part of train that is carved "
                "out, between 0 and 1."
            )
        if self.sample_from == GENERATOR and self.selector != LEARNED:
            raise KdlabError(
                f"{self.section}.sample_from=generator learns from the selector, and {self.section}.selector="
                f"{self.selector} has nothing to teach it: set selector=learned, or sample_from=p_s."
            )
