"""The masked LM that a method asked for: found, or given a head on the task's own text once, and kept in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdlab.data.task_data import TaskData
from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.encoder import usable_positions
from kdlab.models.generator import HEADS, check_mask_token, has_mlm_head
from kdlab.models.vocabulary import check_one_vocabulary
from kdlab.system.files import fingerprint
from kdlab.types import MaskedLMResource

_FORMAT = 2  # raised when heads are made in another way
BATCH, RATE, MASKED = 32, 1e-4, 0.15
"""How a head is trained: texts a step, peak learning rate of all weights, part of the tokens that is masked."""


@dataclass(frozen=True)
class GeneratorPlan:
    """What will be done for a generator.

    Attributes:
        checkpoint: Where its weights start.
        key: Fingerprint of the generator that results.
        head_steps: Steps in which its head is trained; 0 where it comes with one.
        seed: Draws a new head, masks and order.
    """

    checkpoint: Checkpoint
    key: str
    head_steps: int
    seed: int

    @property
    def substituted(self) -> tuple[str, ...]:
        """What stands in for a pretrained head, in a sentence."""
        if not self.head_steps:
            return ()
        return (
            f"{self.checkpoint.source} comes without a masked-LM head, so the generator's is trained on the task's own "
            f"text for {self.head_steps} steps of {BATCH}: its words are worse than a pretrained masked LM's",
        )

    def describe(self) -> str:
        """As the plan says it."""
        head = f"its head trained for {self.head_steps} steps" if self.head_steps else "with its masked-LM head"
        return f"{self.checkpoint.source}, {head}, fingerprint {self.key[:12]}"

    def about(self) -> dict[str, Any]:
        """As the record says it."""
        return {"source": self.checkpoint.source, "head_steps": self.head_steps, "fingerprint": self.key}


def plan_generator(
    wish: MaskedLMResource,
    asked: Checkpoint | None,
    student: Checkpoint | None,
    reader: Checkpoint,
    task: TaskData,
    max_length: int,
    seed: int,
) -> GeneratorPlan:
    """Chooses the generator's checkpoint.

    Args:
        wish: What the method says of it.
        asked: The checkpoint that the user named.
        student: The student's own; None where it is made of the teacher.
        reader: The teacher's, or the student's where there is no teacher. Without ``asked`` the student's or the
            reader's is taken, whichever has a masked-LM head; the student's where neither has one.
        task: On whose text a head would be trained.
        max_length: Longest input in tokens.
        seed: The teacher's own, so that student seeds share a generator.

    Raises:
        KdlabError: Its vocabulary is not the teacher's, or it has too few positions or no mask token.
    """
    pair = [checkpoint for checkpoint in (student, reader) if checkpoint is not None]
    able = [checkpoint for checkpoint in pair if checkpoint.config.model_type in HEADS] or pair
    chosen = asked or next((c for c in able if has_mlm_head(c)), able[0])
    why = "the generator writes the ids that the teacher reads, so take one of the teacher's family"
    check_one_vocabulary((wish.setting, chosen), ("the teacher", reader), why, task.sample)
    check_mask_token(chosen)
    rows = {c.source: int(c.config.vocab_size) for c in (chosen, *pair)}
    if len(set(rows.values())) > 1:
        shown = ", ".join(f"{n} in {source}" for source, n in rows.items())
        raise KdlabError(
            f"{wish.setting}: generator, student and teacher have embeddings of different numbers of words ({shown}), "
            "and one choice of words must fit all: take checkpoints with one number."
        )
    if usable_positions(chosen.config) < max_length:
        raise KdlabError(
            f"{wish.setting} {chosen.source} has positions for {usable_positions(chosen.config)} tokens, but inputs "
            f"have up to {max_length}: set data.max_length, or take another generator."
        )
    return plan_head(chosen, wish.head_steps, task, max_length, seed)


def plan_head(chosen: Checkpoint, steps: int, task: TaskData, max_length: int, seed: int) -> GeneratorPlan:
    """A masked LM with its own head, or with one that is trained on the task's training text.

    Args:
        chosen: The checkpoint.
        steps: In how many steps a head is trained.
        task: Whose text it is trained on.
        max_length: Longest input in tokens.
        seed: Draws head, masks and order.
    """
    if has_mlm_head(chosen):
        return GeneratorPlan(chosen, fingerprint("as is", chosen.weights_fingerprint), 0, seed)
    key = fingerprint(
        "generator",
        _FORMAT,
        chosen.weights_fingerprint,
        chosen.tokenizer_fingerprint,
        task.training_fingerprint,
        [steps, BATCH, RATE, MASKED, seed, max_length],
    )
    return GeneratorPlan(chosen, key, steps, seed)


def labelled_key(plan: GeneratorPlan, task: TaskData, steps: int, max_length: int) -> str:
    """Fingerprint of a masked LM that was told the labels of a task.

    Args:
        plan: The masked LM that it starts from.
        task: Whose training text and labels it learns.
        steps: How long.
        max_length: Longest input in tokens.
    """
    return fingerprint(
        "labelled",
        _FORMAT,
        plan.key,
        plan.checkpoint.tokenizer_fingerprint,
        task.fingerprints[TRAIN],
        list(task.spec.labels),
        [steps, BATCH, RATE, MASKED, plan.seed, max_length],
    )
