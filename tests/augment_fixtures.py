"""Tables, texts and a tiny masked LM for tests of augmenters."""

from __future__ import annotations

from helpers import WORDS, tiny_generator

from kdlab.augmentation import AUGMENTERS, load_augmenter
from kdlab.augmentation.base import Augmenter, Source, Tools
from kdlab.transformations.masked_lm import Filler
from kdlab.transformations.tables import NEIGHBOURS, STOP_WORDS, SYNONYMS, VECTORS, Origin, StopWords, WordTable

OTHERS = {word: tuple(other for other in WORDS if other[0] == word[0] and other != word) for word in WORDS}
LEXICAL = ("eda", "wordnet", "synonym_insertion", "embedding", "all")
FILLING = ("contextual", "cbert", "tinybert", "p_s")
ODD = {
    "empty": "",
    "blank": " \t ",
    "one word": "ba",
    "one word 40 times": "ba " * 40,
    "emoji": "🙂 🙂🙂",
    "right to left": "שלום עולם, אבא!",
    "unknown": "zzz qqq xxx",
    "long": " ".join(WORDS) * 3,
    "half a character": "ba \ud83d be",
}


def tools(labels: int = 2) -> Tools:
    """Every tool, tiny; ``ra`` and ``re`` are stop words."""
    origin = Origin("any", "tests", "0")
    generator = tiny_generator()
    generator.tell_labels(labels)
    return Tools(
        tables={kind: WordTable(origin, OTHERS) for kind in (SYNONYMS, NEIGHBOURS, VECTORS)},
        stop_words=StopWords(Origin(STOP_WORDS, "tests", "0"), frozenset({"ra", "re"})),
        filler=Filler(tiny_generator(), 32),
        labelled=Filler(generator, 32),
    )


def augmenter(name: str, **settings: object) -> Augmenter:
    """An augmenter with every tool."""
    kind = load_augmenter(name)
    return kind(kind.Config(**settings), tools())


def sources(*texts: str, pair: str | None = None) -> list[Source]:
    """Examples of one text, or of two where ``pair`` is given."""
    return [
        Source(i, (text,) if pair is None else (text, pair), (0,) if pair is None else (0, 1), i % 2)
        for i, text in enumerate(texts)
    ]


NAMES = [name for name in AUGMENTERS if name != "back_translation"]
