"""Words replaced by what a masked LM expects in their place (as in Kobayashi 2018, with BERT).

Each word is hidden alone, so that the rest of the sentence speaks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kdlab.augmentation.base import Made, Source, SwapSettings, content_words, how_many
from kdlab.augmentation.filling import FillingAugmenter, Place, replaced
from kdlab.errors import KdlabError
from kdlab.system.draw import Draw
from kdlab.transformations.masked_lm import Filler, Guess
from kdlab.transformations.tables import STOP_WORDS
from kdlab.transformations.words import Words, like

MASKED_LM = "masked LM"


@dataclass
class ContextualSettings(SwapSettings):
    """Settings of augmenters that replace words by a masked LM's.

    Attributes:
        most: The masked LM's best words of a place, of which chance takes one.
    """

    most: int = 10

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        super().validate(section)
        if not 1 <= self.most <= 1000:
            raise KdlabError(f"{section}.most={self.most}: it says how many words, 1 to 1000.")


class Contextual(FillingAugmenter):
    """A share of the words replaced, content words alone."""

    name = "contextual"
    Config = ContextualSettings
    wants = frozenset({STOP_WORDS, MASKED_LM})

    @property
    def filler(self) -> Filler:
        """See ``FillingAugmenter.filler``."""
        if self.tools.filler is None:
            raise ValueError(f"{self.name} was given no masked LM")
        return self.tools.filler

    @property
    def most(self) -> int:  # type: ignore[override]
        """See ``FillingAugmenter.most``; one more, for the old word may be among them."""
        return int(self.config.most) + 1

    def places(self, source: Source, texts: dict[int, Words], draw: Draw) -> list[Place]:
        """See ``FillingAugmenter.places``: a share of the words of each text."""
        chosen: list[Place] = []
        for side, words in texts.items():
            open_places = content_words(words, self.tools.stop_words)
            count = min(how_many(self.config.share, len(words)), len(open_places))
            chosen += [(side, i) for i in sorted(draw.some(open_places, count))]
        return chosen

    def fill(
        self,
        source: Source,
        texts: dict[int, Words],
        places: Sequence[Place],
        guesses: dict[Place, list[Guess]],
        draw: Draw,
    ) -> Made | None:
        """See ``FillingAugmenter.fill``."""
        new = {}
        for place in places:
            words = [guess.word for guess in guesses[place][: self.config.most]]
            if words:
                new[place] = like(texts[place[0]].words[place[1]], draw.pick(words))
        return replaced(source, texts, new) if new else None
