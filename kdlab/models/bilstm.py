"""A student that is no transformer: the BiLSTM of Tang et al. 2019 (arXiv:1903.12136), over a tokenizer's own ids.

The paper's network is a single-layer bidirectional LSTM whose last states of both directions go through a fully
connected layer with a ReLU, and from there to the softmax. For pairs both texts are read by the same LSTM (siamese),
and ``[a, b, a·b, |a-b|]`` of their states goes into the layer. Its words come as 300 numbers of word2vec, in two copies
of which one is trained; 150 or 300 hidden units a direction and 200 or 400 units of the layer are chosen on dev.

Here token ids of the teacher stand for words, and one table for them is drawn and trained with the rest. With 300
numbers a token, 150 hidden units and 400 units of the layer a network over BERT's 30,522 tokens has 10.2 million
weights for pairs and 9.8 million for one text; table 1 of the ``L2A`` paper (Feng et al. 2021) says 10.1 million. The
special tokens stay where the tokenizer puts them, and a dropout of 0.1, of which Tang et al. say nothing, is added.

Importing this registers the architecture with transformers' Auto classes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from kdlab.models.encoder import BILSTM

EMBEDDING, HIDDEN, CLASSIFIER = 300, 150, 400
"""The numbers of a token, the hidden units a direction, and the units of the fully connected layer."""


class BiLSTMConfig(PreTrainedConfig):  # type: ignore[misc]
    """What a BiLSTM is made of.

    Args:
        vocab_size: Rows of the table of tokens.
        embedding_size: Numbers of a token.
        hidden_size: Hidden units of each direction.
        classifier_size: Units of the fully connected layer.
        pair: Whether the inputs are pairs of texts, each of which is read alone.
        separator_token_id: The id that, twice in a row, stands between two texts (RoBERTa); None where token types
            tell them apart (BERT).
        pad_token_id: What stands behind the last token of an input; inputs are padded on the right.
        dropout: Of the states of texts, and of the fully connected layer.
        initializer_range: Standard deviation of the table of tokens at the start.
        kwargs: Labels and the like, which every configuration has.

    Raises:
        ValueError: A size, an id or ``pair`` is none.
    """

    model_type = BILSTM

    def __init__(
        self,
        vocab_size: int = 30522,
        embedding_size: int = EMBEDDING,
        hidden_size: int = HIDDEN,
        classifier_size: int = CLASSIFIER,
        pair: bool = False,
        separator_token_id: int | None = None,
        pad_token_id: int = 0,
        dropout: float = 0.1,
        initializer_range: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts = {
            "vocab_size": vocab_size,
            "embedding_size": embedding_size,
            "hidden_size": hidden_size,
            "classifier_size": classifier_size,
        }
        for name, value in counts.items():
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}: it must be 1 or more")
        for name, token in (("separator_token_id", separator_token_id), ("pad_token_id", pad_token_id)):
            if token is not None and type(token) is not int:
                raise ValueError(f"{name} is {token!r}: it must be an id, or null")
        if type(pair) is not bool:
            raise ValueError(f"pair is {pair!r}: it must be true or false")
        self.vocab_size, self.embedding_size = vocab_size, embedding_size
        self.hidden_size, self.classifier_size = hidden_size, classifier_size
        self.pair, self.separator_token_id, self.pad_token_id = pair, separator_token_id, pad_token_id
        self.dropout, self.initializer_range = dropout, initializer_range


class BiLSTM(nn.Module):
    """The table of tokens, and the LSTM that reads them."""

    def __init__(self, config: BiLSTMConfig) -> None:
        super().__init__()
        table = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)
        self.embeddings = nn.ModuleDict({"word_embeddings": table})
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True, bidirectional=True)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """The last state of each direction, side by side, in float32 whatever precision is around it.

        Args:
            words: ``(N, T, E)``; what lies behind a text's end is not read.
            lengths: Tokens of each text, at least 1, ``(N,)`` int64.

        Returns:
            ``(N, 2H)``.
        """
        if not len(words):
            return words.new_zeros(0, 2 * self.lstm.hidden_size)
        rows = pack_padded_sequence(words.float(), lengths.cpu(), batch_first=True, enforce_sorted=False)
        with torch.autocast(words.device.type, enabled=False), self._with_gradient():
            _, (last, _) = self.lstm(rows)  # (2, N, H)
        return torch.cat([last[0], last[1]], dim=-1)

    def _with_gradient(self) -> AbstractContextManager[None]:
        """Without cuDNN where it takes no gradient: through an LSTM in eval mode, which a frozen teacher is in."""
        if self.training or not torch.is_grad_enabled():
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=False, deterministic=torch.backends.cudnn.deterministic)


class BiLSTMForSequenceClassification(PreTrainedModel):  # type: ignore[misc]
    """Logits of a text, or of a pair of texts."""

    config_class = BiLSTMConfig
    base_model_prefix = "bilstm"

    def __init__(self, config: BiLSTMConfig) -> None:
        super().__init__(config)
        self.bilstm = BiLSTM(config)
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(2 * config.hidden_size * (4 if config.pair else 1), config.classifier_size)
        self.classifier = nn.Linear(config.classifier_size, config.num_labels)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The table of tokens."""
        return self.bilstm.embeddings["word_embeddings"]

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another table of tokens."""
        self.bilstm.embeddings["word_embeddings"] = value

    def _init_weights(self, module: nn.Module) -> None:
        """Normal tokens, the LSTM within ± H^-½ as PyTorch has it, linear layers after Glorot and Bengio (2010)."""
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.LSTM):
            bound = module.hidden_size**-0.5
            for weight in module.parameters():
                init.uniform_(weight, -bound, bound)
        elif isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None = None, words: Tensor | None = None) -> Tensor:
        """The words of each text from its first column on, with a mark that says where they end.

        Both are linear in what stands in the texts, and zero behind their ends. So a mixture of two inputs (MixKD)
        mixes first text with first text and second with second, place by place, and its marks are positive wherever one
        of the two has a word: the union of their masks.

        Args:
            input_ids: ``(B, T)``, padded on the right with the configuration's ``pad_token_id``.
            token_type_ids: ``(B, T)``; where they tell two texts apart.
            words: Embeddings to use instead of the look-up, ``(B, T, E)``.

        Returns:
            ``(B, T, E + 1)``, and for pairs ``(B, T, 2(E + 1))``.

        Raises:
            ValueError: Token types tell two texts apart, and there are none.
        """
        words = self.get_input_embeddings()(input_ids) if words is None else words
        places = torch.arange(input_ids.shape[1], device=input_ids.device)  # (T,)
        lengths = ((input_ids != self.config.pad_token_id) * (places + 1)).amax(1)  # (B,)
        if not self.config.pair:
            return _marked(words, lengths)
        starts = self._second_text(input_ids, token_type_ids, lengths)  # (B,)
        moved = (places + starts[:, None]).clamp(max=len(places) - 1)  # (B, T)
        second = words.gather(1, moved[..., None].expand_as(words))
        return torch.cat([_marked(words, starts), _marked(second, lengths - starts)], dim=-1)

    def _second_text(self, input_ids: Tensor, token_type_ids: Tensor | None, lengths: Tensor) -> Tensor:
        """Where the second text starts, ``(B,)``; at the end of the input where there is none."""
        separator = self.config.separator_token_id
        if separator is None:
            if token_type_ids is None:
                raise ValueError("give token_type_ids, which tell the two texts apart (return_token_type_ids=True)")
            begun = token_type_ids == 1
        else:
            begun = input_ids == separator
            begun[:, 1:] &= begun[:, :-1].clone()
            begun[:, 0] = False
        return torch.where(begun.any(1), begun.int().argmax(1), lengths)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits ``(B, C)`` of ids ``(B, T)``, or of what ``embed`` makes of them, which includes mask and types."""
        states = self.states(input_ids, attention_mask, token_type_ids, inputs_embeds)
        hidden = torch.relu(self.dense(self.dropout(states)))
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(hidden)))

    def states(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """What the fully connected layer reads, ``(B, 2H)`` or for pairs ``(B, 8H)``; arguments as for ``forward``."""
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("give either input_ids or inputs_embeds")
            ids = input_ids if attention_mask is None else input_ids.masked_fill(attention_mask == 0, self._padding)
            inputs_embeds = self.embed(ids, token_type_ids)
        texts = inputs_embeds.chunk(2, dim=-1) if self.config.pair else (inputs_embeds,)
        read = torch.cat(texts)  # (N, T, E + 1), of both texts at once
        states: Tensor = self.bilstm(read[..., :-1], (read[..., -1] > 0).sum(1).clamp(min=1))  # (N, 2H)
        if not self.config.pair:
            return states
        a, b = states.chunk(2)
        return torch.cat([a, b, a * b, (a - b).abs()], dim=-1)  # (B, 8H)

    @property
    def _padding(self) -> int:
        return int(self.config.pad_token_id)


def _marked(words: Tensor, lengths: Tensor) -> Tensor:
    """Words ``(B, T, E)`` with zeros behind a length and a mark before it, ``(B, T, E + 1)``."""
    inside = torch.arange(words.shape[1], device=words.device) < lengths[:, None]  # (B, T)
    marks = inside[..., None].to(words.dtype)
    return torch.cat([words * marks, marks], dim=-1)


AutoConfig.register(BILSTM, BiLSTMConfig)
AutoModelForSequenceClassification.register(BiLSTMConfig, BiLSTMForSequenceClassification)
