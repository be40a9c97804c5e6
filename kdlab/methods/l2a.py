"""L2A: learning to augment (Feng et al. 2021, arXiv:2101.08106)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from kdlab.data.module import TextDataModule
from kdlab.data.tasks import SOURCE_ROWS, TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.methods.base import DistillModule, MethodConfig, PhaseContext
from kdlab.methods.l2a_loss import LastLayers, check_last_layers
from kdlab.methods.l2a_settings import GENERATOR, LEARNED, LOSS, RANDOM, L2AConfig
from kdlab.methods.shared.candidates import Asked, Pool, obtain_pool
from kdlab.methods.shared.findings import candidate_table
from kdlab.methods.shared.players import STUDENT, adamw
from kdlab.methods.shared.selector import Episode, Selector, state_of
from kdlab.methods.shared.writer import Writer
from kdlab.models.encoder import TextEncoder
from kdlab.models.generator import MaskedLM
from kdlab.ops.policy import advantages, candidate_weights, effective_sample_size, policy_entropy, policy_loss
from kdlab.system.distributed import gather_rows
from kdlab.transformations.masked_lm import Filler
from kdlab.types import Batch, LossTerms, MaskedLMResource, Need, Resource, SplitWish

SELECTOR = "selector"
MASKED_LM, REWARD = "masked_lm", "reward"


class L2A(DistillModule):
    """``L_KD = L_att + L_hidden + L_dark`` (Eq. 2 and 3) on candidates that a selector keeps; no gold label is used.

    Candidates are drawn from P_s around the rows of the target and of a source domain (``--source``). The selector sees
    both networks' answers to a candidate and keeps or drops it; what a batch's step adds to the student's score on the
    reward part is its reward, and behind each epoch the selector makes a step for every batch of it (Algorithm 1). Of a
    batch one candidate is kept at least. The paper's variants: without ``--source`` it is L2A w/o src, with
    ``data.domains=source`` w/o tgt.

    L_hidden has no W where both encoders have one width (see ``LastLayers``). Where ``accumulate`` adds up gradients
    (only with ``selector=random`` or ``all``), micro-batches weigh alike, however many candidates of each are kept.
    """

    name: ClassVar[str] = "l2a"
    Config: ClassVar[type[MethodConfig]] = L2AConfig
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOGITS, Need.TEACHER})
    config: L2AConfig

    def __init__(self, config: L2AConfig, student: TextEncoder, teacher: TextEncoder | None, task: TaskSpec) -> None:
        super().__init__(config, student, teacher, task)
        theirs = self.frozen_teacher.config if config.reads_layers else None
        self.distance = LastLayers(config, theirs, student.config, task.regression)
        self.episode = Episode()
        self.last_score: float | None = None
        self.pool: Pool | None = None
        self.judge: dict[str, Tensor] = {}  # the selector behind the last epoch, whichever epoch's student is chosen
        if config.selector == LEARNED:
            self.selector = Selector(task.num_outputs, config.selector_hidden, task.regression)

    # --- before training ---------------------------------------------------------------------------------------------

    @classmethod
    def needs_of(cls, config: L2AConfig) -> frozenset[Need]:
        """Without attention and hidden states, cached logits are enough."""
        return cls.needs if config.reads_layers else frozenset({Need.LOGITS})

    @classmethod
    def taps_of(cls, config: L2AConfig) -> str:
        """The last layers' attention and hidden states, as far as they have a weight."""
        return config.layers_read

    @classmethod
    def players_of(cls, config: L2AConfig) -> tuple[str, ...]:
        """The student, the selector where it learns, and the generator where the pool is drawn of it."""
        selects = (SELECTOR,) if config.selector == LEARNED else ()
        return (STUDENT, *selects, *((GENERATOR,) if config.sample_from == GENERATOR else ()))

    @classmethod
    def foresight_of(cls, config: L2AConfig) -> dict[str, str]:
        """How many words candidates differ in."""
        return {"candidates": config.words_edited}

    @classmethod
    def rows_of(cls, config: L2AConfig, sizes: Mapping[str, int]) -> int:
        """Candidates of all rows.

        Raises:
            KdlabError: There are none.
        """
        others = sizes.get(SOURCE_ROWS, 0)
        own = sizes[TRAIN] - others
        rows = own * config.samples + others * config.source_samples
        if not rows:
            which, count = ("source_samples", others) if others else ("samples", own)
            raise KdlabError(
                f"{cls.name}: the pool would be empty, for {cls.name}.{which}=0 and there are {count} such rows."
            )
        return rows

    @classmethod
    def resources_of(cls, config: L2AConfig) -> dict[str, Resource]:
        """A masked LM."""
        return {MASKED_LM: MaskedLMResource(config.masked_lm, config.head_steps, f"{cls.name}.masked_lm")}

    @classmethod
    def splits_of(cls, config: L2AConfig) -> dict[str, SplitWish]:
        """Rows on which the student is scored after each batch.

        Where they are carved out of train every selector goes without them, so that all have the same rows.
        """
        wish = config.reward_rows_wished
        return {} if wish is None else {REWARD: wish}

    @classmethod
    def check_pair(cls, config: L2AConfig, teacher: Any, student: Any) -> None:
        """The last layers' attention must be comparable."""
        check_last_layers(config, teacher, student)

    def take(self, name: str, resource: Any) -> None:
        """Takes the masked LM; P_s stays as it is, and what learns is a copy."""
        masked_lm: MaskedLM = resource
        self._masked_lm = [masked_lm]  # in a list, for it is no part of this module: no player, in no checkpoint
        if self.config.sample_from == GENERATOR:
            self.generator = Writer(copy.deepcopy(masked_lm))

    def players(self) -> dict[str, Iterable[Parameter]]:
        """The student with the projection, the selector, the generator."""
        others = ("teacher.", f"{SELECTOR}.", f"{GENERATOR}.")
        found: dict[str, Iterable[Parameter]] = {
            STUDENT: [p for n, p in self.named_parameters() if not n.startswith(others)]
        }
        if self.config.selector == LEARNED:
            found[SELECTOR] = self.selector.parameters()
        if self.config.sample_from == GENERATOR:
            found[GENERATOR] = self.generator.parameters()
        return found

    def optimizer_of(self, player: str, parameters: list[Parameter]) -> Optimizer:
        """The selector's is the paper's Adam."""
        c = self.config
        if player == SELECTOR:
            return torch.optim.Adam(parameters, c.selector_learning_rate, betas=(0.9, 0.998))
        if player == GENERATOR:
            return adamw(parameters, c.generator_learning_rate, 0.0, fused=self.trainer.precision != "16-mixed")
        return super().optimizer_of(player, parameters)

    def schedule_of(self, player: str, optimizer: Optimizer, steps: int) -> LRScheduler | None:
        """The student's alone falls."""
        return super().schedule_of(player, optimizer, steps) if player == STUDENT else None

    def begin_phase(self, context: PhaseContext) -> None:
        """Draws the projection and the selector."""
        super().begin_phase(context)
        self.distance.draw(context.seed)
        if self.config.selector == LEARNED:
            self.selector.draw(context.seed)

    # --- candidates --------------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, data: TextDataModule) -> None:
        """Draws the pool: once from P_s, or before each epoch from the generator."""
        if self.pool is None or self.config.sample_from == GENERATOR:
            self.pool = self._draw_pool(epoch, data)
        data.train_on(self.pool.split)

    def _draw_pool(self, epoch: int, data: TextDataModule) -> Pool:
        c, drawn_from = self.config, self._masked_lm[0]
        if c.sample_from == GENERATOR and epoch:
            drawn_from = self.generator.masked_lm
        seed = self.context.seed * 1_000_003 + (epoch if c.sample_from == GENERATOR else 0)
        asked = Asked(c.samples, c.source_samples, c.prior, c.keep_original, seed)
        return obtain_pool(
            data,
            asked,
            drawn_from,
            lambda: Filler(drawn_from, data.max_length, self.device),
            lambda done, total: self.context.listener.say(f"  candidates: {done:,} of {total:,} drawn"),
        )

    # --- a step ------------------------------------------------------------------------------------------------------

    def loss_of(self, player: str, batch: Batch) -> LossTerms | None:
        """The student's loss; then, for the selector, what the student's step was worth."""
        if player == STUDENT:
            if self.config.selector == LEARNED and self.last_score is None:
                self.last_score = self._standing()
            return self.compute_loss(batch)
        if player == SELECTOR:
            score = self._standing()
            self.episode.reward(score - (self.last_score or 0.0))
            self.terms.add({"reward": torch.tensor(self.episode.rewards[-1])})
            self.last_score = score
        return None

    def _standing(self) -> float:
        """How good the student is on the reward part; more is better."""
        return -self.score(REWARD, LOSS) if self.config.reward_by == LOSS else self.score(REWARD)

    def compute_loss(self, batch: Batch) -> LossTerms:
        """L_KD on the candidates of the batch that are kept."""
        ours = self.student.read(batch, self.distance.student_taps)
        kept = self._keep(batch, ours.logits)  # (B,) of the batch that processes share
        own = kept if batch.rows is None else kept[batch.rows]
        terms = self.distance.terms(batch, ours, own.nonzero().squeeze(1), self.teacher)
        if batch.rows is not None:  # a process counts by the candidates that it kept; the base takes it by its rows
            share = own.sum() / kept.sum() / batch.fraction
            terms = {name: term * share for name, term in terms.items()}
        total = self.distance.total(terms)
        if batch.rows is not None:  # processes wait for each other's gradients, of every weight in every step
            total = total + 0 * (ours.logits.sum() + sum(p.sum() for p in self.distance.parameters()))
        return LossTerms(total, terms | self._counts(batch, kept))

    @torch.no_grad()
    def _keep(self, batch: Batch, logits: Tensor) -> Tensor:
        """Which candidates of the batch that processes share are kept, ``(B,)`` bool; one at least."""
        c, whole = self.config, batch.whole or batch
        chance = torch.full((len(whole),), c.keep_rate if c.selector == RANDOM else 1.0, device=logits.device)
        states = None
        if c.selector == LEARNED:
            own = gather_rows(logits.detach().float(), batch.rows, len(whole))
            states = state_of(whole.soft_labels(), own, self.task.regression)
            chance = torch.sigmoid(self.selector(states))
        lot = torch.rand(len(whole), generator=self.shared_rng).to(chance.device)
        kept = lot < chance
        if not bool(kept.any()):
            kept[(chance - lot).argmax()] = True
        if states is not None and self.training:
            self.episode.add(states, kept.float(), chance, whole.index)
        return kept

    def _counts(self, batch: Batch, kept: Tensor) -> dict[str, Tensor]:
        """What part of the batch was kept, by domain where there are two, and how much of the kept was edited."""
        counts = {"kept": kept.float().mean()}
        return counts if self.pool is None else counts | self.pool.counts(batch.whole or batch, kept)

    # --- behind an epoch ---------------------------------------------------------------------------------------------

    def end_epoch(self, epoch: int) -> None:
        """A step of the selector for every batch of the epoch, then the generator's on the candidates."""
        if self.config.selector != LEARNED or self.pool is None:
            return
        seen, self.episode = self.episode, Episode()
        worth = advantages(seen.rewards, self.config.discount, self.config.baseline)
        for states, actions, drawn, advantage in zip(seen.states, seen.actions, seen.drawn, worth, strict=True):
            logits = self.selector(states.to(self.device))
            loss = policy_loss(logits, actions.to(self.device), advantage, drawn.to(self.device))
            self.step(SELECTOR, LossTerms(loss, {"entropy": policy_entropy(logits.detach())}))
        self.judge = {name: weight.detach().cpu().clone() for name, weight in self.selector.state_dict().items()}
        self._teach_generator(seen.chances(self.selector, len(self.pool), self.device), self.pool)

    def _teach_generator(self, keep: Tensor, pool: Pool) -> None:
        c = self.config
        origin, log_prob = torch.from_numpy(pool.origin), torch.from_numpy(pool.log_prob)
        weights = candidate_weights(c.weights, keep, log_prob, origin, c.alpha)
        ess = torch.tensor(effective_sample_size(weights, origin))
        self.terms.add({"effective_samples": ess})
        if c.sample_from != GENERATOR or self.context.data is None:
            return
        places = self.generator.places_of(
            pool, self.context.data.examples[TRAIN], weights, self.context.data.max_length
        )
        for some in self.generator.batches(places, c.generator_batch, self.shared_rng):
            self.step(GENERATOR, LossTerms(self.generator.loss(some), {}))

    # --- kept and shown ----------------------------------------------------------------------------------------------

    def method_state(self) -> dict[str, Any]:
        """The epoch under way, and the score behind the last step."""
        return {"episode": self.episode.state_dict(), "last_score": self.last_score, "judge": self.judge}

    def restore_method_state(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.episode = Episode.from_state(state["episode"])
        self.last_score = state["last_score"]
        self.judge = dict(state["judge"])

    def findings(self, data: TextDataModule) -> dict[str, str]:
        """A table of candidates by the chance that the selector keeps them, most kept and most dropped first."""
        if self.config.selector != LEARNED or not self.config.show:
            return {}
        pool = self.pool or self._draw_pool(0, data)
        selector = copy.deepcopy(self.selector)
        if self.judge:
            selector.load_state_dict(self.judge)
        return {"candidates.md": candidate_table(selector, self.student, pool, data, self.config.show, self.device)}
