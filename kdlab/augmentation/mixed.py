"""``all``: each copy by one of the three augmenters of the robustness study, which chance chooses."""

from __future__ import annotations

from typing import Any

from kdlab.augmentation.base import Tools, WordAugmenter
from kdlab.augmentation.embedding import EmbeddingSettings, EmbeddingSwap
from kdlab.augmentation.synonym_insertion import SynonymInsertion
from kdlab.augmentation.wordnet import WordNetSwap
from kdlab.system.draw import Draw
from kdlab.transformations.words import Words


class Mixed(WordAugmenter):
    """One of ``embedding``, ``synonym_insertion`` and ``wordnet``; where that one can change nothing, the next."""

    name = "all"
    Config = EmbeddingSettings
    parts: tuple[type[WordAugmenter], ...] = (EmbeddingSwap, SynonymInsertion, WordNetSwap)
    wants = frozenset(kind for part in parts for kind in part.wants)

    def __init__(self, config: Any, tools: Tools) -> None:
        super().__init__(config, tools)
        self.members = [part(config, tools) for part in self.parts]

    def change(self, words: Words, draw: Draw, copy: int) -> list[tuple[int, str, str]] | None:
        """See ``WordAugmenter.change``."""
        changes = (member.change(words, draw, copy) for member in draw.shuffled(self.members))
        return next((change for change in changes if change is not None), None)
