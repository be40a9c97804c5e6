"""Typing errors: one character of a word changed, as TextAttack's word swaps change it (version 0.3.11, MIT).

Each change comes twice: all the new words it makes of a word, and one of them by chance. Chance is drawn in the order
of ``textattack/transformations/word_swaps/word_swap_*.py``: the place first (``low + draw.below(high - low)`` for
``np.random.randint(low, high)``), then the letter. It is drawn even where the new word is the old one, which is left
out, as the library leaves it out later. A word of one character stays as it is.
"""

from __future__ import annotations

import string
from collections.abc import Callable

from kdlab.system.draw import Draw

LETTERS = string.ascii_letters

_KEYS = """
    q:was w:qeasd e:wsdfr r:edfgt t:rfghy y:tghju u:yhjki i:ujklo o:iklp p:ol
    a:qwszx s:qweadzx d:werfcxs f:ertgvcd g:rtyhbvd h:tyugjbn j:yuikmnh k:uiolmj l:iopk
    z:asx x:sdzc c:xdfv v:cfgb b:vghn n:bhjm m:njk
    """
_ADJACENT = {pair[0]: tuple(pair[2:]) for pair in _KEYS.split()}
"""Keys and those beside them, as ``word_swap_qwerty.py`` lists them: not always both ways, and ``q`` has an ``s``."""


def neighbour_swaps(word: str, skip_ends: bool = False) -> list[str]:
    """Two characters that stand side by side change places.

    Args:
        word: The word.
        skip_ends: Whether the first and the last character stay.
    """
    return _all(word, _swap_places(word, skip_ends), _swapped)


def one_neighbour_swap(word: str, draw: Draw, skip_ends: bool = False) -> list[str]:
    """One of ``neighbour_swaps``; none where there are none, or where both characters are the same."""
    return _one(word, _swap_places(word, skip_ends), draw, _swapped)


def deletions(word: str, skip_ends: bool = False) -> list[str]:
    """A character is left out.

    Args:
        word: The word.
        skip_ends: Whether the first and the last character stay.
    """
    return _all(word, _places(word, skip_ends), _without)


def one_deletion(word: str, draw: Draw, skip_ends: bool = False) -> list[str]:
    """One of ``deletions``; none where there are none."""
    return _one(word, _places(word, skip_ends), draw, _without)


def insertions(word: str, draw: Draw, skip_ends: bool = False) -> list[str]:
    """A letter by chance before each character; none is ever put behind the last.

    Args:
        word: The word.
        draw: Chance, one letter a place.
        skip_ends: Whether nothing is put before the first and the last character.
    """
    return _all(word, _places(word, skip_ends), lambda word, i: word[:i] + draw.pick(LETTERS) + word[i:])


def one_insertion(word: str, draw: Draw, skip_ends: bool = False) -> list[str]:
    """A letter by chance at a place by chance."""
    return _one(word, _places(word, skip_ends), draw, lambda word, i: word[:i] + draw.pick(LETTERS) + word[i:])


def substitutions(word: str, draw: Draw) -> list[str]:
    """A letter by chance in the place of each character; the library has no way to keep the ends.

    Args:
        word: The word.
        draw: Chance, one letter a place.
    """
    return _all(word, _places(word, False), lambda word, i: word[:i] + draw.pick(LETTERS) + word[i + 1 :])


def one_substitution(word: str, draw: Draw) -> list[str]:
    """A letter by chance in the place of a character by chance; none where it is that character."""
    return _one(word, _places(word, False), draw, lambda word, i: word[:i] + draw.pick(LETTERS) + word[i + 1 :])


def qwerty(word: str, skip_ends: bool = False) -> list[str]:
    """A letter gives way to one beside it on the keyboard, each of them in turn.

    Args:
        word: The word.
        skip_ends: Whether the first and the last character stay. A word of three then stays as it is, though its
            middle letter might go: so the library counts.
    """
    return [f"{word[:i]}{key}{word[i + 1 :]}" for i in _key_places(word, skip_ends) for key in adjacent_keys(word[i])]


def one_qwerty(word: str, draw: Draw, skip_ends: bool = False) -> list[str]:
    """One of ``qwerty``; none where the character at the place that chance chose is no letter of the keyboard."""
    places = _key_places(word, skip_ends)
    if not places:
        return []
    i = places[draw.below(len(places))]
    keys = adjacent_keys(word[i])
    return [f"{word[:i]}{draw.pick(keys)}{word[i + 1 :]}"] if keys else []


def adjacent_keys(letter: str) -> tuple[str, ...]:
    """The letters beside a letter on the keyboard, in its case; none for what is no letter from a to z."""
    keys = _ADJACENT.get(letter.lower(), ())
    return tuple(key.upper() for key in keys) if letter.isupper() else keys


def _places(word: str, skip_ends: bool) -> range:
    return range(int(skip_ends), len(word) - int(skip_ends)) if len(word) > 1 else range(0)


def _swap_places(word: str, skip_ends: bool) -> range:
    """Places of the first of two characters."""
    return range(int(skip_ends), len(word) - 1 - int(skip_ends))


def _key_places(word: str, skip_ends: bool) -> range:
    """As the library counts: where one place would be left there is none."""
    places = _places(word, skip_ends)
    return places if len(places) > 1 else range(0)


def _swapped(word: str, i: int) -> str:
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _without(word: str, i: int) -> str:
    return word[:i] + word[i + 1 :]


def _all(word: str, places: range, changed: Callable[[str, int], str]) -> list[str]:
    return [new for new in [changed(word, i) for i in places] if new != word]


def _one(word: str, places: range, draw: Draw, changed: Callable[[str, int], str]) -> list[str]:
    if not places:
        return []
    new = changed(word, places[draw.below(len(places))])
    return [new] if new != word else []
