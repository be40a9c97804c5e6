"""A text as words and what stands between them, and edits of words: what is not edited keeps its every character."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import regex

from kdlab.errors import KdlabError

_ALIGNED = 40_000  # pairs of words

WHOLE = -1
"""Position of an edit that replaces a whole text."""

# letters, digits and marks, with apostrophes and hyphens inside
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}_]+(?:['’\-][\p{L}\p{N}\p{M}_]+)*")


@dataclass(frozen=True)
class Edit:
    """One change of a text; positions are those of the source's words, whatever other edits do.

    Attributes:
        side: 0 for the first or only text of an example, 1 for the second.
        position: Number of the word from 0; ``WHOLE`` for the whole text. What is inserted stands before that word, or
            behind the last one where it is the number of words.
        old: What stood there; empty for an insertion.
        new: What stands there now; empty for a deletion.
    """

    side: int
    position: int
    old: str
    new: str


@dataclass(frozen=True)
class Words:
    """A text with the places of its words.

    A word is a run of letters, digits and marks of any script, with apostrophes and hyphens inside it; emoji and
    punctuation stand between words.

    Attributes:
        text: The text.
    """

    text: str

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each word."""
        return tuple(match.span() for match in _WORD.finditer(self.text))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words as they are written."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @cached_property
    def lower(self) -> tuple[str, ...]:
        """The words in lower case."""
        return tuple(word.lower() for word in self.words)

    def __len__(self) -> int:
        return len(self.spans)

    def edited(self, edits: Sequence[Edit]) -> str:
        """The text after edits of one side.

        Args:
            edits: At most one replacement or deletion of each word, and any insertions, which stand in their order.

        Raises:
            KdlabError: An edit does not fit the text.
        """
        if any(edit.position == WHOLE for edit in edits):
            if len(edits) > 1 or edits[0].old != self.text:
                raise KdlabError(f"An edit of the whole text '{edits[0].old[:60]}' does not fit '{self.text[:60]}'.")
            return edits[0].new
        words: list[str | None] = list(self.words)
        before: list[list[str]] = [[] for _ in range(len(words) + 1)]
        changed: set[int] = set()
        for edit in edits:
            i = edit.position
            if not edit.old and edit.new and 0 <= i <= len(words) and words:
                before[i].append(edit.new)
            elif 0 <= i < len(words) and self.words[i] == edit.old and edit.old and i not in changed:
                words[i] = edit.new or None
                changed.add(i)
            else:
                raise KdlabError(
                    f"The edit of word {i} from '{edit.old[:60]}' to '{edit.new[:60]}' does not fit '{self.text[:60]}'."
                )
        return self._joined(words, before)

    def _joined(self, words: Sequence[str | None], before: Sequence[Sequence[str]]) -> str:
        """The words with what stands between them; a word that is gone takes the blanks before it along."""
        ends = [0, *(end for _, end in self.spans)]
        starts = [*(start for start, _ in self.spans), len(self.text)]
        gaps = [self.text[end:start] for end, start in zip(ends, starts, strict=True)]
        for i, word in enumerate(words):
            if word is None and gaps[i] != gaps[i].rstrip():
                gaps[i] = gaps[i].rstrip()
            elif word is None:
                gaps[i + 1] = gaps[i + 1].lstrip()
        parts = []
        for i, word in enumerate(words):
            parts += [gaps[i], *(f"{new} " for new in before[i]), word or ""]
        return "".join([*parts, *(f" {new}" for new in before[-1]), gaps[-1]])


def apply_edits(texts: Sequence[str], edits: Sequence[Edit]) -> tuple[str, ...]:
    """The texts of an example after its edits.

    Args:
        texts: One text, or two of a pair.
        edits: Of any side.

    Raises:
        KdlabError: An edit does not fit.
    """
    if any(edit.side not in range(len(texts)) for edit in edits):
        raise KdlabError(f"There is an edit of text {max(edit.side for edit in edits) + 1}, and {len(texts)} texts.")
    return tuple(
        Words(text).edited(own) if (own := [edit for edit in edits if edit.side == side]) else text
        for side, text in enumerate(texts)
    )


def is_word(text: str) -> bool:
    """Whether a text is one word and nothing besides."""
    return _WORD.fullmatch(text) is not None


def like(old: str, new: str) -> str:
    """A word written as another one: in capitals, with a capital first, or as it is.

    Args:
        old: The word that sets the example.
        new: The word.
    """
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def edited_share(source: Sequence[str], edits: Sequence[Edit]) -> float:
    """The share of an example's words that edits replace, delete or insert; of a whole text by alignment.

    Args:
        source: Its texts.
        edits: Of any side.

    Returns:
        Edits of words over the words of the source; may be above 1 where more are inserted. 0 for a text without words.
    """
    total = sum(len(Words(text)) for text in source)
    count = 0
    for edit in edits:
        if edit.position == WHOLE:
            old, new = Words(edit.old).words, Words(edit.new).words
            count += max(len(old), len(new)) - _in_common(old, new)
        else:
            count += 1
    return count / total if total else 0.0


def _in_common(old: Sequence[str], new: Sequence[str]) -> int:
    """Words that two texts have in common: in one order, or in any where the texts are so long that that takes long."""
    if len(old) * len(new) > _ALIGNED:
        return sum((Counter(old) & Counter(new)).values())
    return sum(block.size for block in difflib.SequenceMatcher(None, old, new, False).get_matching_blocks())
