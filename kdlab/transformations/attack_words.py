"""Words of a text as TextAttack's attacks see them (``textattack/shared/utils/strings.py``, version 0.3.11, MIT).

They are not those of ``words.py``: apostrophes, hyphens, underscores, asterisks and at signs stay inside a word, and
there a few signs count as letters besides, because attacks put them in the place of letters that look like them.
"""

from __future__ import annotations

import re
from functools import lru_cache

LOOK_ALIKES = "˗৭Ȣ𝟕бƼᏎƷᒿlO`ɑЬϲԁе𝚏ɡհіϳ𝒌ⅼｍոорԛⲅѕ𝚝սѵԝ×уᴢ"
"""What stands for ``-9876543210'abcdefghijklmnopqrstuvwxyz`` in homoglyph attacks, as the library lists it."""
_INSIDE = "'-_*@"  # inside a word, never at its ends
_RUN = re.compile(rf"[\w{LOOK_ALIKES}'\-*@]+")  # `re` as in the library: `regex` has other letters
_SHORT = 40


def words_from_text(text: str) -> list[str]:
    """The words of a text, as they are written.

    Chinese is split at blanks alone; the library asks jieba for its words, and does the same where jieba fails.
    """
    if text.isascii() and text.isalnum():  # most candidates, and they are many
        return [text]
    return list(_of_word(text)) if len(text) <= _SHORT else _found(text)


@lru_cache(maxsize=1 << 16)
def _of_word(text: str) -> tuple[str, ...]:
    return tuple(_found(text))


def _found(text: str) -> list[str]:
    # The library splits at blanks and strips before it looks for runs: the same, since no run holds a blank.
    return [word for run in _RUN.findall(text) if (word := run.strip(_INSIDE))]
