"""Reviews of things that were bought, and how helpful their readers find them, for Amazon's three domains.

A review is a few statements of different kinds. What a kind is worth to readers differs between domains, and so do the
things and the ways to say it: electronics are closer to watches than home is. The encoder knows no word for a watch, so
the reviews of ``watches`` are of clothes and instruments.
"""

from __future__ import annotations

from dataclasses import dataclass

from kdlab.data.embedded.clauses import sentence
from kdlab.data.embedded.lexicon import ADJECTIVES, COUNTRY, DAYS, MEN, MORE_PEOPLE, NUMBERS, TOWN, WOMEN, Lexicon, a
from kdlab.system.draw import Draw

_KINDS = ("reason", "number", "compare", "use", "advice", "delivery", "vague", "anger")
_FORMS: dict[str, tuple[str, ...]] = {
    "reason": (
        "I chose it because it was {adjective}",
        "I bought it because the old {item} was {state}",
        "the reason why I needed it is that the old {item} was {state}",
        "{person} bought it because no {other} was {adjective} enough",
        "{person} chose it over the {other} because it was {adjective}",
    ),
    "number": (
        "I have had {number} of them",
        "I looked at {number} of them before I bought this one",
        "{number} of us can move it",
        "{person} has {number} of them",
        "{number} of them were left and {person} took one",
    ),
    "compare": (
        "it is {more} than the {item} that I had before",
        "the {other} that I bought {day} was {more}",
        "it is far {more} than the {other}",
        "{person} said that the {other} is {more}",
        "next to the {other} it is {more}",
    ),
    "use": (
        "I took it {place} {day} and it did what I needed",
        "I had it {place} {day} and it works",
        "I carried it {place} {day} and it is still new",
        "{person} took it {place} {day} and liked it",
        "it was {place} {day} and still looked new",
    ),
    "advice": (
        "clean it before it is put {place}",
        "never leave it {place} when it is empty",
        "it should not be left {place} {day}",
        "it should be cleaned {day} and put {place}",
        "{person} should have kept it off the floor {place}",
    ),
    "delivery": (
        "I received it {day}",
        "it was bought {day} and arrived late",
        "it arrived {day}",
        "{person} received it {day}",
        "it arrived early {day}",
    ),
    "vague": (
        "I really liked it",
        "it is a good {item}",
        "it is quite good",
        "{person} liked it",
        "there is nothing like it",
    ),
    "anger": (
        "nobody should buy it",
        "I was really angry about the {item}",
        "never buy it",
        "{person} was angry about it",
        "the {item} should be given to nobody",
    ),
}
_STATES = ("lost", "stolen", "broken")
_MORE = ("faster", "slower", "louder", "quieter", "cleaner", "stronger", "weaker", "better", "worse")


@dataclass(frozen=True)
class _Domain:
    """What is bought and how it is told; ``worth`` is what the kinds of statement add, in the order of ``_KINDS``."""

    opening: str
    items: tuple[str, ...]
    lexicon: Lexicon
    people: tuple[str, ...]
    forms: tuple[int, ...]
    worth: tuple[float, ...]


_DOMAINS: dict[str, _Domain] = {
    "electronics": _Domain(
        opening="this is {thing} that I bought {day}",
        items=TOWN.kinds["device"] + TOWN.kinds["vehicle"],
        lexicon=TOWN,
        people=MEN,
        forms=(0, 1, 2),
        worth=(0.18, 0.10, 0.18, 0.04, 0.02, -0.12, -0.18, -0.12),
    ),
    "watches": _Domain(
        opening="{person} asked about {thing}",
        items=TOWN.kinds["garment"] + TOWN.kinds["instrument"],
        lexicon=TOWN,
        people=WOMEN,
        forms=(2, 3, 4),
        worth=(0.16, 0.00, 0.08, 0.16, 0.12, -0.06, -0.20, -0.12),
    ),
    "home": _Domain(
        opening="I needed {thing} {place}",
        items=COUNTRY.kinds["container"] + TOWN.kinds["tool"],
        lexicon=COUNTRY,
        people=MORE_PEOPLE,
        forms=(0, 1, 4),
        worth=(-0.04, -0.08, 0.06, 0.14, 0.18, -0.14, -0.06, -0.02),
    ),
}
HELPFUL = tuple(_DOMAINS)


def _told(draw: Draw, domain: _Domain, form: str, item: str, other: str) -> str:
    """One statement, as a sentence."""
    text = form.format(
        thing=a(f"{draw.pick(ADJECTIVES)} {item}"),
        item=item,
        other=other,
        adjective=draw.pick(ADJECTIVES),
        state=draw.pick(_STATES),
        more=draw.pick(_MORE),
        number=draw.pick(NUMBERS[2:]),
        person=draw.pick(domain.people),
        place=draw.pick(domain.lexicon.places),
        day=draw.pick(DAYS),
    )
    return sentence(text)


def rated(draw: Draw, name: str) -> tuple[str, float]:
    """A review and its helpful votes / votes.

    Args:
        draw: Source of choices.
        name: ``electronics``, ``watches`` or ``home``.

    Returns:
        Two to five statements about a thing, and the share of ten to forty readers who found them helpful.
    """
    domain = _DOMAINS[name]
    item, other = draw.some(domain.items, 2)
    chosen = draw.some(range(len(_KINDS)), 2 + draw.below(4))
    forms = [draw.pick([_FORMS[_KINDS[i]][j] for j in domain.forms]) for i in chosen]
    text = " ".join(_told(draw, domain, form, item, other) for form in (domain.opening, *forms))
    worth = min(max(0.5 + sum(domain.worth[i] for i in chosen), 0.02), 0.98)
    votes = 10 + draw.below(31)
    helpful = sum(draw.chance(worth) for _ in range(votes))
    return text, helpful / votes
