"""The classification head of an encoder apart from what is below it: features in, logits out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from kdlab.models.encoder import BILSTM, TextEncoder
from kdlab.types import Batch


class Head:
    """The head of an encoder, cut where it starts, so that other features than a text's can go through it.

    ``output(hidden(features(batch)))`` are the encoder's logits. Features are the last layer's state of the first token
    (``[CLS]``) for a transformer, and what is compared of the texts for a BiLSTM. The weights stay the encoder's own.

    Args:
        encoder: Whose head.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = [encoder]  # in a list, for whoever has a head has the encoder already

    @property
    def encoder(self) -> TextEncoder:
        """Whose head."""
        return self._encoder[0]

    @property
    def output(self) -> nn.Linear:
        """The last layer, from H to C."""
        layer = self.encoder.model.classifier
        return layer if isinstance(layer, nn.Linear) else layer.out_proj

    @property
    def width(self) -> int:
        """F, the width of the features."""
        model: Any = self.encoder.model
        return int(model.dense.in_features if self._kind == BILSTM else self.encoder.config.hidden_size)

    def features(self, batch: Batch) -> Tensor:
        """What the head reads of a batch's texts, ``(B, F)``."""
        encoder, model = self.encoder, self.encoder.model
        if self._kind == BILSTM:
            return model.states(batch.input_ids, batch.attention_mask, batch.token_type_ids)  # type: ignore[no-any-return]
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if encoder.family.segments and encoder.config.type_vocab_size >= 2:
            inputs["token_type_ids"] = batch.token_type_ids
        states = getattr(model, encoder.family.backbone)(**inputs, return_dict=True).last_hidden_state  # (B, T, F)
        return states[:, 0]  # type: ignore[no-any-return]

    def hidden(self, features: Tensor) -> Tensor:
        """What the last layer reads of features ``(B, F)``, with the head's dropout where that acts, ``(B, H)``."""
        model = self.encoder.model
        if self._kind == BILSTM:
            return model.dropout(torch.relu(model.dense(model.dropout(features))))  # type: ignore[no-any-return]
        if self._kind == "distilbert":
            return model.dropout(torch.relu(model.pre_classifier(features)))  # type: ignore[no-any-return]
        if self._kind == "roberta":
            head = model.classifier
            return head.dropout(torch.tanh(head.dense(head.dropout(features))))  # type: ignore[no-any-return]
        return model.dropout(model.bert.pooler(features.unsqueeze(1)))  # type: ignore[no-any-return]

    @property
    def _kind(self) -> str:
        return str(self.encoder.config.model_type)
