"""A BiLSTM as a student: behind the interface of encoders, and drawn anew for a teacher's tokenizer."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from kdlab.errors import KdlabError
from kdlab.models.bilstm import BiLSTMConfig, BiLSTMForSequenceClassification
from kdlab.models.encoder import BILSTM, TextEncoder
from kdlab.types import EncoderOutput, Taps


class BiLSTMEncoder(TextEncoder):
    """A BiLSTM behind the interface of encoders, as far as it goes: it has no layers, no attention and no positions."""

    def compile_pass(self) -> None:
        """Nothing is compiled: PyTorch runs an LSTM as one operation already."""

    def encoder_layers(self) -> nn.ModuleList:
        """None."""
        return nn.ModuleList()

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None = None, words: Tensor | None = None) -> Tensor:
        """The words of each text with its marks, ``(B, T, E + 1)`` or for pairs ``(B, T, 2(E + 1))``, to be mixed."""
        return self.model.embed(input_ids, token_type_ids, words)  # type: ignore[no-any-return]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        embeddings: Tensor | None = None,
        taps: Taps | None = None,
        delta: Tensor | None = None,
    ) -> EncoderOutput:
        """Logits of ids, or of embeddings, which include mask and token types.

        Raises:
            ValueError: Both or neither of ids and embeddings.
            KdlabError: Layers are to be tapped, or the embeddings perturbed.
        """
        if (input_ids is None) == (embeddings is None):
            raise ValueError("give either input_ids or embeddings")
        if (taps is not None and (taps.hidden or taps.projections)) or delta is not None:
            raise KdlabError(
                "A BiLSTM has no layers to tap and no embeddings to perturb: take a student of layers (--student "
                "layers:bottom:3), or a method that reads logits alone, such as kd."
            )
        return EncoderOutput(self.model(input_ids, attention_mask, token_type_ids, embeddings).logits)


def wrap(model: Any) -> TextEncoder:
    """A sequence classifier of a known family behind the interface of encoders."""
    return BiLSTMEncoder(model) if model.config.model_type == BILSTM else TextEncoder(model)


def bilstm_config(hidden: int, rows: int, tokenizer: Any, pair: bool, source: str) -> BiLSTMConfig:
    """The configuration of a new BiLSTM that reads what a tokenizer makes of texts.

    Args:
        hidden: Hidden units of each direction.
        rows: Rows of the table of tokens.
        tokenizer: Of the teacher.
        pair: Whether the inputs are pairs of texts.
        source: What the user calls the tokenizer's checkpoint.

    Raises:
        KdlabError: Neither token types nor two separators in a row tell the texts of a pair apart.
    """
    separator = None
    if pair:
        made = tokenizer("a", "b", return_token_type_ids=True, verbose=False)
        separator, ids = tokenizer.sep_token_id, made["input_ids"]
        if 1 in made["token_type_ids"]:
            separator = None
        elif separator is None or (separator, separator) not in itertools.pairwise(ids):
            raise KdlabError(
                f"The tokenizer of {source} puts neither token types nor two separators between the texts of a pair, "
                "and a BiLSTM reads each of them alone: take a teacher of the BERT or RoBERTa family."
            )
    return BiLSTMConfig(
        vocab_size=rows,
        hidden_size=hidden,
        pair=pair,
        separator_token_id=separator,
        pad_token_id=tokenizer.pad_token_id,
    )


def new_bilstm(config: BiLSTMConfig, seed: int) -> TextEncoder:
    """A BiLSTM whose weights are drawn from a seed; the global random state is neither used nor changed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BiLSTMEncoder(BiLSTMForSequenceClassification(config))
