"""Pairs of news sentences that say the same or exchange one part (MRPC), and their graded kin (STS-B)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdlab.data.embedded.clauses import (
    ALONE,
    Fact,
    Thing,
    adjuncts,
    clause,
    how_many,
    joined,
    order_clause,
    reword,
    sentence,
    two_facts,
)
from kdlab.data.embedded.inference import Pair, mixed
from kdlab.data.embedded.lexicon import ADJECTIVES, DAYS, Lexicon, a
from kdlab.system.draw import Draw


def _plain(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Two facts; the other sentence exchanges one part."""
    fact, other = two_facts(draw, lexicon)
    alone = draw.chance(ALONE)
    first = joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=alone)
    if not same:
        fact, other = mixed(draw, fact, other, fact)
    return first, joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=alone)


def _denied(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """One fact is denied; the other sentence denies the other or exchanges the agents."""
    fact, other = two_facts(draw, lexicon)
    fact = replace(fact, positive=False)
    alone = draw.chance(ALONE)
    first = joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], contrast=True, alone=alone)
    if not same and draw.chance(0.5):
        fact, other = replace(fact, positive=True), replace(other, positive=False)
    elif not same:
        fact, other = replace(fact, agent=other.agent), replace(other, agent=fact.agent)
    return first, joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], contrast=True, alone=alone)


def _said(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Someone told someone; the other sentence turns it round."""
    speaker, hearer = draw.some(lexicon.jobs, 2)
    fact, _ = two_facts(draw, lexicon)

    def report(teller: str, told: str) -> str:
        said = clause(draw, fact)
        teller, told = f"the {reword(draw, teller)}", f"the {reword(draw, told)}"
        if draw.chance(0.5):
            return sentence(f"{teller} told {told} that {said}")
        return sentence(f"{told} {draw.pick(('heard', 'learned'))} from {teller} that {said}")

    first = report(speaker, hearer)
    return first, report(speaker, hearer) if same else report(hearer, speaker)


def _ordered(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Three people in order; the other sentence exchanges two of them."""
    people, relation, alone = draw.some(lexicon.people, 3), draw.pick(lexicon.orders), draw.chance(ALONE)

    def told(names: list[str]) -> str:
        pairs = [(names[0], names[1]), (names[1], names[2])]
        return joined(draw, lexicon, [order_clause(draw, relation, *pair) for pair in pairs], alone=alone)

    changed = draw.pick([[1, 0, 2], [0, 2, 1], [2, 1, 0]])
    return told(people), told(people if same else [people[i] for i in changed])


def _counted(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Two counts; the other sentence exchanges them, the agents or the things."""
    fact, other = (replace(fact, where="", when="") for fact in two_facts(draw, lexicon))
    counts = [how_many(number) for number in draw.some(range(2, 13), 2)]
    fact, other = (
        replace(base, thing=Thing(base.thing.noun, count=count))
        for base, count in zip((fact, other), counts, strict=True)
    )
    alone = draw.chance(ALONE)
    first = joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=alone)
    part = draw.pick(("count", "agent", "thing"))
    if not same and part == "count":
        fact, other = (
            replace(fact, thing=replace(fact.thing, count=counts[1])),
            replace(other, thing=replace(other.thing, count=counts[0])),
        )
    elif not same and part == "agent":
        fact, other = replace(fact, agent=other.agent), replace(other, agent=fact.agent)
    elif not same:
        fact, other = replace(fact, thing=other.thing), replace(other, thing=fact.thing)
    return first, joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=alone)


def _employed(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Who has which job and did what; the other sentence exchanges jobs or deeds."""
    fact, other = (replace(fact, where="", when="") for fact in two_facts(draw, lexicon))
    jobs = draw.some(lexicon.jobs, 2)

    def told(mine: str, theirs: str, first: Fact, second: Fact) -> str:
        clauses = []
        for name, fact in ((mine, first), (theirs, second)):
            style = draw.pick(("active", "passive"))
            name = reword(draw, name)
            who = draw.pick((f"{fact.agent} the {name}", f"{fact.agent}, {a(name)},"))
            clauses.append(clause(draw, replace(fact, agent=who), style).rstrip(","))
        one, two = draw.shuffled(clauses)
        return sentence(f"{one}. {two}").replace(",.", ".")

    text = told(jobs[0], jobs[1], fact, other)
    if not same and draw.chance(0.5):
        jobs.reverse()
    elif not same:
        fact, other = replace(fact, agent=other.agent), replace(other, agent=fact.agent)
        jobs.reverse()
    return text, told(jobs[0], jobs[1], fact, other)


NEWS: tuple[Callable[[Draw, Lexicon, bool], Pair], ...] = (
    *(_plain, _plain, _plain, _plain),
    *(_denied, _denied, _counted, _counted),
    *(_said, _ordered, _employed),
)


def news(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Two sentences that say the same, or use the same words to say something else."""
    return draw.pick(NEWS)(draw, lexicon, same)


_WEIGHTS = {
    "adjective": 0.5,
    "when": 0.5,
    "where": 0.75,
    "member": 1.0,
    "agent": 1.0,
    "verb": 1.25,
    "kind": 1.75,
    "denied": 1.5,
}


def graded(draw: Draw, lexicon: Lexicon, steps: int) -> tuple[str, str, float]:
    """Two sentences and how alike they are, from 0 to 5.

    Args:
        draw: Source of choices.
        lexicon: Words.
        steps: How many parts are changed, from 0 (a paraphrase) on; from 6 on the second is about something else.

    Returns:
        The sentences and the score.
    """
    fact, other = two_facts(draw, lexicon)
    fact = _filled(draw, lexicon, fact)
    first = _scene(draw, fact)
    if steps > 5:
        return first, _scene(draw, _filled(draw, lexicon, other)), 0.0 if draw.chance(0.5) else 0.25
    score = 5.0
    for part in draw.some(tuple(_WEIGHTS), steps):
        fact = _changed(draw, lexicon, fact, other, part)
        score -= _WEIGHTS[part]
    return first, _scene(draw, fact), max(score, 0.25)


def _filled(draw: Draw, lexicon: Lexicon, fact: Fact) -> Fact:
    """The fact with an adjective, a place and a day."""
    thing = replace(fact.thing, adjective=draw.pick(ADJECTIVES), count="the")
    return replace(fact, thing=thing, where=draw.pick(lexicon.places), when=draw.pick(DAYS))


def _scene(draw: Draw, fact: Fact) -> str:
    """One fact as a sentence; the adjuncts may come first."""
    if draw.chance(0.3):
        front = adjuncts(draw, "", fact.when).strip()
        return sentence(f"{front}, {clause(draw, replace(fact, when=''))}")
    return sentence(clause(draw, fact))


def _changed(draw: Draw, lexicon: Lexicon, fact: Fact, other: Fact, part: str) -> Fact:
    """The fact with one part replaced by something else."""
    thing, mine = fact.thing, {fact.thing.adjective, reword(draw, fact.thing.adjective)}
    if part == "adjective":
        return replace(fact, thing=replace(thing, adjective=draw.pick([w for w in ADJECTIVES if w not in mine])))
    if part == "when":
        return replace(fact, when=draw.pick([day for day in DAYS if day != fact.when]))
    if part == "where":
        return replace(fact, where=draw.pick([place for place in lexicon.places if place != fact.where]))
    if part == "member":
        kin = [noun for noun in lexicon.kinds[lexicon.kind_of(thing.noun)] if noun != thing.noun]
        return replace(fact, thing=replace(thing, noun=draw.pick(kin)))
    if part == "kind":
        return replace(fact, thing=replace(thing, noun=other.thing.noun))
    if part == "agent":
        return replace(fact, agent=other.agent)
    if part == "verb":
        return replace(fact, verb=other.verb)
    return replace(fact, positive=not fact.positive)
