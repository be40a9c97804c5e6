"""Back-translation: into another language and back (Sennrich et al. 2016; MixKD's ``+BT``).

A command knows one translation of a text, so of each source there is one copy at most; a model samples as many as are
asked for on the way there, and translates each of them back by beam search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdlab.augmentation.base import Augmenter, Made, Settings, Source
from kdlab.errors import KdlabError
from kdlab.transformations.words import WHOLE, Edit

TRANSLATORS = "translators"


@dataclass
class BackTranslationSettings(Settings):
    """Settings of back-translation. Models win over commands where both are given.

    Attributes:
        there: A MarianMT model into another language: a folder or a name on the hub.
        back: One from that language.
        command_there: A command that translates standard input line by line into another language.
        command_back: One from that language.
    """

    there: str | None = None
    back: str | None = None
    command_there: str | None = None
    command_back: str | None = None

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        for one, other in (
            ("there", "back"),
            ("back", "there"),
            ("command_there", "command_back"),
            ("command_back", "command_there"),
        ):
            if getattr(self, one) and not getattr(self, other):
                raise KdlabError(f"{section}.{one} is given and {section}.{other} is not: a text must come back, too.")


class BackTranslation(Augmenter):
    """Whole texts, there and back."""

    name = "back_translation"
    Config = BackTranslationSettings
    wants = frozenset({TRANSLATORS})

    def augment(self, sources: Sequence[Source], copies: int, seed: int) -> list[list[Made]]:
        """See ``Augmenter.augment``."""
        there, back = self.tools.translators
        asked = [(i, side) for i, source in enumerate(sources) for side in source.sides]
        texts = [sources[i].texts[side] for i, side in asked]
        key = f"{self.name} {seed}"
        abroad = there.translate(texts, copies, key)
        owners = [place for place, ways in enumerate(abroad) for _ in ways]
        home = back.translate([way for ways in abroad for way in ways], 1, key)
        returned: dict[tuple[int, int], list[str]] = {place: [] for place in asked}
        for owner, ways in zip(owners, home, strict=True):
            returned[asked[owner]] += [way for way in ways if way.strip()]
        return [
            self._made(source, {side: returned[i, side] for side in source.sides}, copies)
            for i, source in enumerate(sources)
        ]

    def _made(self, source: Source, ways: dict[int, list[str]], copies: int) -> list[Made]:
        """The n-th way back of each text in the n-th copy."""
        found: dict[tuple[str, ...], Made] = {}
        for copy in range(copies):
            new = {
                side: texts[copy]
                for side, texts in ways.items()
                if copy < len(texts) and _plain(texts[copy]) != _plain(source.texts[side])
            }
            if new:
                texts = tuple(new.get(side, text) for side, text in enumerate(source.texts))
                edits = tuple(Edit(side, WHOLE, source.texts[side], text) for side, text in sorted(new.items()))
                found.setdefault(tuple(map(_plain, texts)), Made(texts, edits))
        return list(found.values())


def _plain(text: str) -> str:
    """A text whatever its blanks, which translators change."""
    return " ".join(text.split())


def check_given(config: Any) -> bool:
    """Whether models are given; otherwise commands are.

    Raises:
        KdlabError: Neither is.
    """
    if config.there:
        return True
    if config.command_there:
        return False
    raise KdlabError(
        "back_translation needs a translator: give back_translation.there and .back (MarianMT models), or "
        "back_translation.command_there and .command_back (commands that translate standard input line by line)."
    )
