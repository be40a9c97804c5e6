"""Places in texts that a masked LM is asked about, as it reads them, and the words that it may answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdlab.errors import KdlabError
from kdlab.transformations.words import Words

_AROUND = 100  # words on each side of a place that are tokenised with it


@dataclass(frozen=True)
class Blank:
    """A place that is to be filled.

    Attributes:
        words: The text.
        position: Number of the word that is hidden.
        before: A text that is read before it; empty for none.
        after: A text that is read behind it; empty for none.
        label: Of the example, for a masked LM that was told labels; -1 for none.
    """

    words: Words
    position: int
    before: str = ""
    after: str = ""
    label: int = -1


@dataclass(frozen=True)
class Hidden:
    """What the model reads for a place.

    Attributes:
        ids: Of the tokens, the mask among them.
        types: Their segments.
        at: Where the hidden word is.
    """

    ids: list[int]
    types: list[int]
    at: int


class Reader:
    """Makes inputs of places: the mask with as much around it as fits, and as much of the other text as is left.

    Args:
        tokenizer: A fast tokenizer.
        max_length: Longest input in tokens.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.mask: str = tokenizer.mask_token
        self._mask_id = int(tokenizer.mask_token_id)
        self.pad = int(tokenizer.pad_token_id)
        self.max_length = max_length
        own = tokenizer.backend_tokenizer
        self._core = type(own).from_str(own.to_str())  # without what others set there: truncation, padding
        self._core.no_truncation()
        self._core.no_padding()
        self._single = self._frame(self._core.encode(self.mask))
        self._pair = self._frame(self._core.encode(self.mask, self.mask))

    def inputs(self, blanks: Sequence[Blank]) -> list[Hidden | None]:
        """The input of each place; None where the tokenizer makes something else of the mask."""
        hidden = [_hidden(blank, self.mask) for blank in blanks]
        others = list(dict.fromkeys(text for blank in blanks for text in (blank.before, blank.after) if text))
        own = self._core.encode_batch([text for text, _ in hidden], add_special_tokens=False)
        read = dict(
            zip(others, self._core.encode_batch([_whole(t) for t in others], add_special_tokens=False), strict=True)
        )
        return [
            self._input(encoded, start, read.get(blank.before), read.get(blank.after))
            for blank, (_, start), encoded in zip(blanks, hidden, own, strict=True)
        ]

    def _input(self, own: Any, start: int, before: Any, after: Any) -> Hidden | None:
        other = before or after
        frame = self._pair if other else self._single
        room = self.max_length - sum(map(len, frame[0]))
        at, ids = own.char_to_token(start), own.ids
        if at is None or ids[at] != self._mask_id:
            return None
        first, last = _window(at, len(ids), room if other is None else max(room - len(other.ids), (room + 1) // 2))
        ids, at = ids[first:last], at - first
        if other is None:
            parts = [ids]
        else:
            rest = other.ids[: room - len(ids)]
            parts, at = ([rest, ids], at + len(rest)) if before else ([ids, rest], at)
        found, types = list(frame[0][0]), [frame[1][0]] * len(frame[0][0])
        at += len(found) + (len(frame[0][1]) if before else 0)
        for part, fixed, kind, kind_behind in zip(parts, frame[0][1:], frame[2], frame[1][1:], strict=True):
            found += [*part, *fixed]
            types += [kind] * len(part) + [kind_behind] * len(fixed)
        return Hidden(found, types, at)

    def _frame(self, encoded: Any) -> tuple[list[list[int]], list[int], list[int]]:
        """Special ids before, between and behind texts, their segments, and the texts' segments."""
        fixed: list[list[int]] = [[]]
        kinds, texts = [0], []
        for token, kind, sequence in zip(encoded.ids, encoded.type_ids, encoded.sequence_ids, strict=True):
            if sequence is None:
                fixed[-1].append(token)
                kinds[-1] = kind
            else:
                texts.append(kind)
                fixed.append([])
                kinds.append(0)
        return fixed, kinds, texts


def padded(inputs: Sequence[Hidden], pad: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs as one batch: ids, segments and mask, each ``(M, T)``, and the hidden positions ``(M,)``.

    Args:
        inputs: M of them.
        pad: Id of padding.
    """
    width = max(len(one.ids) for one in inputs)
    ids = torch.tensor([one.ids + [pad] * (width - len(one.ids)) for one in inputs])
    types = torch.tensor([one.types + [0] * (width - len(one.types)) for one in inputs])
    mask = torch.tensor([[1] * len(one.ids) + [0] * (width - len(one.ids)) for one in inputs])
    return ids, types, mask, torch.tensor([one.at for one in inputs])


def spellings(tokenizer: Any, size: int) -> dict[str, list[int]]:
    """The tokens that are words on their own, letters alone, by word; one that is spelled in several ways stands once.

    Args:
        tokenizer: A fast tokenizer, by whose kind words are told from pieces: WordPiece (``##`` inside a word),
            byte-level BPE (``Ġ`` before one), SentencePiece (``▁`` before one), or whole words alone.
        size: Rows of the model's table of words.

    Raises:
        KdlabError: It is of another kind, or has no such token.
    """
    about = json.loads(tokenizer.backend_tokenizer.to_str())
    kind, parts = about["model"]["type"], json.dumps([about.get("pre_tokenizer"), about.get("decoder")])
    mark = "Ġ" if '"ByteLevel"' in parts else "▁" if '"Metaspace"' in parts else ""
    if not mark and kind not in ("WordPiece", "WordLevel"):
        raise KdlabError(
            f"kdlab can't tell words from pieces in the tokenizer of the masked LM ({kind}): give another one by "
            "masked_lm.source."
        )
    names = tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), size))))
    special = set(tokenizer.all_special_ids)
    found: dict[str, list[int]] = {}
    first: dict[str, str] = {}
    for i, name in enumerate(names):
        if i in special or name is None or not name.startswith(mark):
            continue
        word = tokenizer.convert_tokens_to_string([name]).strip() if mark else name
        if word.isalpha():
            found.setdefault(first.setdefault(word.lower(), word), []).append(i)
    if not found:
        raise KdlabError("The tokenizer of the masked LM has no whole words: give another one by masked_lm.source.")
    return found


def _window(at: int, length: int, room: int) -> tuple[int, int]:
    """The part of a text of this length that has a place in its middle, as far as the text reaches."""
    if length <= room:
        return 0, length
    first = min(max(at - room // 2, 0), length - room)
    return first, first + room


def _whole(text: str) -> str:
    """The text with question marks for half characters, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _hidden(blank: Blank, mask: str) -> tuple[str, int]:
    """The text around a place with the mask in it, and where the mask starts."""
    words, i = blank.words, blank.position
    start, end = words.spans[i]
    first, last = max(i - _AROUND, 0), min(i + _AROUND, len(words) - 1)
    left = _whole(words.text[words.spans[first][0] if first else 0 : start])
    right = _whole(words.text[end : words.spans[last][1] if last < len(words) - 1 else len(words.text)])
    return f"{left}{mask}{right}", len(left)
