"""TextFooler (Jin et al. 2019, arXiv:1907.11932), as TextAttack 0.3.11 composes it."""

from __future__ import annotations

from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed, SamePartOfSpeech, SentenceSimilarity, StopWords, WithinText
from kdlab.attacks.kit import NEIGHBOURS, SENTENCE_ENCODER, TAGGER, Kit
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import WordImportance
from kdlab.attacks.transformations import TableSwap
from kdlab.transformations.stop_words import TEXTFOOLER_STOP_WORDS


class TextFooler(Recipe):
    """Near words in counter-fitted vectors, where part of speech and the sentence's meaning stay."""

    name = "textfooler"
    needs = (NEIGHBOURS, TAGGER, SENTENCE_ENCODER)
    similarity = 0.840845057
    """1 - .5 / π: its code's threshold of .5, which was not divided by π. The angle is what is measured."""

    def build(self, kit: Kit) -> Attack:
        """See ``Recipe.build``; the premise of an entailment pair stays as it is."""
        return Attack(
            transformation=TableSwap(kit.neighbours),
            search=WordImportance(),
            unchangeable=[Changed(), StopWords(TEXTFOOLER_STOP_WORDS), *kit.sides_but_premise],
            constraints=[
                WithinText(),
                SamePartOfSpeech(kit.tagger),
                SentenceSimilarity(kit.similarity(self.similarity), angular=True, to_original=False),
            ],
        )
