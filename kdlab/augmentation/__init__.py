"""The augmenters by name; one is imported when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kdlab.errors import nearest

if TYPE_CHECKING:
    from kdlab.augmentation.base import Augmenter

AUGMENTERS: dict[str, tuple[str, str]] = {
    "eda": ("kdlab.augmentation.eda:EDA", "a synonym, an insertion, a swap or a deletion (Wei and Zou 2019)"),
    "wordnet": ("kdlab.augmentation.wordnet:WordNetSwap", "words replaced by WordNet synonyms"),
    "synonym_insertion": (
        "kdlab.augmentation.synonym_insertion:SynonymInsertion",
        "WordNet synonyms of words inserted",
    ),
    "embedding": (
        "kdlab.augmentation.embedding:EmbeddingSwap",
        "words replaced by neighbours in counter-fitted vectors",
    ),
    "contextual": ("kdlab.augmentation.contextual:Contextual", "words replaced by what a masked LM expects there"),
    "cbert": ("kdlab.augmentation.cbert:CBERT", "contextual, by a masked LM that was told the label (Wu et al. 2019)"),
    "tinybert": (
        "kdlab.augmentation.tinybert:TinyBERT",
        "a masked LM and word vectors (Jiao et al. 2020, algorithm 1)",
    ),
    "back_translation": (
        "kdlab.augmentation.back_translation:BackTranslation",
        "into another language and back, by models or a command",
    ),
    "p_s": ("kdlab.augmentation.p_s:EditPrior", "L2A's prior over edits, with its log-probability (Eq. 10 and 11)"),
    "all": ("kdlab.augmentation.mixed:Mixed", "each copy by one of embedding, synonym_insertion and wordnet"),
}


def load_augmenter(name: str) -> type[Augmenter]:
    """The class of an augmenter.

    Raises:
        KdlabError: No such augmenter.
    """
    if name not in AUGMENTERS:
        raise nearest(name, AUGMENTERS, "augmenter")
    module, _, attribute = AUGMENTERS[name][0].partition(":")
    kind: type[Augmenter] = getattr(importlib.import_module(module), attribute)
    return kind
