"""What augmenters work with, brought to where their processes find it: tables of words, masked LMs, translators."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdlab.augmentation.back_translation import TRANSLATORS
from kdlab.augmentation.blocks import LM, Kit
from kdlab.augmentation.cbert import LABELLED_LM
from kdlab.augmentation.contextual import MASKED_LM
from kdlab.augmentation.embedding import EmbeddingSettings
from kdlab.augmentation.tinybert import TinyBERTSettings
from kdlab.data.module import TextDataModule
from kdlab.pipeline.generator import LABELS, obtain_generator, obtain_labelled
from kdlab.planning.augment import AugmentPlan, Wish
from kdlab.planning.generator import GeneratorPlan
from kdlab.system.console import Reporter
from kdlab.transformations.resources import Resources
from kdlab.transformations.tables import NEIGHBOURS, STOP_WORDS, SYNONYMS, VECTORS, Origin, WordTable
from kdlab.transformations.words import Words


@dataclass(frozen=True)
class Equipment:
    """What one augmenter works with.

    Attributes:
        kit: For its processes.
        origins: Of lexical resources.
        models: Kind of each model to its name and fingerprint.
        substituted: What stands in for something else, in sentences.
    """

    kit: Kit
    origins: tuple[Origin, ...]
    models: dict[str, tuple[str, str]]
    substituted: tuple[str, ...]


def equip(plan: AugmentPlan, resources: Resources, reporter: Reporter) -> dict[str, Equipment]:
    """What each augmenter works with; a masked LM's head is trained where it has none.

    Args:
        plan: What is made.
        resources: The user's folder.
        reporter: Shows progress.

    Raises:
        KdlabError: A resource can't be read.
    """
    words = {word for source in plan.sources for side in source.sides for word in Words(source.texts[side]).lower}
    return {name: _equip(wish, plan, resources, words, reporter) for name, wish in plan.wishes.items()}


def _equip(wish: Wish, plan: AugmentPlan, resources: Resources, words: set[str], reporter: Reporter) -> Equipment:
    wants, run = wish.kind.wants, plan.run
    stop_words = resources.stop_words() if STOP_WORDS in wants else None
    kinds = [kind for kind in (SYNONYMS, NEIGHBOURS, VECTORS) if kind in wants]
    tables = {kind: _table(kind, wish, resources, words).without(stop_words) for kind in kinds}
    origins = (*(table.origin for table in tables.values()), *([stop_words.origin] if stop_words else []))
    substituted = [origin.sentence for origin in origins if origin.sentence]
    models: dict[str, tuple[str, str]] = {}
    lm = labelled = None
    if plan.masked_lm is not None and wants & {MASKED_LM, LABELLED_LM}:
        substituted += plan.masked_lm.substituted
        lm, labelled = _masked_lms(plan.masked_lm, wish, plan, reporter)
        key = plan.labelled_key if labelled else plan.masked_lm_key
        models[LABELLED_LM if labelled else MASKED_LM] = (Path(plan.masked_lm.checkpoint.source).name, key)
    if TRANSLATORS in wants:
        models |= dict(zip(("translator there", "translator back"), plan.named_translators(), strict=True))
    kit = Kit(
        tables=tables,
        stop_words=stop_words,
        lm=lm,
        labelled=labelled,
        max_length=plan.lm_length,
        device="cuda" if run.hardware.accelerator == "gpu" else "cpu",
        translators=plan.translators if TRANSLATORS in wants else (),
        models=plan.translates_by_models,
    )
    return Equipment(kit, origins, models, tuple(substituted))


def _table(kind: str, wish: Wish, resources: Resources, words: set[str]) -> WordTable:
    if kind == SYNONYMS:
        return resources.synonyms(words)
    if kind == NEIGHBOURS and isinstance(wish.settings, EmbeddingSettings):
        return resources.neighbours(words, wish.settings.least, wish.settings.most)
    if kind == VECTORS and isinstance(wish.settings, TinyBERTSettings):
        return resources.word_vectors(words, wish.settings.most)
    raise ValueError(f"{wish.kind.name} wants {kind} and has no settings for them")


def _masked_lms(lm: GeneratorPlan, wish: Wish, plan: AugmentPlan, reporter: Reporter) -> tuple[LM | None, LM | None]:
    """Where the plain masked LM lies, and the one that was told labels, as far as they are wanted."""
    run = plan.run
    data = TextDataModule(  # as this masked LM's tokenizer reads it
        task=run.task.spec,
        splits=run.task.splits,
        tokenizer=lm.checkpoint.tokenizer,
        tokenizer_fingerprint=lm.checkpoint.tokenizer_fingerprint,
        max_length=plan.lm_length,
        batch_size=1,
        eval_batch_size=1,
        select_on=run.task.select_on,
        seed=lm.seed,
        cache=run.cache,
    )
    source = lm.checkpoint.source
    if LABELLED_LM in wish.kind.wants:
        key, steps = plan.labelled_key, plan.settings.label_steps
        folder = obtain_labelled(lm, key, steps, data, run.hardware, run.cache, reporter)
        return None, LM(folder, source, lm.seed, folder / LABELS)
    obtain_generator(lm, data, run.hardware, run.cache, reporter)
    return LM(run.cache.path("generator", lm.key) if lm.head_steps else lm.checkpoint.folder, source, lm.seed), None
