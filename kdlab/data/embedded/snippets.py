"""Snippets of film reviews for RT: half of them judge by what those who saw the film did, which SST-2's never do.

The others use SST-2's words of praise and blame, in other sentences. Where there are several, most of them decide.
"""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.clauses import sentence
from kdlab.data.embedded.lexicon import DAYS, MORE_PEOPLE, NUMBERS, a
from kdlab.data.embedded.reviews import BAD, GOOD, PARTS, WORKS
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


def _measured(draw: Draw, good: bool) -> str:
    """More warm than dull, for all its stale plot: SST-2's words in other sentences."""
    word, second = draw.some(GOOD if good else BAD, 2)
    other, (one, two), work = draw.pick(BAD if good else GOOD), draw.some(PARTS, 2), draw.pick(WORKS)
    return draw.pick(
        (
            f"{a(work)} that is more {word} than {other}, from the {one} to the {two}",
            f"for all its {other} {one}, {a(word)} and {second} {work}",
            f"{a(word)} {one}, {a(second)} {two}, and not the {other} {work} that {draw.pick(MORE_PEOPLE)} expected",
            f"as {word} as it is {second}, this {work} has no {other} {one}",
        )
    )


_FORMS: tuple[Callable[[Draw, bool], str], ...] = (_did, _did, _judged, _measured, _measured)


def snippet(draw: Draw, good: bool) -> str:
    """A snippet with a verdict: of one sentence, or of three of which two agree."""
    verdicts = [good] if draw.chance(0.5) else draw.shuffled([good, good, not good])
    return " ".join(sentence(draw.pick(_FORMS)(draw, verdict)) for verdict in verdicts)
