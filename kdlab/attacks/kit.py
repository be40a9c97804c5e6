"""What recipes work with: words that may stand for others, stop words, parts of speech, which text may be changed.

A kit hands out what a recipe names in ``needs`` and nothing else, for what it works with is part of what its results
are known by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kdlab.attacks.constraints import OtherSides, Unchangeable
from kdlab.errors import KdlabError
from kdlab.transformations.attack_words import words_from_text
from kdlab.transformations.resources import Resources
from kdlab.transformations.tables import NEIGHBOURS as NEIGHBOURS
from kdlab.transformations.tables import STOP_WORDS as STOP_WORDS
from kdlab.transformations.tables import SYNONYMS as SYNONYMS
from kdlab.transformations.tables import Origin, StopWords, WordTable
from kdlab.transformations.tagger import Tagger

TAGGER, MASKED_LM, SENTENCE_ENCODER = "tagger", "masked LM", "sentence encoder"
KINDS = (NEIGHBOURS, SYNONYMS, STOP_WORDS, TAGGER, MASKED_LM, SENTENCE_ENCODER)
"""What a recipe may need. A masked LM and a sentence encoder are asked by ``AskWords`` and ``AskSimilarity``."""
LEXICAL = (NEIGHBOURS, SYNONYMS, STOP_WORDS, TAGGER)
"""What a recipe may need that is no model."""
_PREMISE = ("premise", "hypothesis")
_MOST, _LEAST = 50, 0.5
"""Neighbours of a word, and their cosine at least."""


@dataclass(frozen=True)
class Kit:
    """Resources for one recipe on one data set.

    Attributes:
        recipe: Its name.
        needs: What it asked for.
        columns: Names of the task's text columns.
        asked_sides: Texts of a pair that may be changed, as the user says; None where nothing is said.
        threshold: Similarity that passes, as the user says; None takes the recipe's.
        masked_lm_token: The mask token of the masked LM.
        tables: Words and what may stand for them.
        stop: Stop words.
        parts_of_speech: Tells parts of speech.
    """

    recipe: str
    needs: Collection[str]
    columns: tuple[str, ...]
    asked_sides: tuple[int, ...] | None = None
    threshold: float | None = None
    masked_lm_token: str = "[MASK]"
    tables: Mapping[str, WordTable] = field(default_factory=dict)
    stop: StopWords | None = None
    parts_of_speech: Tagger | None = None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where the resources come from."""
        others = [one.origin for one in (self.stop, self.parts_of_speech) if one is not None]
        return (*(table.origin for table in self.tables.values()), *others)

    @property
    def neighbours(self) -> Mapping[str, Sequence[str]]:
        """Neighbours in counter-fitted vectors, the nearest first."""
        return self._table(NEIGHBOURS).entries

    @property
    def synonyms(self) -> Mapping[str, Sequence[str]]:
        """Synonyms by WordNet."""
        return self._table(SYNONYMS).entries

    @property
    def stop_words(self) -> frozenset[str]:
        """Stop words, in lower case."""
        self._check(STOP_WORDS)
        return frozenset() if self.stop is None else self.stop.words

    @property
    def tagger(self) -> Tagger:
        """Tells parts of speech."""
        self._check(TAGGER)
        if self.parts_of_speech is None:
            raise ValueError("a kit whose recipe needs a tagger was given none")
        return self.parts_of_speech

    @property
    def mask(self) -> str:
        """The masked LM's mask token."""
        self._check(MASKED_LM)
        return self.masked_lm_token

    def similarity(self, own: float) -> float:
        """The similarity that passes: the user's, or the recipe's own."""
        return own if self.threshold is None else self.threshold

    @property
    def sides(self) -> list[Unchangeable]:
        """What the user says of the texts of a pair; nothing where both may be changed."""
        return [] if self.asked_sides is None else [OtherSides(self.asked_sides)]

    @property
    def sides_but_premise(self) -> list[Unchangeable]:
        """The same, and where nothing is said the premise stays, if the columns are called so (as TextAttack asks)."""
        if self.asked_sides is None:  # TextAttack asks in any case, which may change the order of a set
            return [OtherSides((1,) if self.columns == _PREMISE else (0, 1))]
        return self.sides

    def _table(self, kind: str) -> WordTable:
        self._check(kind)
        return self.tables[kind]

    def _check(self, kind: str) -> None:
        if kind not in self.needs:
            raise KdlabError(
                f"Recipe {self.recipe} uses {kind} without saying so: name it in the recipe's needs "
                f"({', '.join(KINDS)})."
            )


def kit_for(
    recipe: str,
    needs: Collection[str],
    texts: Iterable[Sequence[str]],
    resources: Resources,
    columns: tuple[str, ...] = (),
    sides: tuple[int, ...] | None = None,
    similarity: float | None = None,
    mask: str = "[MASK]",
) -> Kit:
    """What a recipe works with on some examples.

    Args:
        recipe: Its name.
        needs: What it asks for.
        texts: The examples, of one text or two.
        resources: The user's.
        columns: Names of the text columns.
        sides: Texts of a pair that may be changed; None leaves it to the recipe.
        similarity: What passes; None takes the recipe's.
        mask: The masked LM's mask token.

    Raises:
        KdlabError: A resource can't be read.
    """
    tables: dict[str, WordTable] = {}
    if {NEIGHBOURS, SYNONYMS} & set(needs):
        words = {word for example in texts for text in example for word in words_from_text(text)}
        if NEIGHBOURS in needs:
            tables[NEIGHBOURS] = resources.neighbours(words, _LEAST, _MOST, single=False)
        if SYNONYMS in needs:
            tables[SYNONYMS] = resources.synonyms(words)
    return Kit(
        recipe=recipe,
        needs=frozenset(needs),
        columns=columns,
        asked_sides=sides,
        threshold=similarity,
        masked_lm_token=mask,
        tables=tables,
        stop=resources.stop_words() if STOP_WORDS in needs else None,
        parts_of_speech=resources.tagger() if TAGGER in needs else None,
    )
