"""Conditional BERT (Wu et al. 2019, https://arxiv.org/abs/1812.06705): ``contextual`` by a masked LM told the label.

The paper puts the label in the place of BERT's segment; here a vector for each label is added to every word, starting
from nothing, so that encoders without segments do as well. It learns on the task's own training text.
"""

from __future__ import annotations

from dataclasses import replace

from kdlab.augmentation.base import Source
from kdlab.augmentation.contextual import Contextual
from kdlab.augmentation.filling import Place
from kdlab.transformations.blanks import Blank
from kdlab.transformations.masked_lm import Filler
from kdlab.transformations.tables import STOP_WORDS
from kdlab.transformations.words import Words

LABELLED_LM = "masked LM that knows labels"


class CBERT(Contextual):
    """A share of the words replaced by what the label makes likely."""

    name = "cbert"
    wants = frozenset({STOP_WORDS, LABELLED_LM})

    @property
    def filler(self) -> Filler:
        """See ``FillingAugmenter.filler``."""
        if self.tools.labelled is None:
            raise ValueError("cbert was given no masked LM that knows labels")
        return self.tools.labelled

    def blank(self, source: Source, texts: dict[int, Words], place: Place) -> Blank:
        """See ``FillingAugmenter.blank``."""
        if not isinstance(source.label, int):
            raise ValueError(f"example {source.id} has no label")
        return replace(super().blank(source, texts, place), label=source.label)
