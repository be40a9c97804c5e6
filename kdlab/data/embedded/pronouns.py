"""Sentences with a pronoun, and the sentence with one of its candidates in its place, for WNLI."""

from __future__ import annotations

from kdlab.data.embedded.clauses import sentence, thing_phrase, two_things
from kdlab.data.embedded.inference import Pair
from kdlab.data.embedded.lexicon import MEN, WOMEN, Lexicon
from kdlab.system.draw import Draw

# Each schema: the start, an ending that is about {one}, and an ending that is about {two}; ``{who}`` is the pronoun.
_PEOPLE: tuple[tuple[str, str, str], ...] = (
    ("{one} lent {thing} to {two} because {who}", "{who} did not need it", "{who} needed it"),
    ("{one} thanked {two} because {who}", "{who} had received help", "{who} had given help"),
    ("{one} blamed {two} because {who}", "{who} was angry", "{who} had broken {thing}"),
    ("{one} asked {two} about {thing} because {who}", "{who} wanted to know more", "{who} knew the answer"),
    ("{one} followed {two} because {who}", "{who} did not know the way", "{who} knew the way"),
    ("{one} waited for {two} because {who}", "{who} was early", "{who} was late"),
    ("{one} sold {thing} to {two} because {who}", "{who} wanted money", "{who} wanted to own it"),
    ("{one} carried {thing} for {two} because {who}", "{who} was strong", "{who} was weak"),
    ("{one} hid {thing} from {two} because {who}", "{who} had stolen it", "{who} was looking for it"),
    ("{one} taught {two} because {who}", "{who} was a good teacher", "{who} was a keen student"),
    ("{one} beat {two} in the race because {who}", "{who} was faster", "{who} was slower"),
    ("{one} called {two} a doctor because {who}", "{who} wanted to help", "{who} was ill"),
)
_THINGS: tuple[tuple[str, str, str], ...] = (
    (
        "{one} did not fit next to {two} because {who}",
        "{who} was too wide for the space that was left",
        "{who} took all the space",
    ),
    (
        "{name} put {one} on {two} because {who}",
        "{who} had to be kept off the floor",
        "{who} was strong enough to hold it",
    ),
    ("{name} sold {one} and kept {two} because {who}", "{who} was no longer useful", "{who} was still useful"),
    (
        "{name} cleaned {one} before {two} because {who}",
        "{who} was the dirtier of them",
        "{who} was the cleaner of them",
    ),
    ("{name} chose {one} over {two} because {who}", "{who} was better", "{who} was worse"),
    ("{name} replaced {one} with {two} because {who}", "{who} was broken", "{who} was new"),
)


def resolved(draw: Draw, lexicon: Lexicon, right: bool) -> Pair:
    """A sentence with a pronoun, and its ending with the right or the wrong candidate."""
    things = [thing_phrase(draw, thing) for thing in two_things(draw, lexicon)]
    people = draw.chance(0.65)
    woman = draw.chance(0.5)
    one, two = draw.some(WOMEN if woman else MEN, 2) if people else things
    start, *endings = draw.pick(_PEOPLE if people else _THINGS)
    about = draw.below(2)
    pronoun = ("she" if woman else "he") if people else "it"
    names = {"one": one, "two": two, "thing": things[0], "name": draw.pick(WOMEN + MEN)}
    ending = endings[about].removeprefix("{who} ")
    premise = start.format(**names, who=pronoun) + " " + ending.format(**names)
    chosen = (one, two)[about if right else 1 - about]
    return sentence(premise), sentence(f"{chosen} {ending.format(**names)}")
