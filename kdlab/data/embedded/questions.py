"""Pairs of questions that ask the same or not (QQP), and questions with a sentence that answers them or not (QNLI)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdlab.data.embedded.clauses import (
    ALONE,
    Fact,
    Thing,
    Transfer,
    adjuncts,
    clause,
    how_many,
    joined,
    reword,
    sentence,
    thing_phrase,
    transfer_clause,
    two_facts,
    two_things,
)
from kdlab.data.embedded.inference import Pair
from kdlab.data.embedded.lexicon import DAYS, Lexicon, a, plural
from kdlab.system.draw import Draw

Builder = Callable[[Draw, Lexicon, bool], Pair]
_BASES = {"arrived": "arrive", "left": "leave", "called": "call", "woke": "wake"}


def _ask_transfer(draw: Draw, giver: str, taker: str, base: Transfer) -> str:
    """A question for the giver or the taker (the one that is empty)."""
    thing, tail = thing_phrase(draw, base.thing), f" {base.when}" if base.when else ""
    give, take = base.verbs[0], draw.pick(base.verbs[1])
    if taker:
        forms = (f"who {give.past} {thing} to {taker}", f"from whom did {taker} {take.base} {thing}")
    else:
        forms = (f"who {take.past} {thing} from {giver}", f"to whom did {giver} {give.base} {thing}")
    return sentence(draw.pick(forms) + tail, "?")


def _same_transfer(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Who sold to Anna? From whom did Anna buy?"""
    person = draw.pick(lexicon.people)
    when = draw.pick(DAYS) if draw.chance(0.5) else ""
    base = Transfer("", "", draw.pick(lexicon.transfers), two_things(draw, lexicon)[0], when)
    sides = [(person, ""), ("", person)]
    first = draw.below(2)
    return (
        _ask_transfer(draw, *sides[first], base),
        _ask_transfer(draw, *sides[first if same else 1 - first], base),
    )


def _same_order(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Is Anna older than Ben? Is Ben younger than Anna?"""
    people, relation = draw.some(lexicon.people, 2), draw.pick(lexicon.orders)

    def ask(high: str, low: str) -> str:
        words, one, two = (relation[0], high, low) if draw.chance(0.5) else (relation[1], low, high)
        verb, rest = words.split(" ", 1)
        start = f"is {one}" if verb == "is" else f"did {one} {_BASES[verb]}"
        return sentence(f"{start} {rest} {two}", "?")

    first = ask(people[0], people[1])
    return first, ask(people[0], people[1]) if same else ask(people[1], people[0])


def _same_advice(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """How can I clean a car before I fix a van?"""
    verbs = draw.some(lexicon.verbs, 2)
    things = [replace(thing, count="a") for thing in two_things(draw, lexicon, 0.6)]

    def ask(first: int, second: int, thing: int) -> str:
        start = draw.pick(("how can I", "what is the best way to", "how should I", "what is a good way to"))
        one, two = draw.pick(verbs[first].forms).base, draw.pick(verbs[second].forms).base
        here, there = thing_phrase(draw, things[thing]), thing_phrase(draw, things[1 - thing])
        if draw.chance(0.5):
            return sentence(f"{start} {one} {here} before I {two} {there}", "?")
        return sentence(f"before I {two} {there}, {start} {one} {here}", "?")

    swaps = draw.pick(((1, 0, 0), (0, 1, 1), (1, 0, 1)))
    return ask(0, 1, 0), ask(0, 1, 0) if same else ask(*swaps)


def _same_way(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """How long does it take from here to there?"""
    here, there = (place.split(" ", 1)[1] for place in draw.some(lexicon.places, 2))
    who = draw.pick(lexicon.people)

    def ask(start: str, goal: str) -> str:
        way = draw.pick((f"from {start} to {goal}", f"to {goal} from {start}"))
        form = draw.pick(("how long does it take {who} to go {way}", "how much time does {who} need to get {way}"))
        return sentence(form.format(who=who, way=way), "?")

    return ask(here, there), ask(here, there) if same else ask(there, here)


def _same_place(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Where did Anna hide the car that Ben found?"""
    fact, other = two_facts(draw, lexicon)

    def ask(first: Fact, second: Fact) -> str:
        start = draw.pick(("where did", "in which place did", "why did", "for what reason did")[2 * why : 2 * why + 2])
        thing, mine, theirs = thing_phrase(draw, fact.thing), draw.pick(first.verb.forms), draw.pick(second.verb.forms)
        which = draw.pick((f"that {second.agent} {theirs.past}", f"which was {theirs.done} by {second.agent}"))
        return sentence(f"{start} {first.agent} {mine.base} {thing} {which}", "?")

    why = draw.below(2)
    first = ask(fact, other)
    if not same and draw.chance(0.5):
        fact, other = replace(fact, agent=other.agent), replace(other, agent=fact.agent)
    elif not same:
        fact, other = replace(fact, verb=other.verb), replace(other, verb=fact.verb)
    return first, ask(fact, other)


SAME: tuple[Builder, ...] = (_same_transfer, _same_order, _same_advice, _same_way, _same_place)


def same_question(draw: Draw, lexicon: Lexicon, same: bool) -> Pair:
    """Two questions that ask the same, or use the same words to ask something else."""
    if same or draw.chance(0.4):
        return draw.pick(SAME)(draw, lexicon, same)
    first, second = draw.pick(SAME)(draw, lexicon, True)
    return first, _exchanged(draw, lexicon, second)


def _exchanged(draw: Draw, lexicon: Lexicon, question: str) -> str:
    """The question with one name or thing replaced by another."""
    words = question[:-1].split(" ")
    nouns = tuple(noun for members in lexicon.kinds.values() for noun in members if noun[0] not in "aeiou")
    known = dict.fromkeys(nouns, nouns) | dict.fromkeys(lexicon.people, lexicon.people)
    spots = [i for i, word in enumerate(words) if word in known]
    if spots:
        spot = draw.pick(spots)
        words[spot] = draw.pick([word for word in known[words[spot]] if word not in words])
    return " ".join(words) + question[-1]


def _where_when(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """One fact has a place and the other a day; asked is for the one or the other."""
    fact, other = (replace(fact, where="", when="") for fact in two_facts(draw, lexicon))
    place, day = draw.pick(lexicon.places), draw.pick(DAYS)
    where = draw.chance(0.5)
    forms = draw.pick(fact.verb.forms)
    start = draw.pick(("where", "in which place")) if where else draw.pick(("when", "on which day"))
    question = draw.pick(
        (
            f"{start} did {fact.agent} {forms.base} {thing_phrase(draw, fact.thing)}",
            f"{start} was {thing_phrase(draw, fact.thing)} {forms.done} by {fact.agent}",
        )
    )
    if where == answered:
        fact, other = replace(fact, where=place), replace(other, when=day)
    else:
        fact, other = replace(fact, when=day), replace(other, where=place)
    return sentence(question, "?"), joined(
        draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=draw.chance(ALONE)
    )


def _who(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """Who did it? One of two facts is denied, or the verbs are exchanged."""
    fact, other = two_facts(draw, lexicon)
    question = sentence(f"who {draw.pick(fact.verb.forms).past} {thing_phrase(draw, fact.thing)}", "?")
    fact, other = replace(fact, where="", when=""), replace(other, where="", when="")
    alone = draw.chance(ALONE)
    denied = not alone and draw.chance(0.5)
    if denied:
        fact, other = replace(fact, positive=answered), replace(other, positive=not answered)
    elif not answered:
        fact, other = replace(fact, verb=other.verb), replace(other, verb=fact.verb)
    return question, joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], contrast=denied, alone=alone)


def _how_many(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """Two amounts; the things or the agents may be exchanged."""
    fact, other = (replace(fact, where="", when="") for fact in two_facts(draw, lexicon))
    forms, many = draw.pick(fact.verb.forms), plural(reword(draw, fact.thing.noun))
    question = draw.pick(
        (f"how many {many} did {fact.agent} {forms.base}", f"how many {many} were {forms.done} by {fact.agent}")
    )
    fact, other = (
        replace(base, thing=Thing(base.thing.noun, count=how_many(2 + draw.below(11)))) for base in (fact, other)
    )
    if not answered and draw.chance(0.5):
        fact, other = replace(fact, thing=other.thing), replace(other, thing=fact.thing)
    elif not answered:
        fact, other = replace(fact, agent=other.agent), replace(other, agent=fact.agent)
    clauses = [clause(draw, fact), clause(draw, other)]
    return sentence(question, "?"), joined(draw, lexicon, clauses, alone=draw.chance(ALONE))


def _which_job(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """The job of one of two people is told."""
    fact, other = (replace(fact, where="", when="") for fact in two_facts(draw, lexicon))
    forms = draw.pick(fact.verb.forms)
    thing = thing_phrase(draw, fact.thing)
    question = draw.pick(
        (
            f"what is the job of the person who {forms.past} {thing}",
            f"what is the job of the person by whom {thing} was {forms.done}",
        )
    )
    known = fact.agent if answered else other.agent
    job = f"{known} is {a(draw.pick(lexicon.jobs))}"
    told = joined(draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=draw.chance(ALONE))
    return sentence(question, "?"), f"{told} {sentence(job)}" if draw.chance(0.5) else f"{sentence(job)} {told}"


def _who_transferred(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """Who gave to Anna? The sentence says from whom she got it, or to whom she gave it."""
    person, other, third = draw.some(lexicon.people, 3)
    things = two_things(draw, lexicon)
    base = Transfer("", "", draw.pick(lexicon.transfers), things[0])
    ask_giver = draw.chance(0.5)
    question = _ask_transfer(draw, *(("", person) if ask_giver else (person, "")), base)
    people = (other, person) if ask_giver == answered else (person, other)
    back = (
        Transfer(people[1], third, base.verbs, things[1])
        if draw.chance(0.5)
        else Transfer(third, people[0], base.verbs, things[1])
    )
    clauses = [transfer_clause(draw, replace(base, giver=people[0], taker=people[1])), transfer_clause(draw, back)]
    return question, joined(draw, lexicon, clauses, alone=draw.chance(ALONE))


def _what(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """What did Anna do to what, on which day? The days of two facts may be exchanged."""
    fact, other = (replace(fact, where="", when="") for fact in two_facts(draw, lexicon))
    if draw.chance(0.5):
        days = draw.some(DAYS, 2)
        fact, other = replace(fact, when=days[0]), replace(other, when=days[1])
    else:
        places = draw.some(lexicon.places, 2)
        fact, other = replace(fact, where=places[0]), replace(other, where=places[1])
    forms, tail = draw.pick(fact.verb.forms), adjuncts(draw, fact.where, fact.when)
    question = draw.pick((f"what did {fact.agent} {forms.base}{tail}", f"what was {forms.done} by {fact.agent}{tail}"))
    if not answered and draw.chance(0.5):
        fact, other = (
            replace(fact, where=other.where, when=other.when),
            replace(other, where=fact.where, when=fact.when),
        )
    elif not answered:
        fact, other = replace(fact, verb=other.verb), replace(other, verb=fact.verb)
    return sentence(question, "?"), joined(
        draw, lexicon, [clause(draw, fact), clause(draw, other)], alone=draw.chance(ALONE)
    )


ANSWERS: tuple[Builder, ...] = (
    *(_where_when, _who, _how_many, _what),
    *(_where_when, _who, _how_many, _what),
    *(_which_job, _who_transferred),
)


def answered_question(draw: Draw, lexicon: Lexicon, answered: bool) -> Pair:
    """A question and a sentence that holds its answer, or the same words without it."""
    return draw.pick(ANSWERS)(draw, lexicon, answered)
