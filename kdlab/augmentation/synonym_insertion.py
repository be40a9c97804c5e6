"""Synonyms of words inserted anywhere in the text, one of the augmenters of the robustness study."""

from __future__ import annotations

from kdlab.augmentation.base import SwapSettings, WordAugmenter, how_many, insertions
from kdlab.system.draw import Draw
from kdlab.transformations.tables import STOP_WORDS, SYNONYMS
from kdlab.transformations.words import Words


class SynonymInsertion(WordAugmenter):
    """Synonyms of content words, each before a word that chance chooses, or at the end."""

    name = "synonym_insertion"
    Config = SwapSettings
    wants = frozenset({SYNONYMS, STOP_WORDS})

    def change(self, words: Words, draw: Draw, copy: int) -> list[tuple[int, str, str]] | None:
        """See ``WordAugmenter.change``."""
        count = how_many(self.config.share, len(words))
        return insertions(words, self.tools.tables[SYNONYMS], self.tools.stop_words, count, draw)
