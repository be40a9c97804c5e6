"""Statements of a little science and what follows from them, for SciTail: rules for kinds, chains, causes, measures.

MNLI's pairs tell what people did; these tell what holds of things. A third are pairs of MNLI's own families in the
lexicon that its training part lacks, behind a statement about something else.
"""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.clauses import sentence, thing_phrase, two_facts
from kdlab.data.embedded.inference import COMPARE, Pair, two_way
from kdlab.data.embedded.lexicon import ADJECTIVES, COUNTRY, DAYS, NUMBERS, TOWN, a, plural, words
from kdlab.system.draw import Draw

_KINDS: dict[str, tuple[str, ...]] = {**COUNTRY.kinds, "tool": TOWN.kinds["tool"], "fruit": TOWN.kinds["fruit"]}
_THINGS = tuple(noun for members in _KINDS.values() for noun in members)
_HOLDERS = (*COUNTRY.kinds["container"], *COUNTRY.kinds["boat"])
_DONE = words("cleaned weighed moved carried rented painted repaired guarded sold bought")
_WHERE = (*COUNTRY.places, "at the market", "in the park", "at the school")
_MORE = (("stronger", "weaker"), ("louder", "quieter"), ("faster", "slower"), ("cleaner", "dirtier"))
_STATES = ("empty", "broken", "too wide", "new", "old", "no longer useful", "stolen", "lost", "late")


def _rule(draw: Draw, follows: bool) -> Pair:
    """Every boat is cleaned before it is sold, and a raft is a boat: so a raft is."""
    kind, other = draw.some(tuple(_KINDS), 2)
    member, (first, then), where = draw.pick(_KINDS[kind]), draw.some(_DONE, 2), draw.pick(_WHERE)
    told, about = (first, then), kind
    if not follows and draw.chance(0.5):
        about = other
    elif not follows:
        told = (then, first)
    rule = f"every {about} {where} is {told[0]} before it is {told[1]}"
    known = f"{a(member)} is {a(kind)}"
    premise = draw.pick((f"{rule}, and {known}", f"{known}. {rule}"))
    return premise, f"{a(member)} {where} is {first} before it is {then}"


def _chain(draw: Draw, follows: bool) -> Pair:
    """A goat is stronger than a hen, and a hen than a duck: so a goat is stronger than a duck."""
    things = [a(f"{draw.pick(ADJECTIVES)} {noun}") for noun in draw.some(_THINGS, 3)]
    more, less = draw.pick(_MORE)

    def told(high: str, low: str) -> str:
        return f"{high} is {more} than {low}" if draw.chance(0.5) else f"{low} is {less} than {high}"

    one, two = draw.shuffled([told(things[0], things[1]), told(things[1], things[2])])
    high, low = (things[0], things[2]) if follows else (things[2], things[0])
    return f"{one}, and {two}", told(high, low)


def _cause(draw: Draw, follows: bool) -> Pair:
    """The raft was broken and the barge was empty. What was broken was sold: the raft was."""
    one, two = draw.some(_THINGS, 2)
    state, other = draw.some(_STATES, 2)
    done, where, day = draw.pick(_DONE), draw.pick(_WHERE), draw.pick(DAYS)
    known = draw.shuffled([f"the {one} was {state}", f"the {two} was {other}"])
    told = f"what was {state if follows else other} was {done} {where} {day}"
    return f"{known[0]} and {known[1]}. {told}", f"the {one} was {done} {where} {day}"


def _held(draw: Draw, follows: bool) -> Pair:
    """A barrel can hold nine lemons: more than eight."""
    holder, held = draw.pick(_HOLDERS), plural(draw.pick(_KINDS["fruit"] + _KINDS["tool"]))
    size = f"{a(draw.pick(ADJECTIVES))} {holder}"
    than, bound = draw.pick(tuple(COMPARE)), 4 + draw.below(6)
    fits = [n for n in range(bound - 2, bound + 3) if COMPARE[than](n, bound) == follows]
    where = draw.pick(_WHERE)
    premise = f"{size} {where} can hold {NUMBERS[draw.pick(fits)]} {held}"
    return premise, f"{size} {where} can hold {than} {NUMBERS[bound]} {held}"


def _behind(draw: Draw, follows: bool) -> Pair:
    """A pair of MNLI's families in the other lexicon, its premise behind a fact about something else."""
    premise, hypothesis = two_way(draw, COUNTRY, "entailment" if follows else "not_entailment")
    fact, _ = two_facts(draw, TOWN)
    aside = f"{fact.agent} {draw.pick(fact.verb.forms).past} {thing_phrase(draw, fact.thing)}"
    first, rest = hypothesis[:-1].split(" ", 1)
    stated = hypothesis[:-1] if first in COUNTRY.people else f"{first.lower()} {rest}"
    return f"{aside}. {premise[:-1]}", f"in fact, {stated}"


_FAMILIES: tuple[Callable[[Draw, bool], Pair], ...] = (_rule, _chain, _cause, _held, _behind, _behind)


def supported(draw: Draw, follows: bool) -> Pair:
    """A premise and a hypothesis that follows from it, or does not."""
    premise, hypothesis = draw.pick(_FAMILIES)(draw, follows)
    return sentence(premise), sentence(hypothesis)
