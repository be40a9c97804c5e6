"""TinyBERT's data augmentation (Jiao et al. 2020, https://arxiv.org/abs/1909.10351, algorithm 1).

Every word is replaced with probability p_t: one that the tokenizer leaves whole by one of the K words that a masked LM
expects in its place, one that it cuts into pieces by one of the K nearest in word vectors (GloVe's in the paper). The
settings ``see_original``, ``skip_stop_words`` and ``chain_pairs`` do what the public code does and the paper doesn't
say. A masked LM reads every word in the source's own context, in one batch instead of one pass a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdlab.augmentation.base import Made, Settings, Source, check_share
from kdlab.augmentation.contextual import MASKED_LM
from kdlab.augmentation.filling import FillingAugmenter, Place, replaced
from kdlab.errors import KdlabError
from kdlab.system.draw import Draw
from kdlab.transformations.blanks import Blank
from kdlab.transformations.masked_lm import Filler, Guess
from kdlab.transformations.tables import STOP_WORDS, VECTORS
from kdlab.transformations.words import Words, like

COPIES = {"mnli": 10, "qqp": 10, "sst2": 20, "qnli": 20}
"""N_a of the public code; 30 for the other tasks."""
OTHER_COPIES = 30


@dataclass
class TinyBERTSettings(Settings):
    """Settings of TinyBERT's augmentation.

    Attributes:
        p_t: Probability with which a word is replaced.
        most: K, candidates of a word.
        see_original: Whether the masked LM reads the whole source behind the text with the hole, so that the true word
            is in view.
        skip_stop_words: Whether stop words stay.
        chain_pairs: Whether the texts of a pair are changed one after the other, N copies each, the first staying at
            its last copy while the second is changed; otherwise both change in each copy.
    """

    p_t: float = 0.4
    most: int = 15
    see_original: bool = False
    skip_stop_words: bool = False
    chain_pairs: bool = False

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        check_share(f"{section}.p_t", self.p_t)
        if not 1 <= self.most <= 1000:
            raise KdlabError(f"{section}.most={self.most}: it says how many words, 1 to 1000.")


class TinyBERT(FillingAugmenter):
    """Every word with probability p_t, by a masked LM or word vectors."""

    name = "tinybert"
    Config = TinyBERTSettings
    wants = frozenset({STOP_WORDS, VECTORS, MASKED_LM})

    @property
    def filler(self) -> Filler:
        """See ``FillingAugmenter.filler``."""
        if self.tools.filler is None:
            raise ValueError("tinybert was given no masked LM")
        return self.tools.filler

    @property
    def most(self) -> int:  # type: ignore[override]
        """See ``FillingAugmenter.most``; one more, for the old word may be among them."""
        return int(self.config.most) + 1

    def wanted(self, source: Source, copies: int) -> int:
        """See ``Augmenter.wanted``: pairs whose texts change in turn have so many for each."""
        return copies * len(source.sides) if self.config.chain_pairs else copies

    def augment(self, sources: Sequence[Source], copies: int, seed: int) -> list[list[Made]]:
        """See ``Augmenter.augment``."""
        if not self.config.chain_pairs:
            return super().augment(sources, copies, seed)
        found: list[list[Made]] = [[] for _ in sources]
        for side in (0, 1):
            chosen = [i for i, source in enumerate(sources) if side in source.sides]
            bases = [found[i][-1] if found[i] else Made(sources[i].texts, ()) for i in chosen]
            changed = [
                replace(sources[i], texts=base.texts, sides=(side,)) for i, base in zip(chosen, bases, strict=True)
            ]
            for i, base, made in zip(chosen, bases, super().augment(changed, copies, seed), strict=True):
                found[i] += [replace(one, edits=(*base.edits, *one.edits)) for one in made]
        return found

    def places(self, source: Source, texts: dict[int, Words], draw: Draw) -> list[Place]:
        """See ``FillingAugmenter.places``: those that chance takes."""
        return [
            (side, i)
            for side, words in texts.items()
            for i in range(len(words))
            if draw.chance(self.config.p_t) and not (self.config.skip_stop_words and self._is_stop_word(words.lower[i]))
        ]

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
        for side, i in places:
            words = texts[side]
            if self.filler.knows(words.words[i]):
                candidates = [guess.word for guess in guesses[side, i][: self.config.most]]
            else:
                candidates = list(self.tools.tables[VECTORS][words.lower[i]][: self.config.most])
            if candidates:
                new[side, i] = like(words.words[i], draw.pick(candidates))
        return replaced(source, texts, new) if new else None

    def blank(self, source: Source, texts: dict[int, Words], place: Place) -> Blank:
        """See ``FillingAugmenter.blank``: the text alone, or behind it the source."""
        side, position = place
        return Blank(texts[side], position, after=texts[side].text if self.config.see_original else "")

    def _is_stop_word(self, word: str) -> bool:
        return self.tools.stop_words is not None and word in self.tools.stop_words
