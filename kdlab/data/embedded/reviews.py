"""Sentences of film reviews, for SST-2: plain praise and blame, and the turns that reverse them."""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.lexicon import MEN, WOMEN, a, words
from kdlab.system.draw import Draw

_GOOD = words(
    "wonderful brilliant charming funny moving clever fresh gripping delightful warm graceful superb "
    "witty touching elegant"
)
_BAD = words(
    "dull boring clumsy awful shallow tedious predictable weak lifeless bland messy silly stale painful dreary"
)
WORKS = ("film", "movie", "drama", "comedy", "thriller", "sequel", "story", "documentary")
PARTS = ("plot", "script", "music", "acting", "ending", "dialogue", "opening", "pace", "camera work", "humor", "cast")
_STRONG = ("", "", "very ", "really ", "truly ", "deeply ", "quite ")
_WINS = ("works", "succeeds", "shines", "wins us over")
_FAILS = ("fails", "falls apart", "disappoints", "falls flat")
_CRITICS = WOMEN + MEN


def _word(draw: Draw, good: bool) -> str:
    """A word of praise or blame."""
    return draw.pick(_GOOD if good else _BAD)


def _plain(draw: Draw, good: bool) -> str:
    """The plot is brilliant and the cast is warm."""
    one, two = draw.some(PARTS, 2)
    first, second = f"{draw.pick(_STRONG)}{_word(draw, good)}", f"{draw.pick(_STRONG)}{_word(draw, good)}"
    work = draw.pick(WORKS)
    return draw.pick(
        (
            f"the {one} of this {work} is {first} and the {two} is {second}",
            f"this is {a(first)} {work} with {a(f'{second} {two}')}",
            f"the {work} is {first}, and its {one} is {second}",
            f"thanks to its {one}, the {work} is {first}",
        )
    )


def _denied(draw: Draw, good: bool) -> str:
    """The film is not dull: the denied word is the opposite of the verdict."""
    word, other, work, part = _word(draw, not good), _word(draw, not good), draw.pick(WORKS), draw.pick(PARTS)
    return draw.pick(
        (
            f"the {work} is not {word} at all, and its {part} is never {other}",
            f"nobody could call this {work} {word} or its {part} {other}",
            f"there is nothing {word} about the {part} of this {work}",
            f"the {part} is far from {word}, and the {work} is hardly {other}",
            f"{draw.pick(_CRITICS)} did not find the {work} {word}, nor its {part} {other}",
        )
    )


def _contrast(draw: Draw, good: bool) -> str:
    """Although the plot is dull, the film works: the main clause decides."""
    weak, strong = f"{draw.pick(_STRONG)}{_word(draw, not good)}", f"{draw.pick(_STRONG)}{_word(draw, good)}"
    part, work, name = draw.pick(PARTS), draw.pick(WORKS), draw.pick(_CRITICS)
    verdict = draw.pick(_WINS if good else _FAILS)
    return draw.pick(
        (
            f"although the {part} is {weak}, the {work} as a whole is {strong}",
            f"the {work} as a whole is {strong}, although the {part} is {weak}",
            f"the {part} may be {weak}, but in the end the {work} {verdict}",
            f"despite its {weak} {part}, the {work} is {strong}",
            f"the {work} is {strong}, despite its {weak} {part}",
            f"{name} expected {a(f'{weak} {work}')}, but found it {strong}",
            f"I expected the {work} to be {weak}, and it turned out to be {strong}",
            f"what sounds like {a(f'{weak} {work}')} is in fact {strong}",
        )
    )


def _turned(draw: Draw, good: bool) -> str:
    """It is not dull, as others say, but brilliant; it never becomes brilliant and stays dull."""
    word, other, work, part = _word(draw, good), _word(draw, not good), draw.pick(WORKS), draw.pick(PARTS)
    name = draw.pick(_CRITICS)
    return draw.pick(
        (
            f"the {work} is not {other} but {word}",
            f"the {work} is {word}, not {other}",
            f"{name} calls the {part} {other}, but it is {word}",
            f"the {work} is {word} where it could have been {other}",
            f"the {part} is never {other}, and the {work} stays {word}",
            f"{name} was wrong to call this {work} {other}, because its {part} is {word}",
        )
    )


_FORMS: tuple[Callable[[Draw, bool], str], ...] = (_plain, _denied, _contrast, _contrast, _turned)


def review(draw: Draw, good: bool) -> str:
    """One sentence of a review, not yet capitalised, with a verdict of its own."""
    return draw.pick(_FORMS)(draw, good)
