"""The last layer of an encoder for one token of each input.

Behind it nobody looks at the other tokens, where a head reads the first one alone or a hidden word is asked for. So it
gives keys and values of all of them, and everything else for that one: a sixth of its products are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from kdlab.models.encoder import Family, TextEncoder


def at_one_token(layer: Any, family: Family, heads: int, asked: Tensor, states: Tensor, mask: Tensor | None) -> Tensor:
    """What a layer gives for one token of each input, in eval mode.

    Args:
        layer: Of a family with known projections.
        family: Its family.
        heads: Of its attention.
        asked: States of the token before the layer, ``(B, D)``.
        states: Those of all tokens, ``(B, T, D)``.
        mask: Of the tokens that are attended to, to be broadcast to ``(B, H, 1, T)``; None for all.

    Returns:
        ``(B, D)``.
    """
    projections = [layer.get_submodule(path) for path in family.projections or ()]
    query, key, value = (
        project(inputs).unflatten(-1, (heads, -1)).transpose(1, 2)
        for project, inputs in zip(projections, (asked[:, None], states, states), strict=True)
    )
    context = nn.functional.scaled_dot_product_attention(query, key, value, mask)  # (B, H, 1, D / H)
    context = context.flatten(1)
    if family.segments:  # BERT and RoBERTa
        asked = layer.attention.output(context, asked)
        return layer.output(layer.intermediate(asked), asked)  # type: ignore[no-any-return]
    asked = layer.sa_layer_norm(layer.attention.out_lin(context) + asked)
    return layer.output_layer_norm(layer.ffn.ff_chunk(asked) + asked)  # type: ignore[no-any-return]


@contextmanager
def first_token_alone(encoder: TextEncoder) -> Iterator[None]:
    """A classifier in eval mode whose last layer answers for the first token alone, for as long as this lasts.

    The heads of all families look at no other one. What has no layers that kdlab knows, or is compiled, stays as it is.
    """
    family = encoder.family
    if family.projections is None or encoder.compiled is not None or encoder.training:
        yield
        return
    last: Any = encoder.encoder_layers()[-1]
    heads = int(encoder.config.num_attention_heads)

    def forward(states: Tensor, attention_mask: Tensor | None = None, *others: Any, **named: Any) -> Tensor:
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        return at_one_token(last, family, heads, states[:, 0], states, mask)[:, None]

    before = vars(last).get("forward")
    last.forward = forward
    try:
        yield
    finally:
        if before is None:
            del last.forward
        else:
            last.forward = before
