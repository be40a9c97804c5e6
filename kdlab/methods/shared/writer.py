"""L2A's generator: a masked LM that learns to write the candidates that the selector keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdlab.augmentation.base import Source
from kdlab.augmentation.filling import Place, blank_of
from kdlab.data.examples import Examples
from kdlab.methods.shared.candidates import Pool
from kdlab.models.generator import MaskedLM
from kdlab.transformations.blanks import Hidden, Reader, padded, spellings
from kdlab.transformations.words import Words


@dataclass(frozen=True)
class Written:
    """A place in an example, and what the candidates have there.

    Attributes:
        hidden: The example as the masked LM reads it.
        words: Ids of each word's spellings.
        weights: How much each word counts.
    """

    hidden: Hidden
    words: list[list[int]]
    weights: list[float]


class Writer(nn.Module):
    """Learns ``-Σ w log P_G(z|x)`` (Feng et al. 2021, Eq. 8): each edited place is filled in the example's own context.

    ``log P_G(z|x)`` is taken as far as it depends on the weights: the logarithms of the words at their places.

    Args:
        masked_lm: What learns, with its tokenizer.
    """

    def __init__(self, masked_lm: MaskedLM) -> None:
        super().__init__()
        self.masked_lm = masked_lm
        self._ids = {word.lower(): ids for word, ids in spellings(masked_lm.tokenizer, masked_lm.vocabulary).items()}

    def places_of(self, pool: Pool, rows: Examples, weights: Tensor, max_length: int) -> list[Written]:
        """The places in which candidates differ from their rows.

        Args:
            pool: N candidates.
            rows: What they were made of.
            weights: How much each candidate counts, ``(N,)``.
            max_length: Longest input in tokens.
        """
        columns = [column for column in (rows.text, rows.text_pair) if column is not None]
        found: dict[tuple[int, Place], dict[str, float]] = {}
        for i, edits, weight in zip(pool.origin.tolist(), pool.edits, weights.tolist(), strict=True):
            for edit in edits:
                words = found.setdefault((i, (edit.side, edit.position)), {})
                words[edit.new.lower()] = words.get(edit.new.lower(), 0.0) + weight
        texts: dict[int, dict[int, Words]] = {}
        blanks = []
        for i, place in found:
            source = Source(i, tuple(column[i] for column in columns), tuple(range(len(columns))))
            own = texts.setdefault(i, {side: Words(text) for side, text in enumerate(source.texts)})
            blanks.append(blank_of(source, own, place))
        read = Reader(self.masked_lm.tokenizer, max_length).inputs(blanks)
        written = []
        for hidden, words in zip(read, found.values(), strict=True):
            known = {word: weight for word, weight in words.items() if word in self._ids}
            if hidden is not None and known:
                written.append(Written(hidden, [self._ids[word] for word in known], list(known.values())))
        return written

    @staticmethod
    def batches(places: list[Written], size: int, draw: torch.Generator | None) -> Iterator[list[Written]]:
        """All places once, in a random order that is the same in every process."""
        order = torch.randperm(len(places), generator=draw).tolist()
        for start in range(0, len(order), size):
            yield [places[i] for i in order[start : start + size]]

    def loss(self, places: list[Written]) -> Tensor:
        """``-Σ w log P(word|place) / places``; a scalar."""
        device = self.masked_lm.special.device
        ids, types, mask, at = (
            part.to(device)
            for part in padded([one.hidden for one in places], int(self.masked_lm.tokenizer.pad_token_id))
        )
        hidden = torch.zeros_like(ids, dtype=torch.bool)
        hidden[torch.arange(len(at), device=device), at] = True
        logits = self.masked_lm(ids, mask, types, hidden)  # (M, V), in the order of the rows
        logs = torch.log_softmax(logits, dim=-1)
        parts = [
            weight * logs[row, spelled].logsumexp(0)
            for row, one in enumerate(places)
            for spelled, weight in zip(one.words, one.weights, strict=True)
        ]
        return -torch.stack(parts).sum() / len(places)
