"""A masked LM asked for words in many places at once, in batches that depend on what is asked and on nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdlab.errors import KdlabError
from kdlab.models.cloze import Cloze
from kdlab.models.generator import MaskedLM
from kdlab.transformations.packing import batches
from kdlab.transformations.words import Words

_BATCH = {"cpu": (1024, 128), "cuda": (8192, 512)}
"""Tokens of a batch, padding included, and rows, which have the logits of a whole vocabulary; a processor is fastest
while a batch stays in its cache."""
_OF_A_BATCH = 64  # tokens that take as long as a batch more
_AT_ONCE = 4096  # places whose inputs are held at a time
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
class Guess:
    """A word for a place.

    Attributes:
        word: The word.
        log_prob: Natural logarithm of its probability among all words that may stand there, all its spellings together.
    """

    word: str
    log_prob: float


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


class Filler:
    """Fills places with whole words.

    Args:
        model: The masked LM, with its tokenizer.
        max_length: Longest input in tokens; what is farther from the place, and the other text of a pair, is cut.
        device: Where it runs.

    Raises:
        KdlabError: Its tokenizer has no words that are told from pieces.
    """

    def __init__(self, model: MaskedLM, max_length: int, device: torch.device | str = "cpu") -> None:
        self._cloze = Cloze(model.to(device))
        self.vocabulary = model.vocabulary
        self.max_length = max_length
        self.device = device
        self._batch = _BATCH["cpu" if torch.device(device).type == "cpu" else "cuda"]
        self._reader = Reader(model.tokenizer, max_length)
        self.arrange(spellings(model.tokenizer, model.vocabulary))

    def arrange(self, spelled: Mapping[str, Sequence[int]]) -> None:
        """Says which tokens are taken, and as which words: those of ``spellings``, or some of them."""
        self.words = list(spelled)
        self._number = {word.lower(): i for i, word in enumerate(self.words)}
        widest = max(map(len, spelled.values()))
        rows = [[*ids, *[ids[0]] * (widest - len(ids))] for ids in spelled.values()]
        more = [[False] * len(ids) + [True] * (widest - len(ids)) for ids in spelled.values()]
        self._ids = torch.tensor(rows, device=self.device)  # (W, S)
        self._repeated = torch.tensor(more, device=self.device)

    def knows(self, word: str) -> bool:
        """Whether a word is one token of its own, in any spelling."""
        return word.lower() in self._number

    def best(self, blanks: Sequence[Blank], most: int) -> list[list[Guess]]:
        """The most probable words of each place, the best first.

        Args:
            blanks: N places.
            most: How many words of each.
        """
        found: list[list[Guess]] = [[] for _ in blanks]
        for places, logits in self._asked(blanks, 1.0, False):
            top = logits.topk(min(most, len(self.words)), dim=1)
            log_probs = top.values - logits.logsumexp(1, keepdim=True)
            for place, values, numbers in zip(places, log_probs.tolist(), top.indices.tolist(), strict=True):
                found[place] = [Guess(self.words[i], v) for i, v in zip(numbers, values, strict=True)]
        return found

    def drawn(
        self, blanks: Sequence[Blank], chances: Sequence[Sequence[float]], temperature: float
    ) -> list[list[Guess]]:
        """Words drawn from the distribution of each place over all words but the one that stands there.

        Args:
            blanks: N places.
            chances: For each place a number in [0, 1) for each word that is drawn of it.
            temperature: What logits are divided by.
        """
        found: list[list[Guess]] = [[] for _ in blanks]
        for places, logits in self._asked(blanks, temperature, True):
            for place, logs in zip(places, torch.log_softmax(logits, dim=1).cpu().numpy(), strict=True):
                sums = np.exp(logs.astype(np.float64)).cumsum()  # (W,)
                numbers = np.searchsorted(sums, np.asarray(chances[place]) * sums[-1], side="right")
                found[place] = [Guess(self.words[int(i)], float(logs[i])) for i in numbers]
        return found

    def _asked(self, blanks: Sequence[Blank], temperature: float, others: bool) -> Iterator[tuple[list[int], Tensor]]:
        """Places of a batch and the logits ``(M, W)`` of their words, of others than the old, as asked."""
        for start in range(0, len(blanks), _AT_ONCE):
            some = blanks[start : start + _AT_ONCE]
            read = self._reader.inputs(some)
            kept = [i for i, one in enumerate(read) if one is not None]
            inputs = [one for one in read if one is not None]
            for places in batches([len(one.ids) for one in inputs], *self._batch, _OF_A_BATCH):
                group = [kept[place] for place in places]
                logits = self._logits([inputs[place] for place in places], [some[i].label for i in group])
                if temperature != 1:
                    logits = logits / temperature
                if self._ids.shape[1] == 1:
                    logits = logits.index_select(1, self._ids[:, 0])
                else:
                    logits = logits[:, self._ids].masked_fill(self._repeated, -torch.inf).logsumexp(2)
                for row, i in enumerate(group if others else ()):
                    old = self._number.get(some[i].words.lower[some[i].position])
                    if old is not None:
                        logits[row, old] = -torch.inf
                yield [start + i for i in group], logits

    def _logits(self, inputs: Sequence[Hidden], labels: Sequence[int]) -> Tensor:
        """Logits of the hidden words, ``(M, V)`` float32."""
        ids, types, mask, at = (part.to(self.device) for part in padded(inputs, self._reader.pad))
        told = None if min(labels) < 0 else torch.tensor(labels, device=self.device)
        logits: Tensor = self._cloze(ids, mask, types, at, told)
        return logits


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


def _window(at: int, length: int, room: int) -> tuple[int, int]:
    """The part of a text of this length that has a place in its middle, as far as the text reaches."""
    if length <= room:
        return 0, length
    first = min(max(at - room // 2, 0), length - room)
    return first, first + room


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
