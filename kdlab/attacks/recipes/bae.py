"""BAE-R (Garg and Ramakrishnan 2020, arXiv:2004.01970), as TextAttack 0.3.11 composes it."""

from __future__ import annotations

from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed, SamePartOfSpeech, SentenceSimilarity, StopWords
from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER, STOP_WORDS, TAGGER, Kit
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import WordImportance
from kdlab.attacks.transformations import MaskedLMSwap


class BAE(Recipe):
    """A masked LM's 50 best words, where part of speech and the sentence's meaning stay."""

    name = "bae"
    needs = (MASKED_LM, STOP_WORDS, TAGGER, SENTENCE_ENCODER)
    similarity = 0.936338023
    """1 - .2 / π: the paper's .8, by TextFooler's code, which lacks the π. The cosine is what is measured."""

    def build(self, kit: Kit) -> Attack:
        """See ``Recipe.build``."""
        return Attack(
            transformation=MaskedLMSwap(kit.mask),
            search=WordImportance(),
            unchangeable=[Changed(), StopWords(kit.stop_words), *kit.sides],
            constraints=[
                SamePartOfSpeech(kit.tagger),
                SentenceSimilarity(kit.similarity(self.similarity), angular=False, to_original=True),
            ],
        )
