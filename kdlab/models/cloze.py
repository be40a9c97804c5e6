"""A masked LM that answers for one hidden word of each input, at less than the cost of a whole pass."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from kdlab.models.generator import MaskedLM
from kdlab.models.last_layer import at_one_token
from kdlab.models.packed import pack_for_good


class Cloze(nn.Module):
    """A copy of a masked LM without gradients.

    Behind the last layer nobody looks at the other words, so it gives keys and values of all of them, and everything
    else for the hidden one alone. On a processor the linear layers are packed.

    Args:
        model: Moved to its device.
    """

    def __init__(self, model: MaskedLM) -> None:
        super().__init__()
        self.masked_lm = copy.deepcopy(model).eval()
        layers = getattr(self.masked_lm.model, model.family.backbone).get_submodule(model.family.layers)
        self.last: Any = layers[-1]
        del layers[-1]
        self._heads = int(model.model.config.num_attention_heads)
        pack_for_good(self)

    @torch.no_grad()
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, at: Tensor, labels: Tensor | None
    ) -> Tensor:
        """Logits of the hidden words.

        Args:
            input_ids: ``(B, T)``; the ids at hidden positions do not matter.
            attention_mask: ``(B, T)``.
            token_type_ids: ``(B, T)``.
            at: ``(B,)`` int64, the hidden position of each input.
            labels: ``(B,)`` int64 for a masked LM that was told labels.

        Returns:
            ``(B, V)`` float32.
        """
        return self.masked_lm.words(self._asked(input_ids, attention_mask, token_type_ids, at, labels))

    @torch.no_grad()
    def logits(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, at: Tensor) -> Tensor:
        """Logits of the hidden words with special tokens among them, ``(B, V)`` in the model's own precision.

        Args:
            input_ids: ``(B, T)``.
            attention_mask: ``(B, T)``.
            token_type_ids: ``(B, T)``.
            at: ``(B,)`` int64, the hidden position of each input.
        """
        return self.masked_lm.all_words(self._asked(input_ids, attention_mask, token_type_ids, at, None))

    def _asked(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, at: Tensor, labels: Tensor | None
    ) -> Tensor:
        """States of the hidden words behind the last layer, ``(B, D)``."""
        rows = torch.arange(len(at), device=at.device)
        hidden = torch.zeros_like(input_ids, dtype=torch.bool)
        hidden[rows, at] = True
        states = self.masked_lm.read(input_ids, attention_mask, token_type_ids, hidden, labels)  # (B, T, D)
        mask = attention_mask.bool()[:, None, None]
        return at_one_token(self.last, self.masked_lm.family, self._heads, states[rows, at], states, mask)
