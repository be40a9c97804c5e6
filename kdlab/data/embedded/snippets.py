"""Snippets of film reviews for RT, of one sentence or of three of which two agree.

Two thirds of the sentences are SST-2's, as somebody said them; the others judge by what those who saw the film did, or
by what it is better than.
"""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.clauses import sentence
from kdlab.data.embedded.lexicon import DAYS, MORE_PEOPLE, NUMBERS
from kdlab.data.embedded.reviews import PARTS, WORKS, review
from kdlab.system.draw import Draw

_LIKED = (  # the first five can be denied
    "was keen on the {part} of this {work} and talked of it {day}",
    "thanked the cast of this {work} {day}, before it was over",
    "liked the {part} of this {work} and wanted more of it {day}",
    "met the cast {day} and asked for {number} more of this {work}",
    "was proud to have seen the {part} of this {work} {day}",
    "was still there {day} when the {part} of this {work} was over",
    "followed the {part} of this {work} {day} and never looked at the phone",
    "did not need to know the time {day}, when the {part} of this {work} was on",
)
_LOATHED = (
    "was angry about the {part} of this {work} and left it {day}",
    "slept {day}, before the {part} of this {work} was over",
    "blamed the cast for the {part} of this {work} {day}",
    "asked for the money {day}, before the {part} of this {work}",
    "looked at the phone {day}, when the {part} of this {work} was on",
    "was ill {day}, and the {part} of this {work} is to blame",
    "put this {work} off {day}, after the {part}, and left it there",
    "needed to know the time {day}, when the {part} of this {work} was on",
)
_BETTER = (
    "there is no better {part} in any {work}, {who} said {day}",
    "the {other} that {who} saw {day} was far worse than this {work} and its {part}",
    "of all that {who} saw {day}, this {work} had the best {part}",
    "{who} had seen no better {part} than that of this {work} {day}",
)
_WORSE = (
    "there is no worse {part} in any {work}, {who} said {day}",
    "the {other} that {who} saw {day} was far better than this {work} and its {part}",
    "of all that {who} saw {day}, any {other} had a better {part} than this {work}",
    "{who} had seen no worse {part} than that of this {work} {day}",
)
_JOBS = ("teacher", "student", "sailor", "shepherd", "miller", "hunter")
_EVERYONE, _NOBODY = ("each of us", "every one of us"), ("nobody", "none of us", "not one of us")
_DENIED = 5


def _who(draw: Draw) -> str:
    return draw.pick((draw.pick(MORE_PEOPLE), f"the {draw.pick(_JOBS)}", draw.pick(_EVERYONE)))


def _filled(draw: Draw, form: str) -> str:
    work, other = draw.some(WORKS, 2)
    day, number = draw.pick(DAYS), draw.pick(NUMBERS[2:])
    return form.format(part=draw.pick(PARTS), work=work, other=other, day=day, number=number, who=_who(draw))


def _did(draw: Draw, good: bool) -> str:
    """Somebody was keen on it, or slept; or nobody did the contrary."""
    if draw.chance(0.3):
        return f"{draw.pick(_NOBODY)} {_filled(draw, draw.pick((_LOATHED if good else _LIKED)[:_DENIED]))}"
    return f"{_who(draw)} {_filled(draw, draw.pick(_LIKED if good else _LOATHED))}"


def _judged(draw: Draw, good: bool) -> str:
    """No better film, or a worse one: what it is measured by decides."""
    return _filled(draw, draw.pick(_BETTER if good else _WORSE))


def _said(draw: Draw, good: bool) -> str:
    """One of SST-2's sentences, as somebody said it."""
    return f"{review(draw, good)}, {_who(draw)} said {draw.pick(DAYS)}"


_FORMS: tuple[Callable[[Draw, bool], str], ...] = (_said, _said, _said, _said, _did, _judged)


def snippet(draw: Draw, good: bool) -> str:
    """A snippet with a verdict: of one sentence, or of three of which two agree."""
    verdicts = [good] if draw.chance(0.9) else draw.shuffled([good, good, not good])
    return " ".join(sentence(draw.pick(_FORMS)(draw, verdict)) for verdict in verdicts)
