"""Two small methods that ask of the contract what GAN-BERT and L2A will ask: both go through the whole contract test.

``Rival`` has a second player that moves on every batch, and a head and optimisers of its own. ``Pooled`` draws its rows
anew before each epoch, from two domains and from rows without labels; a policy keeps or drops rows, is rewarded by a
score after each batch, and is stepped once for every batch behind each epoch.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from kdlab.data.splits import join_splits, split_of_rows
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.methods.shared.players import STUDENT
from kdlab.methods.shared.projection import Projection
from kdlab.methods.shared.settings import positive
from kdlab.system.distributed import gather_rows
from kdlab.types import CarvedRows, LeftoverRows, LossTerms, Need, OtherTaskRows

GENERATOR, POLICY = "generator", "policy"
NOISE = 4


@dataclass
class RivalConfig(MethodConfig):
    """Settings of ``rival``."""

    generator_learning_rate: float = 1e-3

    def validate(self) -> None:
        positive(self, "generator_learning_rate")


class Rival(DistillModule):
    """A generator of features against a discriminator that also answers the task, in separate steps on each batch."""

    Config: ClassVar[type[MethodConfig]] = RivalConfig
    needs = frozenset()

    def __init__(self, config, student, teacher, task):
        super().__init__(config, student, teacher, task)
        width = int(student.config.hidden_size)
        self.head = Projection(width, task.num_outputs + 1)  # the task's outputs, then "made by the generator"
        self.generator = Projection(NOISE, width)

    @classmethod
    def players_of(cls, config):
        return (STUDENT, GENERATOR)

    def players(self):
        students = [p for n, p in self.named_parameters() if not n.startswith(("teacher.", "generator."))]
        return {STUDENT: students, GENERATOR: self.generator.parameters()}

    def learning_rate_of(self, player):
        return self.config.generator_learning_rate if player == GENERATOR else super().learning_rate_of(player)

    def optimizer_of(self, player, parameters):
        if player == STUDENT:
            return super().optimizer_of(player, parameters)
        return torch.optim.Adam(parameters, self.learning_rate_of(player), betas=(0.5, 0.9))

    def schedule_of(self, player, optimizer, steps):
        return super().schedule_of(player, optimizer, steps) if player == STUDENT else None

    def begin_phase(self, context):
        super().begin_phase(context)
        draw = torch.Generator().manual_seed(context.seed)
        self.head.draw(draw)
        self.generator.draw(draw)

    def _features(self, batch):
        backbone = self.student.model.bert
        inputs = {"attention_mask": batch.attention_mask, "token_type_ids": batch.token_type_ids}
        return self.student.model.dropout(backbone(input_ids=batch.input_ids, **inputs).pooler_output)  # (B, D)

    def _made(self, batch):
        """Features that the generator makes for the batch, drawn for the one that processes share, ``(B, D)``."""
        noise = torch.rand(len(batch.whole or batch), NOISE, generator=self.shared_rng)
        return torch.tanh(self.generator((noise if batch.rows is None else noise[batch.rows.cpu()]).to(self.device)))

    def loss_of(self, player, batch):
        return self.compute_loss(batch) if player == STUDENT else self.fooling(batch)

    def compute_loss(self, batch):
        real, made = self.head(self._features(batch)), self.head(self._made(batch).detach())
        gold = self._gold_loss(real[:, :-1], batch)
        told = F.softplus(real[:, -1]).mean() + F.softplus(-made[:, -1]).mean()
        return LossTerms(gold + told, {"gold": gold, "told": told})

    def fooling(self, batch):
        """-log(1 - p_made) on made features, and their mean brought to that of the real ones."""
        made = self._made(batch)
        with torch.no_grad():
            real = self._features(batch)
        fooled = F.softplus(self.head(made)[:, -1]).mean()
        matched = (made - real).square().mean()
        return LossTerms(fooled + matched, {"fooled": fooled, "matched": matched})

    def _gold_loss(self, logits, batch):
        if self.task.regression:
            return (logits.squeeze(-1) - batch.gold()).square().mean()
        return F.cross_entropy(logits, batch.gold())

    def answer(self, batch):
        return self.head(self._features(batch))[:, :-1]

    def finished_student(self):
        student = copy.deepcopy(self.student)
        with torch.no_grad():
            student.model.classifier.weight.copy_(self.head.weight[:-1])
            student.model.classifier.bias.zero_()
        return student


@dataclass
class PooledConfig(MethodConfig):
    """Settings of ``pooled``."""

    source: str = "rte"
    other_rows: int = 4
    policy_learning_rate: float = 1e-2
    discount: float = 0.9


class Pooled(DistillModule):
    """A student on a pool that is drawn anew, of which a policy keeps some rows."""

    Config: ClassVar[type[MethodConfig]] = PooledConfig
    needs = frozenset({Need.LOGITS})

    def __init__(self, config, student, teacher, task):
        super().__init__(config, student, teacher, task)
        self.policy = Projection(2 * task.num_outputs, 1)
        self.seen: list[tuple[Any, Any, float]] = []  # of this epoch: states, actions, reward
        self.last_score = 0.0

    @classmethod
    def players_of(cls, config):
        return (STUDENT, POLICY)

    @classmethod
    def splits_of(cls, config):
        source = OtherTaskRows(config.source, None, "pooled.source")
        return {"reward": CarvedRows(0.25), "source": source, "unlabelled": LeftoverRows()}

    @classmethod
    def rows_of(cls, config, sizes):
        return sizes["train"] + 2 * config.other_rows

    def players(self):
        return {STUDENT: self.student.parameters(), POLICY: self.policy.parameters()}

    def optimizer_of(self, player, parameters):
        if player == STUDENT:
            return super().optimizer_of(player, parameters)
        return torch.optim.Adam(parameters, self.config.policy_learning_rate, betas=(0.9, 0.998))

    def schedule_of(self, player, optimizer, steps):
        return super().schedule_of(player, optimizer, steps) if player == STUDENT else None

    def begin_phase(self, context):
        super().begin_phase(context)
        self.policy.draw(torch.Generator().manual_seed(context.seed))

    def begin_epoch(self, epoch, data):
        parts = {"train": self._edited(data.split("train"))}
        for name in ("source", "unlabelled"):
            rows = data.split(name)
            chosen = torch.randperm(len(rows), generator=self.shared_rng)[: self.config.other_rows]
            parts[name] = rows.take(chosen.tolist())
        data.train_on(join_splits(parts))

    def _edited(self, rows):
        """Every row with one of its words in the place of another one."""
        ids, types = [], []
        for start, end in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
            row = rows.ids[start:end].tolist()
            at, other = (1 + torch.randint(len(row) - 2, (2,), generator=self.shared_rng)).tolist()
            row[at] = row[other]
            ids.append(row)
            types.append(rows.types[start:end].tolist())
        return split_of_rows(ids, types, rows.pad_id, rows.labels.tolist(), rows.names)

    def loss_of(self, player, batch):
        if player == STUDENT:
            return self.compute_loss(batch)
        score = self.score("reward")  # the student has just made its step
        self.seen[-1] = (*self.seen[-1][:2], score - self.last_score)
        self.last_score = score
        return None

    def compute_loss(self, batch):
        logits, target = self.student.classify(batch), batch.soft_labels()
        kept = self._keep(batch, torch.cat([logits.detach().float(), target], dim=-1)).to(logits.device)  # (B,)
        soft = ((logits.float() - target).square().mean(-1) * kept).mean()
        known = batch.labelled if batch.labelled is not None else torch.ones_like(kept, dtype=torch.bool)
        labels = batch.labels if self.task.regression else F.one_hot(batch.labels, self.task.num_outputs)
        gaps = (logits.float() - labels.view(len(batch), -1)).square().mean(-1)
        gold = (gaps * kept * known).mean()
        domain = torch.zeros_like(kept) if batch.domain is None else batch.domain.float()
        return LossTerms(soft + gold, {"soft": soft, "gold": gold, "kept": kept.mean(), "domain": domain.mean()})

    def _keep(self, batch, states):
        """1 for rows that the policy keeps, 0 for others, drawn for the batch that processes share, ``(B,)``."""
        whole = len(batch.whole or batch)
        states = gather_rows(states, batch.rows, whole).cpu()
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            chance = torch.sigmoid(self.policy(states.to(self.policy.weight.device)).squeeze(-1)).cpu()
        actions = (torch.rand(whole, generator=self.shared_rng) < chance).float()
        if self.training:
            self.seen.append((states, actions, 0.0))
        return actions if batch.rows is None else actions[batch.rows.cpu()]

    def end_epoch(self, epoch):
        returns, worth = [], 0.0
        for *_, reward in reversed(self.seen):
            worth = reward + self.config.discount * worth
            returns.append(worth)
        for (states, actions, reward), value in zip(self.seen, reversed(returns), strict=True):
            signs = (2 * actions - 1).to(self.device)
            likelihood = F.logsigmoid(self.policy(states.to(self.device)).squeeze(-1) * signs)
            loss = -(value * likelihood).mean()
            self.step(POLICY, LossTerms(loss, {"reward": loss.new_tensor(reward)}))
        self.seen = []

    def method_state(self):
        return {"seen": [list(one) for one in self.seen], "last_score": self.last_score}

    def restore_method_state(self, state):
        self.seen = [tuple(one) for one in state["seen"]]
        self.last_score = state["last_score"]
