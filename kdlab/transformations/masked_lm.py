"""A masked LM asked for words in many places at once, in batches that depend on what is asked and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdlab.models.cloze import Cloze
from kdlab.models.generator import MaskedLM
from kdlab.transformations.blanks import Blank, Hidden, Reader, padded, spellings
from kdlab.transformations.packing import batches

_BATCH = {"cpu": (1024, 128), "cuda": (8192, 512)}
"""Tokens of a batch, padding included, and rows, which have the logits of a whole vocabulary; a processor is fastest
while a batch stays in its cache."""
_OF_A_BATCH = 64  # tokens that take as long as a batch more
_AT_ONCE = 4096  # places whose inputs are held at a time


@dataclass(frozen=True)
class Guess:
    """A word for a place.

    Attributes:
        word: The word.
        log_prob: Natural logarithm of its probability among all words that may stand there, all its spellings together.
    """

    word: str
    log_prob: float


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
