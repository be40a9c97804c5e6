"""A stand-in where NLTK's tagger is not there: parts of speech by lists of words and by endings.

It is kdlab's own, made for the embedded corpus, and looks at no word but the one that is asked for. Of English it knows
the closed classes and the usual endings; what has none is a noun.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kdlab.data.embedded.lexicon import ADJECTIVES, COUNTRY, MEN, MORE_PEOPLE, NUMBERS, TOWN, WOMEN, Lexicon, plural
from kdlab.system.files import fingerprint
from kdlab.transformations import stand_ins
from kdlab.transformations.tables import TAGGER, Origin
from kdlab.transformations.tagger import Tagger

_CLOSED = {
    "DET": """
        a an the this these those some any each every either neither both all no another which whatever there half such
        """,
    "PRON": """
        i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
        herself it its itself they them their theirs themselves who whom whose what
        """,
    "ADP": """
        that at by for with about against between into through during before after above below from down in on off over
        under of than as if because until while although though since unless whereas despite notwithstanding whether
        near behind like without within upon across among toward towards beyond except per
        """,
    "PRT": "to 's up out",
    "CONJ": "and or but nor yet plus",
    "VERB": """
        be am is are was were been being have has had having do does did doing done can could may might must shall
        should will would ought cannot ca wo don doesn didn isn aren wasn weren hasn haven hadn couldn wouldn shouldn
        """,
    "ADV": """
        not n't never very too so just only here now then soon again also still ever once when where why how quite
        rather almost even perhaps always often far apart asunder enough instead away ago else together later twice
        """,
    "ADJ": """
        own more most less few many much same other next last first good bad better best worse worst lovely silly early
        ugly friendly costly lively lonely ill sick late whole long dull new old red blue
        """,
    "NUM": "hundred thousand million billion",
    "NOUN": "nobody nothing somebody something everybody everything anybody anything none today tomorrow yesterday",
}
_ENDINGS = (
    ("NOUN", "tion sion ment ness ity ism ist ship ance ence hood dom eer age ure"),
    ("ADJ", "ous ful less able ible ive ic al ish ary ular ent ant"),
    ("ADV", "ly wards wise"),
    ("VERB", "ed ing ize ise ify"),
)


class ListedTagger(Tagger):
    """Universal parts of speech by lists and endings, whatever stands around.

    Args:
        missing: What it stands in for, as ``Origin`` says it.
    """

    def __init__(self, missing: str) -> None:
        digest = fingerprint(sorted(_LISTED.items()), [list(ending) for ending in _ENDINGS])
        self.origin = Origin(TAGGER, "kdlab's own lists and endings", digest, missing)

    def tags(self, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> list[str]:
        """See ``Tagger.tags``; neither ``before`` nor ``after`` matters."""
        return [_tag(word) for word in words]


def _lexicon(lexicon: Lexicon) -> dict[str, set[str]]:
    """Words of an embedded lexicon, by part of speech."""
    things = {*lexicon.jobs, *lexicon.kinds, *(thing for members in lexicon.kinds.values() for thing in members)}
    phrases = (phrase.split() for pair in lexicon.orders for phrase in pair)
    return {
        "NOUN": things | {plural(thing) for thing in things} | {place.split()[-1] for place in lexicon.places},
        "VERB": {
            form
            for verb in lexicon.verbs
            for forms in verb.forms
            for form in (forms.base, forms.present, forms.past, forms.done, forms.doing)
        },
        "ADJ": {phrase[1] for phrase in phrases if phrase[0] == "is"},
    }


def _listed() -> dict[str, str]:
    """Lower-case word to its tag; what stands in several lists has that of the first."""
    lists = [
        *((tag, set(words.split())) for tag, words in _CLOSED.items()),
        ("NUM", set(NUMBERS)),
        ("NOUN", {name.lower() for name in (*WOMEN, *MEN, *MORE_PEOPLE)}),
        *((tag, words) for lexicon in (TOWN, COUNTRY) for tag, words in _lexicon(lexicon).items()),
        ("ADJ", set(ADJECTIVES)),
        ("NOUN", set(stand_ins.NOUNS)),
        ("VERB", set(stand_ins.VERBS)),
        ("ADV", {word for word in stand_ins.OTHERS if word.endswith("ly")}),
        ("ADJ", set(stand_ins.OTHERS)),
    ]
    listed: dict[str, str] = {}
    for tag, words in lists:
        for word in sorted(words):
            listed.setdefault(word, tag)
    return listed


_LISTED = _listed()


@lru_cache(maxsize=1 << 16)
def _tag(word: str) -> str:
    lower = word.lower().replace("’", "'")
    if lower in _LISTED:
        return _LISTED[lower]
    if not any(letter.isalnum() for letter in lower):
        return "."
    if lower[0].isdigit():
        return "NUM"
    if lower.endswith(("n't", "'s")):
        return _LISTED.get(lower[:-3] if lower.endswith("n't") else lower[:-2], "NOUN")
    return next((tag for tag, ends in _ENDINGS if lower.endswith(tuple(ends.split())) and len(lower) > 4), "NOUN")
