"""A sentence encoder that says how near the meanings of two texts are."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import torch
from torch import Tensor

from kdlab.attacks.passes import Inputs, Passes
from kdlab.attacks.store import Store
from kdlab.models.packed import pack
from kdlab.models.sentences import SentenceModel

_BETWEEN = "\0"
_FORMAT = "<d"


class SentenceEncoder:
    """Cosines of embeddings.

    Args:
        model: The encoder; it is packed for good.
        tokenizer: Its own.
        max_length: Longest input in tokens.
        device: Where it runs.
        store: Keeps its answers; None keeps none.
        budget: Of a batch; see ``Passes``.
    """

    def __init__(
        self,
        model: SentenceModel,
        tokenizer: object,
        max_length: int,
        device: torch.device | str = "cpu",
        store: Store | None = None,
        budget: tuple[int, int] | None = None,
    ) -> None:
        self._model = model.to(device).eval()
        pack(self._model)
        self._passes = Passes(tokenizer, max_length, torch.device(device), budget)
        self._dtype = next(model.parameters()).dtype
        self._store = store

    def cosines(self, pairs: list[tuple[str, str]]) -> Tensor:
        """See ``engine.Sentences.cosines``."""
        if self._store is None:
            return self._asked(pairs)

        def find(places: list[int]) -> list[bytes]:
            return [struct.pack(_FORMAT, value) for value in self._asked([pairs[i] for i in places]).tolist()]

        answers = self._store.answers([_BETWEEN.join(pair) for pair in pairs], find)
        return torch.tensor([struct.unpack(_FORMAT, answer)[0] for answer in answers], dtype=self._dtype)

    def _asked(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        unique = list(dict.fromkeys(text for pair in pairs for text in pair))
        number = {text: i for i, text in enumerate(unique)}
        embeddings = self._passes.run(unique, self._embed, self._model.width, self._dtype)
        first, second = (embeddings[[number[pair[side]] for pair in pairs]] for side in (0, 1))
        return torch.nn.functional.cosine_similarity(first, second)

    def _embed(self, inputs: Inputs) -> Tensor:
        return self._model(inputs.ids, inputs.mask, inputs.types)  # type: ignore[no-any-return]
