"""Forward passes over many texts: tokenised, sorted by length, cut into batches within a budget of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdlab.evaluation.halves import in_halves, shares_cores
from kdlab.transformations.packing import batches

_BUDGET = {"cpu": (1024, 128), "cuda": (16384, 1024)}
"""Tokens of a batch, padding included, and rows; a processor is fastest while a batch stays in its cache."""
_OF_A_BATCH = 64  # tokens that take as long as a batch more
_FOR_ONE = 128  # tokens that are not worth sharing
AT_ONCE = 4096
"""Texts whose tokens are held at a time."""


@dataclass(frozen=True)
class Inputs:
    """Texts as a model reads them, ``(B, T)`` each.

    Attributes:
        ids: Of the tokens.
        mask: 1 where there is a token.
        types: Segments.
    """

    ids: Tensor
    mask: Tensor
    types: Tensor


class Passes:
    """Reads texts in batches of near-equal length.

    Args:
        tokenizer: A fast tokenizer.
        max_length: Longest input in tokens; what is longer is cut, the longer text of a pair first.
        device: Where the model runs.
        budget: Tokens of a batch, padding included, and rows; None takes what is fastest on the device.
    """

    def __init__(
        self, tokenizer: Any, max_length: int, device: torch.device, budget: tuple[int, int] | None = None
    ) -> None:
        own = tokenizer.backend_tokenizer
        self._core = type(own).from_str(own.to_str())  # without what others set there: truncation, padding
        self._core.no_padding()
        self._core.enable_truncation(max_length)
        self._pad = int(tokenizer.pad_token_id)
        self.device = device
        self._budget = budget or _BUDGET["cpu" if device.type == "cpu" else "cuda"]

    def run(
        self, texts: Sequence[str | tuple[str, ...]], answer: Callable[[Inputs], Tensor], width: int, dtype: torch.dtype
    ) -> Tensor:
        """The model's answers, in the order of the texts.

        Args:
            texts: N texts or pairs of texts.
            answer: Inputs to ``(B, width)``, called without gradients, by two threads where a processor's cores are
                shared out.
            width: Of an answer.
            dtype: Of an answer.

        Returns:
            ``(N, width)`` on the CPU.
        """
        found = torch.empty(len(texts), width, dtype=dtype)
        for start in range(0, len(texts), AT_ONCE):
            groups = list(self._groups(texts[start : start + AT_ONCE]))
            answers = self._answers([inputs for _, inputs in groups], answer)
            for (rows, _), part in zip(groups, answers, strict=True):
                found[[start + row for row in rows]] = part.cpu()
        return found

    def _answers(self, parts: Sequence[Inputs], answer: Callable[[Inputs], Tensor]) -> list[Tensor]:
        """What the model says of batches, without gradients."""
        if shares_cores(self.device) and len(parts) > 1:
            return in_halves(answer, parts)
        with torch.no_grad():
            return [answer(part) for part in parts]

    def _groups(self, texts: Sequence[str | tuple[str, ...]]) -> Iterator[tuple[list[int], Inputs]]:
        """Positions and inputs of batches, the longest first, so that a device's memory is asked for once."""
        encoded = self._core.encode_batch_fast([_whole(text) for text in texts])
        ids, types = [one.ids for one in encoded], [one.type_ids for one in encoded]
        lengths = [len(one) for one in ids]
        budget, most = self._budget
        if shares_cores(self.device):
            budget = _for_two(lengths, budget)
        for rows in batches(lengths, budget, most, _OF_A_BATCH):
            width = len(ids[rows[0]])
            yield (
                rows,
                Inputs(
                    self._tensor([ids[i] + [self._pad] * (width - len(ids[i])) for i in rows]),
                    self._tensor([[1] * len(ids[i]) + [0] * (width - len(ids[i])) for i in rows]),
                    self._tensor([types[i] + [0] * (width - len(ids[i])) for i in rows]),
                ),
            )

    def _tensor(self, rows: list[list[int]]) -> Tensor:
        return torch.tensor(rows).to(self.device)


def _for_two(lengths: Sequence[int], budget: int) -> int:
    """A budget, as large as the one given at most, by which two threads get about the same; rounds may be small."""
    total = sum(lengths)
    if total <= _FOR_ONE:
        return budget
    parts = 2 * math.ceil(total / (2 * budget))
    return min(budget, math.ceil(total / parts) + max(lengths))


def _whole(text: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The text with question marks for half characters, which no tokenizer takes; one of one as it is."""
    if isinstance(text, str):
        return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    parts = tuple(str(_whole(part)) for part in text)
    return parts if len(parts) > 1 else parts[0]
