"""Premise and hypothesis by label, for RTE, MNLI and AX.

Every family draws the hypothesis first and then arranges the same words into a premise that entails, contradicts or
leaves it open. So the hypothesis alone says nothing about the label, and words alone say little: what counts is who did
what, what is denied, and what follows from what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdlab.data.embedded.clauses import (
    ALONE,
    Fact,
    Thing,
    Transfer,
    clause,
    how_many,
    joined,
    order_clause,
    reword,
    sentence,
    transfer_clause,
    two_facts,
    two_things,
)
from kdlab.data.embedded.lexicon import DAYS, Lexicon, Verb, a, plural
from kdlab.system.draw import Draw

YES, OPEN, NO = "entailment", "neutral", "contradiction"
Pair = tuple[str, str]
Family = Callable[[Draw, Lexicon, str], Pair]


def polarity(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """One fact is told and one denied; the hypothesis tells or denies one of them."""
    fact, other = two_facts(draw, lexicon)
    told = draw.chance(0.5)
    hypothesis = sentence(clause(draw, replace(fact, positive=told)))
    premise = _one_denied(draw, lexicon, fact, other, told, label)
    return premise, hypothesis


def _one_denied(draw: Draw, lexicon: Lexicon, fact: Fact, other: Fact, told: bool, label: str) -> str:
    """Two facts of which one is denied, so that the told (or denied) fact gets its label."""
    if label == OPEN:
        fact, other = unheard(draw, lexicon, fact, other)
        told = draw.chance(0.5)
    elif label == NO:
        told = not told
    clauses = [clause(draw, replace(fact, positive=told)), clause(draw, replace(other, positive=not told))]
    return joined(draw, lexicon, clauses, contrast=True, alone=draw.chance(ALONE))


def unheard(draw: Draw, lexicon: Lexicon, fact: Fact, other: Fact) -> tuple[Fact, Fact]:
    """The facts so that ``fact`` is left open: the agents exchanged, or another deed or thing in its place."""
    part = draw.below(4)
    if part == 0:
        return replace(fact, verb=draw.pick([v for v in lexicon.verbs if v not in (fact.verb, other.verb)])), other
    if part == 1:
        kinds = [k for k in lexicon.kinds if fact.thing.noun not in lexicon.kinds[k]]
        noun = draw.pick([n for k in kinds for n in lexicon.kinds[k] if n != other.thing.noun])
        return replace(fact, thing=replace(fact.thing, noun=noun)), other
    return replace(fact, agent=other.agent), replace(other, agent=fact.agent)


def job(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """The premise says who has which job; the hypothesis names the job, not the person."""
    fact, other = two_facts(draw, lexicon)
    fact, other = replace(fact, where="", when=""), replace(other, where="", when="")
    mine, theirs = draw.some(lexicon.jobs, 2)
    told = draw.chance(0.5)
    hypothesis = sentence(clause(draw, replace(fact, agent=f"the {reword(draw, mine)}", positive=told)))
    people = draw.shuffled([f"{fact.agent} is {a(reword(draw, mine))}", f"{other.agent} is {a(reword(draw, theirs))}"])
    link = sentence(f"{people[0]} and {people[1]}")
    return f"{link} {_one_denied(draw, lexicon, fact, other, told, label)}", hypothesis


_KINDS: dict[tuple[bool, bool, str], tuple[tuple[bool, bool], ...]] = {
    # (told, general) of the hypothesis and its label: the (told, general) a premise may have
    (True, True, YES): ((True, False), (True, True)),
    (True, True, NO): ((False, True),),
    (True, True, OPEN): ((False, False),),
    (True, False, YES): ((True, False),),
    (True, False, NO): ((False, True), (False, False)),
    (True, False, OPEN): ((True, True),),
    (False, True, YES): ((False, True),),
    (False, True, NO): ((True, False), (True, True)),
    (False, True, OPEN): ((False, False),),
    (False, False, YES): ((False, True), (False, False)),
    (False, False, NO): ((True, False),),
    (False, False, OPEN): ((True, True),),
}


def kind(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """A guitar is an instrument: up where it is told, down where it is denied."""
    fact, other = two_facts(draw, lexicon)
    told, general = draw.chance(0.5), draw.chance(0.5)

    def about(base: Fact, positive: bool, broad: bool) -> str:
        noun = lexicon.kind_of(base.thing.noun) if broad else base.thing.noun
        return clause(draw, replace(base, thing=Thing(noun, count="a"), positive=positive, where="", when=""))

    hypothesis = sentence(about(fact, told, general))
    premise_told, premise_general = draw.pick(_KINDS[told, general, label])
    if label == OPEN and draw.chance(0.5):
        fact, other = unheard(draw, lexicon, fact, other)
        premise_told, premise_general = draw.chance(0.5), draw.chance(0.5)
    clauses = [about(fact, premise_told, premise_general), about(other, not premise_told, draw.chance(0.5))]
    return joined(draw, lexicon, clauses, contrast=True, alone=draw.chance(ALONE)), hypothesis


COMPARE: dict[str, Callable[[int, int], bool]] = {
    "exactly": lambda number, bound: number == bound,
    "at least": lambda number, bound: number >= bound,
    "at most": lambda number, bound: number <= bound,
    "more than": lambda number, bound: number > bound,
    "fewer than": lambda number, bound: number < bound,
}


def number(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """The premise counts, the hypothesis compares."""
    fact, other = two_facts(draw, lexicon)
    words, bound = draw.pick(tuple(COMPARE)), 4 + draw.below(6)
    near = range(bound - 2, bound + 3)
    right = draw.pick([n for n in near if COMPARE[words](n, bound)])
    wrong = draw.pick([n for n in near if not COMPARE[words](n, bound)])

    def counted(base: Fact, count: str) -> str:
        return clause(draw, replace(base, thing=Thing(base.thing.noun, count=count), where="", when=""))

    hypothesis = sentence(counted(fact, f"{words} {how_many(bound)}"))
    if label == OPEN:
        fact, other = unheard(draw, lexicon, fact, other)
    if label == NO or (label == OPEN and draw.chance(0.5)):
        right, wrong = wrong, right
    clauses = [counted(fact, how_many(right)), counted(other, how_many(wrong))]
    return joined(draw, lexicon, clauses, alone=draw.chance(ALONE)), hypothesis


def order(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """Older and younger, before and after: told directly or through a third person."""
    high, low, third = draw.some(lexicon.people, 3)
    relation = draw.pick(lexicon.orders)
    hypothesis = sentence(order_clause(draw, relation, high, low))
    chained = draw.chance(0.2)
    if label == NO:
        high, low = low, high
    if label == OPEN:
        pairs = draw.pick([[(high, third), (low, third)], [(third, high), (third, low)]])
    elif chained:
        pairs = [(high, third), (third, low)]
    else:
        pairs = [(high, low), draw.pick([(high, third), (third, high), (low, third), (third, low)])]
    clauses = [order_clause(draw, relation, *pair) for pair in pairs]
    alone = not chained and draw.chance(ALONE)
    return joined(draw, lexicon, clauses, alone=alone), hypothesis


_ALL, _SOME, _NONE, _PART = "all", "some", "none", "part"
_GROUPS: dict[str, tuple[str, ...]] = {
    _ALL: ("all of the {many}", "every {one}", "each of the {many}"),
    _SOME: ("some of the {many}", "at least one {one}", "one of the {many}"),
    _NONE: ("none of the {many}", "no {one}"),
    _PART: ("some but not all of the {many}",),
}
_QUANTIFIED: dict[tuple[str, str], tuple[str, ...]] = {
    (_ALL, YES): (_ALL,),
    (_ALL, NO): (_NONE, _PART),
    (_ALL, OPEN): (_SOME,),
    (_SOME, YES): (_ALL, _SOME, _PART),
    (_SOME, NO): (_NONE,),
    (_NONE, YES): (_NONE,),
    (_NONE, NO): (_ALL, _SOME, _PART),
}


def quantified(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """All, some and none of two groups."""
    fact, other = two_facts(draw, lexicon)
    mine, theirs = draw.some(lexicon.jobs, 2)

    def about(base: Fact, amount: str, group: str) -> str:
        one = reword(draw, group)
        agent = draw.pick(_GROUPS[amount]).format(one=one, many=plural(one))
        return f"{agent} {draw.pick(base.verb.forms).past} {a(reword(draw, base.thing.noun))}"

    amount = draw.pick((_ALL, _SOME, _NONE))
    hypothesis = sentence(about(fact, amount, mine))
    if label == OPEN and (amount != _ALL or draw.chance(0.5)):
        mine, theirs = theirs, mine
        chosen = draw.pick((_ALL, _SOME, _NONE))
    else:
        chosen = draw.pick(_QUANTIFIED[amount, label])
    rest = draw.pick([words for words in (_ALL, _SOME, _NONE) if words != chosen])
    clauses = [about(fact, chosen, mine), about(other, rest, theirs)]
    return joined(draw, lexicon, clauses, alone=draw.chance(ALONE)), hypothesis


def transfer(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """Selling is being bought from: who gave and who took, told or denied."""
    giver, taker = draw.some(lexicon.people, 2)
    thing, another = two_things(draw, lexicon)
    verbs = draw.pick(lexicon.transfers)
    told = draw.chance(0.5)
    fact = Transfer(giver, taker, verbs, thing, positive=told)
    one, two = draw.shuffled([giver, taker])
    other = Transfer(one, two, draw.pick(lexicon.transfers), another, positive=not told)
    hypothesis = sentence(transfer_clause(draw, fact))
    if label == OPEN:
        told = draw.chance(0.5)
        fact = Transfer(taker, giver, verbs, thing, positive=told)
        other = replace(other, positive=not told)
    elif label == NO:
        fact, other = replace(fact, positive=not told), replace(other, positive=told)
    clauses = [transfer_clause(draw, fact), transfer_clause(draw, other)]
    return joined(draw, lexicon, clauses, contrast=True, alone=draw.chance(ALONE)), hypothesis


def roles(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """Two facts are told; the hypothesis keeps one or mixes them. Has no contradictions."""
    fact, other = two_facts(draw, lexicon)
    if not fact.where and not fact.when:
        days = draw.some(DAYS, 2)
        fact, other = replace(fact, when=days[0]), replace(other, when=days[1])
    kept = replace(fact, where="", when="") if draw.chance(0.4) else fact
    hypothesis = sentence(clause(draw, kept))
    if label != YES:
        fact, other = unheard(draw, lexicon, fact, other) if draw.chance(0.4) else mixed(draw, fact, other, kept)
    clauses = [clause(draw, fact), clause(draw, other)]
    return joined(draw, lexicon, clauses, alone=draw.chance(ALONE)), hypothesis


def mixed(draw: Draw, fact: Fact, other: Fact, kept: Fact) -> tuple[Fact, Fact]:
    """The two facts with one part exchanged: agent, verb, adjective, or the place and day where ``kept`` has them."""
    parts = ["agent", "verb", "thing"]
    if fact.thing.adjective:
        parts.append("adjective")
    if kept.where or kept.when:
        parts.append("adjunct")
    part = draw.pick(parts)
    if part == "agent":
        return replace(fact, agent=other.agent), replace(other, agent=fact.agent)
    if part == "verb":
        swapped: tuple[Verb, Verb] = (other.verb, fact.verb)
        return replace(fact, verb=swapped[0]), replace(other, verb=swapped[1])
    if part == "adjective":
        return (
            replace(fact, thing=replace(fact.thing, adjective=other.thing.adjective)),
            replace(other, thing=replace(other.thing, adjective=fact.thing.adjective)),
        )
    if part == "adjunct":
        return replace(fact, where=other.where, when=other.when), replace(other, where=fact.where, when=fact.when)
    return replace(fact, thing=other.thing), replace(other, thing=fact.thing)


THREE_WAY: tuple[Family, ...] = (polarity, job, kind, number, order, quantified, transfer)
TWO_WAY: tuple[Family, ...] = (roles, roles, *THREE_WAY)


def two_way(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """A pair of any family that entails or does not."""
    return draw.pick(TWO_WAY)(draw, lexicon, label if label == YES else draw.pick((OPEN, NO)))


def three_way(draw: Draw, lexicon: Lexicon, label: str) -> Pair:
    """A pair of any family with one of three labels."""
    return draw.pick(THREE_WAY)(draw, lexicon, label)
