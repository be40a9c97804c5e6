"""kdlab's side of the parity test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from attacks.parity.victim import Victim as SmallVictim
from torch import Tensor

from kdlab.attacks import load_recipe
from kdlab.attacks.engine import AlwaysSimilar, Models, Sentences
from kdlab.attacks.kit import kit_for
from kdlab.attacks.masked_words import MaskedWords
from kdlab.attacks.sentences import SentenceEncoder
from kdlab.attacks.study import Target, run_study
from kdlab.attacks.victim import CallableVictim, EncoderVictim, Victim
from kdlab.models.checkpoint import load_encoder, resolve_checkpoint
from kdlab.models.generator import load_masked_lm
from kdlab.models.sentences import load_sentence_model
from kdlab.system.cache import Cache
from kdlab.transformations.resources import Resources

LONGEST = 512  # tokens, as TextAttack has it
LABELS = ("negative", "positive")


class Noisy:
    """Answers with uniform noise of so much on either side, drawn anew for each number."""

    def __init__(self, victim: Victim, sentences: Sentences, width: float, seed: int) -> None:
        self.labels = victim.labels
        self._victim, self._sentences, self._width = victim, sentences, width
        self._draw = torch.Generator().manual_seed(seed)

    def logits(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        """The victim's logits."""
        return self._moved(self._victim.logits(texts))

    def cosines(self, pairs: list[tuple[str, str]]) -> Tensor:
        """The sentence encoder's cosines."""
        return self._moved(self._sentences.cosines(pairs))

    def _moved(self, values: Tensor) -> Tensor:
        noise = torch.rand(values.shape, generator=self._draw, dtype=values.dtype)
        return values + self._width * (2 * noise - 1)


def kdlab_side(job: dict[str, Any]) -> list[dict[str, Any]]:
    """What kdlab's engine makes of a job of one recipe in ``compat`` mode, in the form of TextAttack's side.

    Returns:
        An ``id``, ``status``, ``text``, ``queries``, ``original_score`` and ``score`` for each example.
    """
    (name,) = job["recipes"]
    recipe = load_recipe(name)
    texts = [(text,) for text in job["texts"]]
    resources = Resources(str(Path(job["nltk_data"])), Cache())
    tables = Resources(str(Path(job["neighbours"]).parent), Cache())
    words = _masked_words(job) if name == "bae" else None
    kit = kit_for(name, recipe.needs, texts, _Both(resources, tables), mask="[MASK]" if words is None else words.mask)
    victim, sentences = _victim(job), _sentences(job)
    models = Models(victim, words, sentences)
    if job.get("noise"):
        noisy = Noisy(victim, sentences, float(job["noise"]), int(job["noise_seed"]))
        models = Models(noisy, words, noisy)  # type: ignore[arg-type]
    ids = job.get("ids") or list(range(len(texts)))
    targets = [Target(i, text, label) for i, text, label in zip(ids, texts, job["labels"], strict=True)]
    found = {one.id: one for one in run_study(targets, recipe().build(kit), models, job["seed"], "compat")}
    return [
        {
            "id": i,
            "status": found[i].status,
            "text": found[i].attacked[0],
            "queries": found[i].queries,
            "original_score": found[i].score[0],
            "score": found[i].score[1],
        }
        for i in ids
    ]


class _Both(Resources):
    """NLTK's data from one folder, neighbours from another."""

    def __init__(self, own: Resources, tables: Resources) -> None:
        super().__init__(None if own.folder is None else str(own.folder), own.cache)
        self._tables = tables

    def neighbours(self, *arguments: Any, **named: Any) -> Any:
        """Those of the other folder."""
        return self._tables.neighbours(*arguments, **named)


def _victim(job: dict[str, Any]) -> Victim:
    if job["victim"] == "small":
        return CallableVictim(SmallVictim(Path(job["victim_train"])).scores, LABELS)
    checkpoint = resolve_checkpoint(job["victim"], offline=True)
    encoder = load_encoder(checkpoint, checkpoint.head_labels, list(range(len(checkpoint.head_labels))), 0)
    return EncoderVictim(encoder, checkpoint.head_labels, checkpoint.tokenizer, LONGEST)


def _masked_words(job: dict[str, Any]) -> MaskedWords:
    model = load_masked_lm(resolve_checkpoint(job["masked_lm"], offline=True), 0)
    return MaskedWords(model.double() if job["double"] else model, LONGEST, compat=True)


def _sentences(job: dict[str, Any]) -> Sentences:
    if job["sentence_encoder"] is None:
        return AlwaysSimilar()
    checkpoint = resolve_checkpoint(job["sentence_encoder"], offline=True)
    model = load_sentence_model(checkpoint)
    return SentenceEncoder(model.double() if job["double"] else model, checkpoint.tokenizer, LONGEST)
