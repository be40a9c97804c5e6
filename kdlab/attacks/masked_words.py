"""A masked LM's words for a place in a text, as BAE takes them."""

from __future__ import annotations

import string
from collections.abc import Sequence

import torch
from torch import Tensor

from kdlab.attacks.passes import Inputs, Passes
from kdlab.attacks.store import Store
from kdlab.models.cloze import Cloze
from kdlab.models.generator import MaskedLM
from kdlab.transformations.attack_words import words_from_text

_LOOKED_AT = 400
"""Tokens among which the words are looked for first; all are, where that is not enough."""


class MaskedWords:
    """The most probable words, the best first.

    TextAttack takes pieces of words (``##ing``) for words and special tokens for words (``[UNK]``); in ``fixed`` both
    are left out.

    Args:
        model: The masked LM, with its tokenizer.
        max_length: Longest input in tokens; a mask that is cut off has no words.
        most: Words of a place.
        compat: Whether TextAttack's faults are kept.
        device: Where it runs.
        store: Keeps its answers; None keeps none.
        budget: Of a batch; see ``Passes``.
    """

    def __init__(
        self,
        model: MaskedLM,
        max_length: int,
        compat: bool,
        most: int = 50,
        device: torch.device | str = "cpu",
        store: Store | None = None,
        budget: tuple[int, int] | None = None,
    ) -> None:
        self.mask: str = model.tokenizer.mask_token
        self._mask_id = int(model.tokenizer.mask_token_id)
        self._cloze = Cloze(model.to(device))
        self._most, self._store = most, store
        self._passes = Passes(model.tokenizer, max_length, torch.device(device), budget)
        self._words = _readings(model, compat)
        self._looked_at = min(_LOOKED_AT, len(self._words))

    def words(self, texts: list[str]) -> list[list[str]]:
        """See ``engine.Words.words``."""
        if self._store is None:
            return self._asked(texts)

        def find(places: list[int]) -> list[bytes]:
            return ["\n".join(words).encode() for words in self._asked([texts[i] for i in places])]

        return [answer.decode().split("\n") if answer else [] for answer in self._store.answers(texts, find)]

    def _asked(self, texts: Sequence[str]) -> list[list[str]]:
        unique = list(dict.fromkeys(texts))
        ranks = self._passes.run(unique, self._ranks, self._looked_at + 1, torch.int64).tolist()
        found: dict[str, list[str]] = {}
        for text, (there, *ids) in zip(unique, ranks, strict=True):
            found[text] = self._taken(ids) if there else []
        short = [text for text, (there, *_) in zip(unique, ranks, strict=True) if there and self._is_short(found[text])]
        if short:  # most of the first tokens are no words
            every = self._passes.run(short, self._all_ranks, len(self._words) + 1, torch.int64).tolist()
            found |= {text: self._taken(ids) for text, (_, *ids) in zip(short, every, strict=True)}
        return [found[text] for text in texts]

    def _is_short(self, words: Sequence[str]) -> bool:
        return len(words) < self._most and self._looked_at < len(self._words)

    def _taken(self, ids: Sequence[int]) -> list[str]:
        words = (self._words[i] for i in ids)
        taken = []
        for word in words:
            if word is not None:
                taken.append(word)
                if len(taken) == self._most:
                    break
        return taken

    def _ranks(self, inputs: Inputs) -> Tensor:
        """Whether there is a mask, and the tokens of the best words, ``(B, 1 + L)``."""
        return self._ranked(inputs, self._looked_at)

    def _all_ranks(self, inputs: Inputs) -> Tensor:
        return self._ranked(inputs, len(self._words))

    def _ranked(self, inputs: Inputs, count: int) -> Tensor:
        hidden = inputs.ids == self._mask_id  # (B, T)
        there = hidden.any(1)
        logits = self._cloze.logits(inputs.ids, inputs.mask, inputs.types, hidden.int().argmax(1))  # (B, V)
        return torch.cat([there[:, None].long(), logits[:, : len(self._words)].topk(count, dim=1).indices], 1)


def _readings(model: MaskedLM, compat: bool) -> list[str | None]:
    """What each token stands for as a word; None for what is none."""
    tokenizer, kind = model.tokenizer, model.model.config.model_type
    special = set() if compat else set(tokenizer.all_special_ids)
    names = tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), model.vocabulary))))
    pieces = kind not in ("roberta",)
    found: list[str | None] = []
    for i, name in enumerate(names):
        if name is None or i in special or not (compat or (not name.startswith("##") if pieces else name[0] == "Ġ")):
            found.append(None)
            continue
        word = name.replace("##", "") if pieces else name.strip("Ġ")
        looked_at = (
            name if compat and not pieces else word
        )  # TextAttack's RoBERTa has a word in "Ġ,", and drops it later
        is_one = len(words_from_text(looked_at)) == 1
        found.append(word if is_one and not all(sign in string.punctuation for sign in looked_at) else None)
    return found
