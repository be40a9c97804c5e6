"""One interface to Hugging Face encoders with a classification head: BERT (and MiniLM), RoBERTa, DistilBERT.

``kdlab/models/recurrent.py`` has the one encoder that is no transformer, as far as the interface goes.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdlab.errors import KdlabError
from kdlab.models.taps import Recorder, shifted_input
from kdlab.types import Batch, EncoderOutput, Projections, Taps


@dataclass(frozen=True)
class Family:
    """Where the parts of a Hugging Face architecture are.

    Attributes:
        backbone: Attribute of the sequence classifier that holds the encoder.
        layers: Path from the encoder to its list of layers; None where it has none that could be tapped.
        counts_from_padding: Whether positions are counted from behind the padding index, so that as many rows of the
            table are no token's (RoBERTa).
        segments: Whether ``forward`` takes token types.
        projections: Paths from a layer to the modules of its queries, keys and values; None where unknown to kdlab.
    """

    backbone: str
    layers: str | None
    counts_from_padding: bool = False
    segments: bool = True
    projections: tuple[str, str, str] | None = None

    @property
    def reads_padding(self) -> bool:
        """Whether what it makes of an input depends on which id is the padding's."""
        return self.counts_from_padding or self.layers is None


BILSTM = "kdlab_bilstm"
_SELF = ("attention.self.query", "attention.self.key", "attention.self.value")
_LIN = ("attention.q_lin", "attention.k_lin", "attention.v_lin")
FAMILIES: dict[str, Family] = {
    "bert": Family("bert", "encoder.layer", projections=_SELF),
    "roberta": Family("roberta", "encoder.layer", counts_from_padding=True, projections=_SELF),
    "distilbert": Family("distilbert", "transformer.layer", segments=False, projections=_LIN),
    BILSTM: Family("bilstm", None, segments=False),
}


def get_family(model_type: str, where: str) -> Family:
    """The family of a ``model_type`` in a Hugging Face configuration.

    Raises:
        KdlabError: kdlab does not know the architecture.
    """
    if model_type not in FAMILIES:
        raise KdlabError(
            f"{where} is of architecture '{model_type}', which kdlab does not drive: give a checkpoint of "
            f"{', '.join(name for name in FAMILIES if name != BILSTM)} (MiniLM and the like are 'bert')."
        )
    return FAMILIES[model_type]


class TextEncoder(nn.Module):
    """A sequence classifier that runs on ids or on embeddings.

    ``forward(embeddings=embed(ids, types))`` equals ``forward(ids, types)``: ``embed`` returns word plus token-type
    embedding, less the token-type row 0 that Hugging Face adds by itself where no token types are given. Positions are
    added inside ``forward``, so that two inputs can be mixed before it.

    Args:
        model: A ``…ForSequenceClassification`` of a known family.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.family = get_family(model.config.model_type, "The model")
        self.compiled: Any = None

    def compile_pass(self) -> None:
        """Compiles plain passes with torch.compile, for inputs of any length; the names of weights do not change.

        Tapped or perturbed passes are not compiled: a compiled pass ignores hooks that are added later.
        """
        self.compiled = torch.compile(self.model.forward, dynamic=True)

    @property
    def config(self) -> Any:
        """The Hugging Face configuration."""
        return self.model.config

    @property
    def depth(self) -> int:
        """Number of layers."""
        return depth_of(self.config)

    @property
    def num_outputs(self) -> int:
        """Width of the logits."""
        return int(self.config.num_labels)

    def num_parameters(self) -> int:
        """Number of weights, embeddings and head included."""
        return sum(p.numel() for p in self.parameters())

    def encoder_layers(self) -> nn.ModuleList:
        """The layers, from the first."""
        backbone = getattr(self.model, self.family.backbone)
        return backbone.get_submodule(self.family.layers or "")  # type: ignore[no-any-return]

    @property
    def word_table(self) -> Tensor:
        """The word embeddings, ``(V, D)``."""
        return getattr(self.model, self.family.backbone).embeddings.word_embeddings.weight  # type: ignore[no-any-return]

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None = None, words: Tensor | None = None) -> Tensor:
        """Word plus token-type embeddings, without positions.

        Args:
            input_ids: ``(B, T)``.
            token_type_ids: ``(B, T)``; None is segment 0 everywhere.
            words: Word embeddings to use instead of the look-up, ``(B, T, D)``.

        Returns:
            ``(B, T, D)``, to be mixed or perturbed and passed to ``forward``.
        """
        embeddings = getattr(self.model, self.family.backbone).embeddings
        if words is None:
            words = self.look_up(input_ids)
        if not self.family.segments or token_type_ids is None or self.config.type_vocab_size < 2:
            return words
        rows = embeddings.token_type_embeddings.weight  # (S, D)
        segments: Tensor = (rows - rows[0])[token_type_ids]
        return words + segments

    def look_up(self, input_ids: Tensor) -> Tensor:
        """The word embeddings of ids, ``(B, T)`` to ``(B, T, D)``."""
        return getattr(self.model, self.family.backbone).embeddings.word_embeddings(input_ids)  # type: ignore[no-any-return]

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
        """Logits, and the tapped tensors.

        Attention runs in PyTorch's fused kernel (sdpa), which returns no maps: they are computed from tapped queries
        and keys, only for the layers that need them.

        Args:
            input_ids: ``(B, T)``; give these or ``embeddings``.
            attention_mask: ``(B, T)``.
            token_type_ids: ``(B, T)``; ignored with ``embeddings``, which include them.
            embeddings: ``(B, T, D)`` from ``embed``.
            taps: Which tensors of the pass to return.
            delta: ``(B, T, D)``, added to the sum of token, position and segment embedding, before its LayerNorm.

        Raises:
            ValueError: Both or neither of ids and embeddings, or a tap that the encoder does not have.
        """
        if (input_ids is None) == (embeddings is None):
            raise ValueError("give either input_ids or embeddings")
        inputs: dict[str, Any] = {"attention_mask": attention_mask}
        if embeddings is not None:
            inputs["inputs_embeds"] = embeddings
        else:
            inputs["input_ids"] = input_ids
            if self.family.segments and self.config.type_vocab_size >= 2:
                inputs["token_type_ids"] = token_type_ids
        parts = getattr(self.model, self.family.backbone).embeddings
        with self._recorder(taps, parts) as recorder, shifted_input(parts.LayerNorm, delta):
            uncompiled = self.compiled is None or taps is not None or delta is not None
            out = (self.model if uncompiled else self.compiled)(**inputs, return_dict=True)
        heads = int(self.config.num_attention_heads)
        projections = {}
        for n in recorder.layers:
            query, key, value = (recorder["projections", n, i] for i in range(3))
            projections[n] = Projections(query, key, value, heads)
        return EncoderOutput(out.logits, {n: recorder["hidden", n, 0] for n in recorder.states}, projections)

    def _recorder(self, taps: Taps | None, embeddings: nn.Module) -> Recorder:
        """A recorder of the modules whose outputs are tapped."""
        if taps is None:
            return Recorder({}, (), ())
        for n in (*taps.hidden, *taps.projections):
            if not 0 <= n <= self.depth or (n == 0 and n in taps.projections):
                raise ValueError(f"layer {n} can't be tapped: the encoder has {self.depth}")
        layers, paths = self.encoder_layers(), self.family.projections
        watched: dict[tuple[str, int, int], nn.Module] = {
            ("hidden", n, 0): embeddings if n == 0 else layers[n - 1] for n in taps.hidden
        }
        if taps.projections and paths is None:
            raise ValueError(f"kdlab does not know where '{self.config.model_type}' keeps its queries and keys")
        for n in taps.projections:
            watched |= {("projections", n, i): layers[n - 1].get_submodule(path) for i, path in enumerate(paths or ())}
        return Recorder(watched, taps.hidden, taps.projections)

    def read(self, batch: Batch, taps: Taps | None = None, delta: Tensor | None = None) -> EncoderOutput:
        """``forward`` on a batch, with its taps and perturbation."""
        inputs = (batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return self(*inputs, taps=taps, delta=delta)  # type: ignore[no-any-return]

    def classify(self, batch: Batch) -> Tensor:
        """Logits of a clean batch, ``(B, C)``."""
        return self(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits  # type: ignore[no-any-return]


def freeze(encoder: TextEncoder) -> TextEncoder:
    """The encoder in eval mode with weights that get no gradient; gradients still flow *through* it to its input."""
    encoder.requires_grad_(False)
    encoder.eval()
    return encoder


def depth_of(config: Any) -> int:
    """The number of layers of a Hugging Face configuration that can be tapped or taken; a BiLSTM has 0."""
    return 0 if get_family(config.model_type, "The model").layers is None else int(config.num_hidden_layers)


def usable_positions(config: Any) -> int:
    """The longest input, in tokens, that a Hugging Face configuration has positions for; a BiLSTM reads any."""
    family = get_family(config.model_type, "The model")
    if family.layers is None:
        return sys.maxsize
    unused = int(config.pad_token_id) + 1 if family.counts_from_padding else 0
    return int(config.max_position_embeddings) - unused


def parameter_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of the sequence classifier of a configuration, without allocating it."""
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def count_parameters(config: Any) -> int:
    """Number of weights of the sequence classifier of a configuration, without allocating it."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())
