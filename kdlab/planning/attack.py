"""What is attacked, by which recipes, with which models: decided before anything is made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER
from kdlab.attacks.study import Target
from kdlab.data.sources import Hub
from kdlab.data.spec import TaskSpec
from kdlab.data.task_data import TaskData
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.encoder import usable_positions
from kdlab.models.generator import HEADS, check_mask_token
from kdlab.planning.attack_settings import SIDES, AttackSettings, NamedRecipe, check_task, named_recipes
from kdlab.planning.backbone import open_checkpoint
from kdlab.planning.generator import GeneratorPlan, plan_head
from kdlab.system.draw import Draw
from kdlab.system.files import fingerprint
from kdlab.transformations.resources import Resources

FORMAT = 1
"""Raised when an attack ends otherwise than before."""
LONGEST = 128
"""Tokens that masked LM and sentence encoder read at most."""


@dataclass(frozen=True)
class AttackPlan:
    """Attacks on a task's examples, whoever the victim is.

    Attributes:
        settings: What the user asks for.
        recipes: The recipes.
        task: The task's data.
        split: Where the examples are from.
        targets: The examples.
        masked_lm: What is done for the masked LM; None where no recipe needs one.
        sentences: The sentence encoder's checkpoint; None where no recipe needs one.
        resources: Lexical resources.
    """

    settings: AttackSettings
    recipes: tuple[NamedRecipe, ...]
    task: TaskData
    split: str
    targets: tuple[Target, ...]
    masked_lm: GeneratorPlan | None
    sentences: Checkpoint | None
    resources: Resources = field(repr=False)

    @property
    def spec(self) -> TaskSpec:
        """The task."""
        return self.task.spec

    @property
    def sides(self) -> tuple[int, ...] | None:
        """Texts of a pair that may be changed; None leaves it to the recipe."""
        return None if self.settings.side is None else SIDES[self.settings.side]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the text columns."""
        text, pair, _ = self.spec.file_columns
        return (text,) if pair is None else (text, pair)

    @property
    def lm_length(self) -> int:
        """Longest input of the masked LM in tokens."""
        return LONGEST if self.masked_lm is None else min(LONGEST, usable_positions(self.masked_lm.checkpoint.config))

    @property
    def sentences_length(self) -> int:
        """Longest input of the sentence encoder in tokens."""
        return LONGEST if self.sentences is None else min(LONGEST, usable_positions(self.sentences.config))

    @cached_property
    def masked_lm_key(self) -> str:
        """Fingerprint of the masked LM and of how it reads; empty without one."""
        lm = self.masked_lm
        if lm is None:
            return ""
        return fingerprint("words", FORMAT, lm.key, lm.checkpoint.tokenizer_fingerprint, self.lm_length)

    @cached_property
    def sentences_key(self) -> str:
        """Fingerprint of the sentence encoder and of how it reads; empty without one."""
        one = self.sentences
        if one is None:
            return ""
        prints = one.weights_fingerprint, one.tokenizer_fingerprint
        return fingerprint("sentences", FORMAT, *prints, self.sentences_length)

    @cached_property
    def data_key(self) -> str:
        """Fingerprint of the examples with their labels."""
        labels = self.spec.labels
        return fingerprint([[one.id, list(one.texts), labels[one.label]] for one in self.targets])

    def key(self, recipe: NamedRecipe, victim: str, resources: Sequence[str]) -> str:
        """Fingerprint of everything that a recipe's outcomes depend on.

        Args:
            recipe: The recipe.
            victim: The victim's fingerprint.
            resources: Of what the recipe works with.
        """
        asked, needs = self.settings, recipe.kind.needs
        return fingerprint(
            "attack",
            FORMAT,
            list(recipe.about),
            [asked.seed, asked.mode, asked.side, asked.similarity, list(self.columns)],
            victim,
            self.data_key,
            list(resources),
            self.masked_lm_key if MASKED_LM in needs else "",
            self.sentences_key if SENTENCE_ENCODER in needs else "",
        )

    def substituted(self, needs: Collection[str]) -> list[str]:
        """Models that stand in for a recipe's own, in sentences.

        Args:
            needs: What the recipe needs.
        """
        found: list[str] = []
        if MASKED_LM in needs and self.masked_lm is not None:
            found += self.masked_lm.substituted
        if SENTENCE_ENCODER in needs and self.sentences is not None:
            found.append(
                f"sentence encoder: the mean of {self.sentences.source}'s states, for the Universal Sentence Encoder"
            )
        return found


def plan_attack(
    settings: AttackSettings, task: TaskData, models_of: str, hub: Hub, resources: Resources, seed: int = 0
) -> AttackPlan:
    """Decides everything but the victim.

    Args:
        settings: What the user asks for.
        task: The task's data.
        models_of: The checkpoint that masked LM and sentence encoder are made of where the user names none.
        hub: Whether it answers.
        resources: Lexical resources.
        seed: Of a masked LM's head.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    settings.check()
    check_task(task.spec)
    recipes = named_recipes(settings.recipes)
    split = task.reported_splits[0]
    needs = {kind for recipe in recipes for kind in recipe.kind.needs}
    lm = sentences = None
    if MASKED_LM in needs:
        chosen = open_checkpoint(settings.masked_lm or models_of, hub)
        check_mask_token(chosen)
        length = min(LONGEST, usable_positions(chosen.config))
        lm = plan_head(chosen, settings.head_steps, task, length, seed)
    if SENTENCE_ENCODER in needs:
        sentences = open_checkpoint(settings.sentence_encoder or settings.masked_lm or models_of, hub)
        if sentences.config.model_type not in HEADS:
            raise KdlabError(
                f"{sentences.source} is a BiLSTM, which is no sentence encoder: name one by --sentence-encoder."
            )
    return AttackPlan(
        settings=settings,
        recipes=recipes,
        task=task,
        split=split,
        targets=_targets(task, split, settings),
        masked_lm=lm,
        sentences=sentences,
        resources=resources,
    )


def _targets(task: TaskData, split: str, settings: AttackSettings) -> tuple[Target, ...]:
    """Examples drawn by the seed, in the order of the split."""
    examples = task.splits[split]
    total, count = len(examples), settings.count
    if count is not None and count > total:
        raise KdlabError(f"-n {count}: {split} of {task.spec.name} has {total} examples: give that many or fewer.")
    chosen = range(total) if count is None else sorted(Draw(f"targets {settings.seed}").some(range(total), count))
    labels: Any = examples.labels
    pairs = examples.text_pair
    return tuple(
        Target(i, (examples.text[i],) if pairs is None else (examples.text[i], pairs[i]), int(labels[i]))
        for i in chosen
    )


def name_of(source: str) -> str:
    """A model's name for tables and folders."""
    return Path(source).name
