"""Facts and how they are said: active, passive and cleft, with synonyms, negation and adjuncts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kdlab.data.embedded.lexicon import ADJECTIVES, DAYS, NUMBERS, SYNONYMS, Forms, Lexicon, Verb, a, plural
from kdlab.system.draw import Draw

ALONE = 0.75
"""How often a text holds one fact only; the others hold a second one that can be mistaken for it."""


@dataclass(frozen=True)
class Thing:
    """What a fact is about.

    Attributes:
        noun: Singular.
        adjective: Or empty.
        count: ``the`` or ``a`` for one thing, else words before a plural (``at least three``).
    """

    noun: str
    adjective: str = ""
    count: str = "the"


@dataclass(frozen=True)
class Fact:
    """Someone did, or did not do, something to a thing, somewhere, some day."""

    agent: str
    verb: Verb
    thing: Thing
    where: str = ""
    when: str = ""
    positive: bool = True


@dataclass(frozen=True)
class Transfer:
    """Something went, or did not go, from one person to another."""

    giver: str
    taker: str
    verbs: tuple[Forms, tuple[Forms, ...]]
    thing: Thing
    when: str = ""
    positive: bool = True


def reword(draw: Draw, word: str) -> str:
    """The word or one of its synonyms."""
    return draw.pick(SYNONYMS[word]) if word in SYNONYMS else word


def sentence(text: str, end: str = ".") -> str:
    """The text as a sentence: a capital at its start and after a full stop, and the closing mark."""
    parts = [part[0].upper() + part[1:] for part in text.split(". ")]
    return ". ".join(parts) + end


def thing_phrase(draw: Draw, thing: Thing) -> str:
    """The noun phrase: ``the large car``, ``an apple``, ``at least three pears``."""
    noun, adjective = reword(draw, thing.noun), reword(draw, thing.adjective)
    one = thing.count in ("the", "a", "any", "no")
    words = f"{adjective} {noun if one else plural(noun)}".strip()
    return a(words) if thing.count == "a" else f"{thing.count} {words}"


def _is_plural(thing: Thing) -> bool:
    """True where the noun phrase takes a plural verb."""
    return thing.count not in ("the", "a", "any", "no")


def adjuncts(draw: Draw, where: str, when: str) -> str:
    """Place and day with a leading blank, in either order."""
    parts = [part for part in (where, when) if part]
    return "".join(f" {part}" for part in draw.shuffled(parts))


def clause(draw: Draw, fact: Fact, style: str = "") -> str:
    """One fact as a clause without its full stop, in the style or one drawn at random.

    Args:
        draw: Source of choices.
        fact: What to say.
        style: ``active``, ``passive``, ``cleft`` or empty for a random one.

    Returns:
        The clause; a name keeps its capital, other first words are small.
    """
    style = style or draw.pick(("active", "active", "active", "active", "passive", "passive", "passive", "cleft"))
    forms, tail = draw.pick(fact.verb.forms), adjuncts(draw, fact.where, fact.when)
    thing = fact.thing
    if style == "passive":
        if not fact.positive and thing.count == "a":
            return f"{thing_phrase(draw, replace(thing, count='no'))} was {forms.done} by {fact.agent}{tail}"
        was = "were" if _is_plural(thing) else "was"
        denied = "" if fact.positive else " not"
        return f"{thing_phrase(draw, thing)} {was}{denied} {forms.done} by {fact.agent}{tail}"
    if not fact.positive and thing.count == "a" and draw.chance(0.5):
        thing = replace(thing, count="any")
    if style == "cleft" and thing.count == "the":
        it_was = "it was" if fact.positive else "it was not"
        return f"{it_was} {fact.agent} who {forms.past} {thing_phrase(draw, thing)}{tail}"
    did = forms.past if fact.positive else f"did not {forms.base}"
    return f"{fact.agent} {did} {thing_phrase(draw, thing)}{tail}"


def transfer_clause(draw: Draw, fact: Transfer, side: str = "") -> str:
    """A transfer as a clause, told from the giver's or the taker's side.

    Args:
        draw: Source of choices.
        fact: What to say.
        side: ``giver``, ``taker``, ``passive`` or empty for a random one.

    Returns:
        The clause without its full stop.
    """
    side = side or draw.pick(("giver", "taker", "passive"))
    thing, tail = thing_phrase(draw, fact.thing), f" {fact.when}" if fact.when else ""
    give, take = fact.verbs[0], draw.pick(fact.verbs[1])
    if side == "giver":
        did = give.past if fact.positive else f"did not {give.base}"
        return f"{fact.giver} {did} {thing} to {fact.taker}{tail}"
    if side == "taker":
        did = take.past if fact.positive else f"did not {take.base}"
        return f"{fact.taker} {did} {thing} from {fact.giver}{tail}"
    was = "was" if fact.positive else "was not"
    return f"{thing} {was} {give.done} to {fact.taker} by {fact.giver}{tail}"


def order_clause(draw: Draw, relation: tuple[str, str], first: str, second: str) -> str:
    """``first`` is above ``second``, told from either side."""
    if draw.chance(0.5):
        return f"{first} {relation[0]} {second}"
    return f"{second} {relation[1]} {first}"


def joined(draw: Draw, lexicon: Lexicon, clauses: list[str], contrast: bool = False, alone: bool = False) -> str:
    """Two clauses in random order as one sentence or two; the first of them only where it stands alone."""
    if alone:
        return sentence(clauses[0])
    first, second = draw.shuffled(clauses)
    return sentence(f"{first}{draw.pick(lexicon.contrasts if contrast else lexicon.joins)} {second}")


def two_things(draw: Draw, lexicon: Lexicon, adjective_chance: float = 0.4) -> tuple[Thing, Thing]:
    """Two definite things of different kinds, both or neither with an adjective."""
    first, second = draw.some(tuple(lexicon.kinds), 2)
    colours = draw.some(ADJECTIVES, 2) if draw.chance(adjective_chance) else ["", ""]
    return (
        Thing(draw.pick(lexicon.kinds[first]), colours[0]),
        Thing(draw.pick(lexicon.kinds[second]), colours[1]),
    )


def two_facts(draw: Draw, lexicon: Lexicon) -> tuple[Fact, Fact]:
    """Two positive facts that differ in agent, verb and thing, each with a place, a day or neither."""
    (who, other), (does, did) = draw.some(lexicon.people, 2), draw.some(lexicon.verbs, 2)
    mine, theirs = two_things(draw, lexicon)
    where, when = ["", ""], ["", ""]
    extra = draw.below(3)
    if extra == 1:
        where = draw.some(lexicon.places, 2)
    elif extra == 2:
        when = draw.some(DAYS, 2)
    return Fact(who, does, mine, where[0], when[0]), Fact(other, did, theirs, where[1], when[1])


def how_many(number: int) -> str:
    """The number as a word."""
    return NUMBERS[number]
