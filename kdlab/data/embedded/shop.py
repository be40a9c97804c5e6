"""Messages of a shop's customers in pairs, for CIKM: the same matter in other words, or another one.

QQP's questions exchange names and things. Two thirds of these are such questions in other words; in the others it is
mostly the matter that differs: late, broken, wrong, too wide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kdlab.data.embedded.clauses import reword, sentence
from kdlab.data.embedded.inference import Pair
from kdlab.data.embedded.lexicon import ADJECTIVES, COUNTRY, DAYS, SYNONYMS, TOWN, words
from kdlab.data.embedded.questions import same_question
from kdlab.system.draw import Draw

_SOLD = ("container", "garment", "device", "tool")
_ITEMS = tuple(noun for kind, nouns in {**TOWN.kinds, **COUNTRY.kinds}.items() if kind in _SOLD for noun in nouns)
_BOUGHT = words("bought purchased got")
_CLOSINGS = ("Thanks.", "I need an answer.", "I have no more time.")
_MATTERS: tuple[tuple[str, ...], ...] = (
    (
        "I {bought} {it} {day}, and it has not arrived yet.",
        "why have I not received {it} that I {bought} {day}?",
        "when will {it} that I {bought} {day} arrive?",
    ),
    (
        "{it} that I {bought} {day} was broken when it arrived.",
        "I received {it} {day}, and it is broken.",
        "why was {it} broken that I {bought} {day}?",
    ),
    (
        "{it} that I received {day} is not what I {bought}.",
        "I never {bought} {it} that arrived {day}.",
        "who needed {it} that I received {day}? I did not buy it.",
    ),
    (
        "how can I get the money for {it} that I {bought} {day}?",
        "when will I have the money for {it} that I {bought} {day}?",
        "I {bought} {it} {day}, and need the money.",
    ),
    (
        "{it} that I {bought} {day} is too wide.",
        "I {bought} {it} {day}, and it does not fit.",
        "there is no space for {it} that I {bought} {day}.",
    ),
    (
        "who can repair {it} that I {bought} {day}?",
        "where can I have {it} fixed that I {bought} {day}?",
        "I {bought} {it} {day}. How can it be repaired?",
    ),
    (
        "I {bought} {it} {day}, and need one more.",
        "how can I get one more like {it} that I {bought} {day}?",
        "can I buy two of what I {bought} {day}? It was {it}.",
    ),
)


@dataclass(frozen=True)
class _Message:
    """What a customer writes about: a matter, a thing of a kind, a day."""

    matter: int
    adjective: str
    noun: str
    day: str


def _written(draw: Draw, message: _Message, form: int) -> str:
    it = f"the {reword(draw, message.adjective)} {reword(draw, message.noun)}"
    text = _MATTERS[message.matter][form].format(bought=draw.pick(_BOUGHT), it=it, day=message.day)
    parts = [sentence(part, "") for part in text.split("? ")]
    closing = f" {draw.pick(_CLOSINGS)}" if draw.chance(0.3) else ""
    return "? ".join(parts) + closing


def _other(draw: Draw, message: _Message) -> _Message:
    """A message about another matter, or about another thing or day."""
    chance = draw.uniform()
    if chance < 0.6:
        return replace(message, matter=draw.pick([i for i in range(len(_MATTERS)) if i != message.matter]))
    if chance < 0.8:
        same = SYNONYMS.get(message.noun, (message.noun,))
        return replace(message, noun=draw.pick([noun for noun in _ITEMS if noun not in same]))
    if chance < 0.9:
        return replace(message, day=draw.pick([day for day in DAYS if day != message.day]))
    same = SYNONYMS.get(message.adjective, (message.adjective,))
    return replace(message, adjective=draw.pick([word for word in ADJECTIVES if word not in same]))


def _asked(draw: Draw, same: bool) -> Pair:
    """Two of QQP's questions in the lexicon that its training part lacks, as customers close them."""
    first, second = same_question(draw, COUNTRY, same)
    closing = draw.pick(_CLOSINGS)
    return f"{first} {closing}", f"{second} {closing}"


def same_matter(draw: Draw, same: bool) -> Pair:
    """Two messages that ask the same of the shop, or not."""
    if draw.chance(0.65):
        return _asked(draw, same)
    message = _Message(draw.below(len(_MATTERS)), draw.pick(ADJECTIVES), draw.pick(_ITEMS), draw.pick(DAYS))
    first, second = draw.some(range(len(_MATTERS[0])), 2)
    return _written(draw, message, first), _written(draw, message if same else _other(draw, message), second)
