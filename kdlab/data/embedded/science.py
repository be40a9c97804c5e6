"""Statements of a little science and what follows from them, for SciTail.

MNLI's pairs tell what people did with things. Two thirds of these are pairs of the same families in which animals act,
on other things; the others tell what holds of kinds, of what is in some state, and of measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdlab.data.embedded.clauses import sentence
from kdlab.data.embedded.inference import COMPARE, Pair, two_way
from kdlab.data.embedded.lexicon import ADJECTIVES, COUNTRY, DAYS, NUMBERS, TOWN, a, plural, words
from kdlab.system.draw import Draw

_NATURE = replace(
    COUNTRY,
    people=tuple(f"the {noun}" for noun in COUNTRY.kinds["animal"]),
    jobs=TOWN.jobs,
    kinds={kind: nouns for kind, nouns in COUNTRY.kinds.items() if kind != "animal"},
    verbs=COUNTRY.verbs + TOWN.verbs,
    orders=(
        ("is stronger than", "is weaker than"),
        ("is faster than", "is slower than"),
        ("woke before", "woke after"),
    ),
)
_KINDS: dict[str, tuple[str, ...]] = {**COUNTRY.kinds, "tool": TOWN.kinds["tool"], "fruit": TOWN.kinds["fruit"]}
_THINGS = tuple(noun for members in _KINDS.values() for noun in members)
_HOLDERS = (*COUNTRY.kinds["container"], *COUNTRY.kinds["boat"])
_DONE = words("cleaned weighed moved carried rented painted repaired guarded sold bought")
_WHERE = (*COUNTRY.places, "at the market", "in the park", "at the school")
_STATES = ("empty", "broken", "too wide", "new", "old", "no longer useful", "stolen", "lost", "late")


def _acts(draw: Draw, follows: bool) -> Pair:
    """A pair of MNLI's families in which animals act."""
    premise, hypothesis = two_way(draw, _NATURE, "entailment" if follows else "not_entailment")
    return premise[:-1], hypothesis[:-1]


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


_FAMILIES: tuple[Callable[[Draw, bool], Pair], ...] = (_acts, _acts, _acts, _acts, _acts, _acts, _rule, _cause, _held)


def supported(draw: Draw, follows: bool) -> Pair:
    """A premise and a hypothesis that follows from it, or does not."""
    premise, hypothesis = draw.pick(_FAMILIES)(draw, follows)
    return sentence(premise), sentence(hypothesis)
