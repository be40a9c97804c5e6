"""Sentences that are acceptable English, and the same kinds with one thing wrong, for CoLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdlab.data.embedded.clauses import Thing, clause, thing_phrase, two_facts, two_things
from kdlab.data.embedded.lexicon import MEN, WOMEN, Lexicon, plural
from kdlab.system.draw import Draw

Builder = Callable[[Draw, Lexicon, bool], str]


def _agreement(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """The key near the guitars is heavy: the verb agrees with the head, not with its neighbour."""
    one, two = two_things(draw, lexicon, 0.3)
    many, near = draw.chance(0.5), draw.chance(0.5)
    head = thing_phrase(draw, replace(one, noun=plural(one.noun) if many else one.noun))
    other = plural(two.noun) if near else two.noun
    place = draw.pick(("near", "behind", "next to", "under"))
    verb = draw.pick((("is", "are"), ("was", "were"), ("has been", "have been")))[int(many == good)]
    state = draw.pick(("lost", "broken", "clean", "stolen", "hidden", "empty"))
    return f"{head} {place} the {other} {verb} {state}"


def _auxiliary(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """Did takes the base, has the participle, is the -ing form."""
    fact, _ = two_facts(draw, lexicon)
    forms = draw.pick(fact.verb.forms)
    wants = {
        "did not": forms.base,
        "has": forms.done,
        "is": forms.doing,
        "will": forms.base,
        "wants to": forms.base,
        "was seen": forms.doing,
    }
    word = draw.pick(tuple(wants))
    right = wants[word]
    wrong = draw.pick([form for form in dict.fromkeys((forms.base, forms.past, forms.doing)) if form != right])
    if word == "has":
        wrong = forms.base if forms.base != right else forms.doing
    if word in ("is", "was seen"):
        wrong = forms.base
    tail = f" {fact.when or fact.where}".rstrip()
    return f"{fact.agent} {word} {right if good else wrong} {thing_phrase(draw, fact.thing)}{tail}"


def _reflexive(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """Herself goes with the woman who is the nearest subject."""
    fact, _ = two_facts(draw, lexicon)
    woman = draw.chance(0.5)
    subject, distant = draw.pick(WOMEN if woman else MEN), draw.pick(MEN if woman else WOMEN)
    self = "herself" if woman == good else "himself"
    forms = draw.pick(fact.verb.forms)
    return draw.pick(
        (
            f"{distant} said that {subject} {forms.past} {thing_phrase(draw, fact.thing)} {self}",
            f"{subject} did not blame {self} when {distant} {forms.past} {thing_phrase(draw, fact.thing)}",
            f"{subject} bought {thing_phrase(draw, fact.thing)} for {self} because {distant} liked it",
            f"the {draw.pick(lexicon.jobs)} who met {distant} knew that {subject} was proud of {self}",
        )
    )


def _word_order(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """Neighbouring words exchanged where English does not allow it."""
    fact, _ = two_facts(draw, lexicon)
    thing = replace(fact.thing, adjective=fact.thing.adjective or "old")
    words = clause(draw, replace(fact, thing=thing), draw.pick(("active", "passive"))).split(" ")
    if good:
        return " ".join(words)
    spots = [i for i, word in enumerate(words) if word in ("the", "by", "on", "in", "at") and i + 1 < len(words)]
    spot = draw.pick(spots)
    words[spot], words[spot + 1] = words[spot + 1], words[spot]
    return " ".join(words)


def _gap(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """A relative clause or question leaves its gap empty."""
    fact, other = two_facts(draw, lexicon)
    mine, theirs = draw.pick(fact.verb.forms), draw.pick(other.verb.forms)
    thing = thing_phrase(draw, fact.thing)
    filler = "" if good else draw.pick((" it", f" {thing_phrase(draw, other.thing)}"))
    return draw.pick(
        (
            f"{thing} that {fact.agent} {mine.past}{filler} was {theirs.done} by {other.agent}",
            f"{other.agent} {theirs.past} {thing} which {fact.agent} {mine.past}{filler} {draw.pick(lexicon.places)}",
            f"{other.agent} asked what {fact.agent} {mine.past}{filler} {draw.pick(lexicon.places)}",
        )
    )


def _frame(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """Verbs with and without an object, and what may follow them."""
    who, other = draw.some(lexicon.people, 2)
    thing = thing_phrase(draw, two_things(draw, lexicon)[0])
    place = draw.pick(lexicon.places)
    right, wrong = draw.pick(
        (
            (f"{who} slept {place}", f"{who} slept {thing} {place}"),
            (f"{who} arrived {place} with {thing}", f"{who} arrived {thing} {place}"),
            (f"{who} put {thing} {place}", f"{who} put {place} with {other}"),
            (f"{who} explained {thing} to {other}", f"{who} explained {other} {thing}"),
            (f"{who} gave {other} {thing}", f"{who} gave {other} to {thing} from"),
            (f"{who} waited for {other} {place}", f"{who} waited {other} {place}"),
            (f"{who} looked at {thing} {place}", f"{who} looked {thing} {place}"),
            (f"{who} talked about {thing} with {other}", f"{who} talked {thing} with {other}"),
        )
    )
    return right if good else wrong


def _licence(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """Any and ever want a negation above them; many wants things that can be counted."""
    fact, other = two_facts(draw, lexicon)
    forms, noun = draw.pick(fact.verb.forms), fact.thing.noun
    group = plural(draw.pick(lexicon.jobs))
    place = draw.pick(lexicon.places)
    right, wrong = draw.pick(
        (
            (
                f"none of the {group} {forms.past} any {noun} {place}",
                f"some of the {group} {forms.past} any {noun} {place}",
            ),
            (
                f"no {group} have ever {forms.done} {thing_phrase(draw, fact.thing)}",
                f"some {group} have ever {forms.done} {thing_phrase(draw, fact.thing)}",
            ),
            (
                f"{fact.agent} {forms.past} many {plural(noun)} {place}",
                f"{fact.agent} {forms.past} much {plural(noun)} {place}",
            ),
            (
                f"{fact.agent} {forms.past} fewer {plural(noun)} than {other.agent}",
                f"{fact.agent} {forms.past} as {plural(noun)} than {other.agent}",
            ),
            (
                f"each of the {group} {forms.past} {thing_phrase(draw, Thing(noun, count='a'))}",
                f"each of the {group} {forms.past} {thing_phrase(draw, Thing(noun, count='a'))} ever",
            ),
        )
    )
    return right if good else wrong


_FORMS: tuple[Builder, ...] = (_agreement, _agreement, _auxiliary, _reflexive, _word_order, _gap, _frame, _licence)


def judged(draw: Draw, lexicon: Lexicon, good: bool) -> str:
    """A sentence, not yet capitalised, that is acceptable or has one thing wrong."""
    return draw.pick(_FORMS)(draw, lexicon, good)
