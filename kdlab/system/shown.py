"""Foreign text as people may see it: no control sequence for a terminal, no markup for a page, no list without end."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format (the direction of writing), half characters, …
_MARKS = str.maketrans({c: f"&#{ord(c)};" for c in "|*`[]\\"})
_MOST = 300


def shown(text: str, keep: str = "") -> str:
    """A text for a terminal: what is no visible character is written as its escape.

    Args:
        text: Any text.
        keep: Characters that stay as they are, such as a line feed.
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep or unicodedata.category(c) not in _HIDDEN else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def marked(text: str) -> str:
    """A text for a Markdown page, where it means nothing but itself."""
    return html.escape(shown(text), quote=False).translate(_MARKS)


def clipped(text: str, most: int = _MOST) -> str:
    """A text of at most so many characters, its end cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(names: Iterable[object], most: int = _MOST) -> str:
    """Names for a message: on one line, visible, of bounded length; how many there are where not all are shown."""
    words: list[str] = []
    length = 0
    every = [str(name) for name in names]
    for name in every:
        word = clipped(shown(name), max(80, most // 2))
        length += len(word) + 2
        if length > most:
            return f"{', '.join(words)}, … ({len(every):,} in all)" if words else f"{word} … ({len(every):,} in all)"
        words.append(word)
    return ", ".join(words) or "none"
