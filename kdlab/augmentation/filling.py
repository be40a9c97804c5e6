"""What augmenters with a masked LM share: the places of all copies of many sources are asked about at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from kdlab.augmentation.base import TRIES, Augmenter, Made, Source
from kdlab.system.draw import Draw
from kdlab.transformations.blanks import Blank
from kdlab.transformations.masked_lm import Filler, Guess
from kdlab.transformations.words import Edit, Words, apply_edits

Place = tuple[int, int]
"""Side and number of a word."""


class FillingAugmenter(Augmenter):
    """Replaces words by what a masked LM guesses in the source's own context, each place asked about once a source."""

    @abstractmethod
    def places(self, source: Source, texts: dict[int, Words], draw: Draw) -> list[Place]:
        """The words that a copy may replace.

        Args:
            source: The example.
            texts: Its texts that may be changed, by side.
            draw: The copy's choices.
        """

    @abstractmethod
    def fill(
        self,
        source: Source,
        texts: dict[int, Words],
        places: Sequence[Place],
        guesses: dict[Place, list[Guess]],
        draw: Draw,
    ) -> Made | None:
        """A copy; None where nothing can be replaced.

        Args:
            source: The example.
            texts: Its texts that may be changed, by side.
            places: What ``places`` chose.
            guesses: What the masked LM says of each place that is a place for it, the best first.
            draw: The copy's choices, behind those of ``places``.
        """

    @property
    @abstractmethod
    def filler(self) -> Filler:
        """The masked LM."""

    most: int = 10
    """Guesses of each place."""

    def augment(self, sources: Sequence[Source], copies: int, seed: int) -> list[list[Made]]:
        """See ``Augmenter.augment``."""
        texts = [{side: Words(source.texts[side]) for side in source.sides} for source in sources]
        guesses: list[dict[Place, list[Guess]]] = [{} for _ in sources]
        found: list[dict[tuple[str, ...], Made]] = [{} for _ in sources]
        todo = [(i, copy) for i in range(len(sources)) for copy in range(copies)]
        for turn in range(TRIES):
            draws = [self.draw(seed, sources[i], copy, turn) for i, copy in todo]
            chosen = [self.places(sources[i], texts[i], draw) for (i, _), draw in zip(todo, draws, strict=True)]
            wanted = {(i, place) for (i, _), places in zip(todo, chosen, strict=True) for place in places}
            self._ask(sources, texts, guesses, sorted((i, place) for i, place in wanted if place not in guesses[i]))
            missing = []
            for (i, copy), draw, places in zip(todo, draws, chosen, strict=True):
                made = self.fill(sources[i], texts[i], places, guesses[i], draw) if places else None
                if made is not None and made.texts != sources[i].texts and made.texts not in found[i]:
                    found[i][made.texts] = made
                elif any(len(words) for words in texts[i].values()):
                    missing.append((i, copy))
            todo = missing
        return [list(made.values()) for made in found]

    def blank(self, source: Source, texts: dict[int, Words], place: Place) -> Blank:
        """What the masked LM reads of a place."""
        return blank_of(source, texts, place)

    def _ask(
        self,
        sources: Sequence[Source],
        texts: Sequence[dict[int, Words]],
        guesses: Sequence[dict[Place, list[Guess]]],
        wanted: Sequence[tuple[int, Place]],
    ) -> None:
        blanks = [self.blank(sources[i], texts[i], place) for i, place in wanted]
        for (i, place), answers in zip(wanted, self.filler.best(blanks, self.most), strict=True):
            old = texts[i][place[0]].lower[place[1]]
            guesses[i][place] = [guess for guess in answers if guess.word.lower() != old]


def blank_of(source: Source, texts: dict[int, Words], place: Place) -> Blank:
    """What the masked LM reads of a place: both texts of a pair, in their order."""
    side, position = place
    before = source.texts[0] if side == 1 else ""
    after = source.texts[1] if side == 0 and len(source.texts) > 1 else ""
    return Blank(texts[side], position, before, after)


def replaced(source: Source, texts: dict[int, Words], new: dict[Place, str], log_prob: float | None = None) -> Made:
    """The source with other words at some places."""
    edits = tuple(Edit(side, i, texts[side].words[i], word) for (side, i), word in sorted(new.items()))
    return Made(apply_edits(source.texts, edits), edits, log_prob)
