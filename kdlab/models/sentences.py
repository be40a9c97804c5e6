"""A sentence encoder: any BERT-like model without a head, whose last states are averaged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from kdlab.models.checkpoint import Checkpoint
from kdlab.models.encoder import get_family


class SentenceModel(nn.Module):
    """Embeddings of texts by mean pooling.

    Args:
        model: An encoder of a known family, without a head.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.family = get_family(model.config.model_type, "The sentence encoder")

    @property
    def width(self) -> int:
        """D, of an embedding."""
        return int(self.model.config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """The mean of the states behind the last layer over the tokens, special ones included.

        Args:
            input_ids: ``(B, T)``.
            attention_mask: ``(B, T)``.
            token_type_ids: ``(B, T)``.

        Returns:
            ``(B, D)``.
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.family.segments and self.model.config.type_vocab_size >= 2:
            inputs["token_type_ids"] = token_type_ids
        states = self.model(**inputs, return_dict=True)[0]  # (B, T, D)
        weights = attention_mask[:, :, None].to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)  # type: ignore[no-any-return]


def load_sentence_model(checkpoint: Checkpoint) -> SentenceModel:
    """A sentence encoder in float32 and eval mode.

    Raises:
        KdlabError: The architecture is unknown, or the weights do not fit.
    """
    from transformers import AutoModel

    checkpoint.check()
    with torch.random.fork_rng():
        model = AutoModel.from_pretrained(checkpoint.folder, local_files_only=True, dtype=torch.float32)
    return SentenceModel(model).eval()
