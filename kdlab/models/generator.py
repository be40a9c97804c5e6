"""Generators: a masked LM of a known family, whose vocabulary-sized part runs at masked positions only."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.encoder import get_family
from kdlab.models.loading import place
from kdlab.models.weights import read_weights

# the weights of a masked-LM head by family, but for the table of words, which is that of the embeddings
HEADS = {
    "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
    "roberta": ("lm_head.dense", "lm_head.layer_norm"),
    "distilbert": ("vocab_transform", "vocab_layer_norm"),
}
BIASES = {"bert": "cls.predictions.bias", "roberta": "lm_head.bias", "distilbert": "vocab_projector.bias"}
TABLES = {
    "bert": "cls.predictions.decoder.weight",
    "roberta": "lm_head.decoder.weight",
    "distilbert": "vocab_projector.weight",
}
_OLD = {"weight": "gamma", "bias": "beta"}  # how the first checkpoints call those of a LayerNorm


class MaskedLM(nn.Module):
    """Fills in masked positions.

    Args:
        model: A ``…ForMaskedLM`` of a known family, its decoder tied to its word embeddings.
        mask_id: The mask token's id.
        special: Ids that it never fills in: padding would shift RoBERTa's positions, a separator would split the text.
        tokenizer: Turns its ids into readable text; None shows no text.
    """

    special: Tensor

    def __init__(self, model: Any, mask_id: int, special: Sequence[int], tokenizer: Any = None) -> None:
        super().__init__()
        self.model = model
        self.family = get_family(model.config.model_type, "The generator")
        self.mask_id = mask_id
        self.tokenizer = tokenizer
        self.labels: nn.Embedding | None = None
        self.register_buffer("special", torch.tensor(sorted(special), dtype=torch.long), persistent=False)

    @property
    def vocabulary(self) -> int:
        """V, the number of words."""
        return int(self.model.config.vocab_size)

    def tell_labels(self, count: int) -> None:
        """Gives it a vector for each of a task's labels, which is added to every word; at first they change nothing.

        Args:
            count: Number of labels.
        """
        words = self.model.get_input_embeddings().weight
        self.labels = nn.Embedding(count, words.shape[1], device=words.device)
        nn.init.zeros_(self.labels.weight)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        masked: Tensor,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Logits of the words at masked positions.

        Args:
            input_ids: ``(B, T)``; the ids at masked positions do not matter.
            attention_mask: ``(B, T)``.
            token_type_ids: ``(B, T)``.
            masked: ``(B, T)`` bool, M of them.
            labels: ``(B,)`` int64 for one that was told labels.

        Returns:
            ``(M, V)`` float32, rows in the order of examples, then of positions.
        """
        return self.words(self.read(input_ids, attention_mask, token_type_ids, masked, labels)[masked])

    def read(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, masked: Tensor, labels: Tensor | None
    ) -> Tensor:
        """The states behind the last layer, ``(B, T, D)``, of what ``forward`` takes."""
        inputs: dict[str, Any] = {"attention_mask": attention_mask}
        if self.family.segments and self.model.config.type_vocab_size >= 2:
            inputs["token_type_ids"] = token_type_ids
        ids = input_ids.masked_fill(masked, self.mask_id)
        if labels is None or self.labels is None:
            inputs["input_ids"] = ids
        else:
            inputs["inputs_embeds"] = self.model.get_input_embeddings()(ids) + self.labels(labels)[:, None]  # (B, T, D)
        return getattr(self.model, self.family.backbone)(**inputs, return_dict=True)[0]  # type: ignore[no-any-return]

    def words(self, states: Tensor) -> Tensor:
        """Logits of words, ``(M, D)`` to ``(M, V)`` float32."""
        return self.all_words(states).float().index_fill_(1, self.special, torch.finfo(torch.float32).min / 2)

    def all_words(self, states: Tensor) -> Tensor:
        """The masked-LM head on chosen states, special tokens among its words, ``(M, D)`` to ``(M, V)``."""
        if hasattr(self.model, "cls"):
            return self.model.cls(states)  # type: ignore[no-any-return]
        if hasattr(self.model, "lm_head"):
            return self.model.lm_head(states)  # type: ignore[no-any-return]
        states = self.model.activation(self.model.vocab_transform(states))
        return self.model.vocab_projector(self.model.vocab_layer_norm(states))  # type: ignore[no-any-return]


def has_mlm_head(checkpoint: Checkpoint) -> bool:
    """Whether the weights of a whole masked-LM head are in the checkpoint, tied to its word embeddings."""
    kind, names = checkpoint.config.model_type, checkpoint.weight_names
    if kind not in HEADS:
        return False
    parts = [(f"{part}.{end}", f"{part}.{_OLD[end]}") for part in HEADS[kind] for end in _OLD]
    return BIASES[kind] in names and all(names.intersection(pair) for pair in parts) and _is_tied(checkpoint)


def _is_tied(checkpoint: Checkpoint) -> bool:
    """Whether the head's table of words, where the file has one of its own, is that of the embeddings."""
    table = TABLES[checkpoint.config.model_type]
    if table not in checkpoint.weight_names:
        return True
    weights = read_weights(checkpoint.weight_files)
    words = next((weights[name] for name in weights if name.endswith("embeddings.word_embeddings.weight")), None)
    return words is not None and torch.equal(weights[table], words)


def check_mask_token(checkpoint: Checkpoint) -> None:
    """Raises ``KdlabError`` where it is no transformer, or its tokenizer has no mask token."""
    if checkpoint.config.model_type not in HEADS:
        raise KdlabError(f"{checkpoint.source} is a BiLSTM, which fills in no masks: give a masked LM.")
    if checkpoint.tokenizer.mask_token_id is None:
        raise KdlabError(f"The tokenizer of {checkpoint.source} has no mask token: give a masked LM as the generator.")


def load_masked_lm(checkpoint: Checkpoint, seed: int) -> MaskedLM:
    """A generator in float32; where the checkpoint has no head, one is drawn, tied to the word embeddings.

    Args:
        checkpoint: Where the weights are.
        seed: Seed of a new head; the global random state is neither used nor changed.

    Raises:
        KdlabError: The weights do not fit, or the tokenizer has no mask token.
    """
    tokenizer = checkpoint.tokenizer
    check_mask_token(checkpoint)
    config = copy.deepcopy(checkpoint.config)
    config.tie_word_embeddings = True
    config.architectures = None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, _ = place(checkpoint.folder, config, "MASKED_LM", read_weights(checkpoint.weight_files))
    return MaskedLM(model, tokenizer.mask_token_id, tokenizer.all_special_ids, tokenizer)


def readable(tokenizer: Any, before: Sequence[int], after: Sequence[int]) -> tuple[str, str]:
    """Two texts of equal length as strings, with the tokens that differ between asterisks.

    Args:
        tokenizer: Decodes the tokens; special ones are left out.
        before: Ids of the original, without padding.
        after: Ids of the changed text.
    """
    shown: tuple[list[str], list[str]] = ([], [])
    special = set(tokenizer.all_special_ids)
    words = [[tokenizer.decode([i]).strip() for i in ids] for ids in (before, after)]
    for at, (a, b) in enumerate(zip(before, after, strict=True)):
        if a in special and a == b:
            continue
        for line, word in zip(shown, (words[0][at], words[1][at]), strict=True):
            line.append(word if a == b else f"*{word}*")
    return " ".join(shown[0]), " ".join(shown[1])
