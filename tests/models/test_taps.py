"""Tapped tensors equal what Hugging Face returns itself, and ``delta`` is added to the sum of the embeddings."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from helpers import FAMILIES, tiny_batch, tiny_encoder
from torch import nn

from kdlab.models.encoder import TextEncoder
from kdlab.ops.attention import attention_scores
from kdlab.types import Taps

EVERYTHING = Taps(hidden=(0, 1, 2, 3), projections=(1, 2, 3))
PRECISIONS = [None, torch.bfloat16]


def inputs_of(encoder, batch) -> dict[str, torch.Tensor]:
    """What the Hugging Face model takes."""
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    return inputs | ({"token_type_ids": batch.token_type_ids} if encoder.family.segments else {})


@pytest.mark.parametrize("family", FAMILIES)
def test_taps_are_hugging_faces_own_states_and_maps(family):
    encoder, batch = tiny_encoder(family, layers=3), tiny_batch()
    output = encoder.read(batch, EVERYTHING)
    eager = copy.deepcopy(encoder.model)
    eager.set_attn_implementation("eager")
    theirs = eager(**inputs_of(encoder, batch), output_hidden_states=True, output_attentions=True, return_dict=True)
    torch.testing.assert_close(output.logits, theirs.logits, atol=1e-5, rtol=0)
    tokens = batch.attention_mask.bool()
    for n in range(4):
        torch.testing.assert_close(output.hidden[n][tokens], theirs.hidden_states[n][tokens], atol=1e-5, rtol=0)
    for n in (1, 2, 3):
        projections = output.projections[n]
        scores = attention_scores(projections.query, projections.key, projections.heads)
        maps = scores.masked_fill(~tokens[:, None, None, :], float("-inf")).softmax(-1)
        assert maps.shape == theirs.attentions[n - 1].shape == (6, 2, 9, 9)
        rows = tokens[:, None].expand(-1, 2, -1)  # (B, H, T): what a real token looks at
        torch.testing.assert_close(maps[rows], theirs.attentions[n - 1][rows], atol=1e-5, rtol=0)
        assert projections.value.shape == (6, 9, 16)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_is_asked_for_is_kept_and_no_hook_stays(family):
    encoder, batch = tiny_encoder(family, layers=3), tiny_batch()
    output = encoder.read(batch, Taps(hidden=(2,), projections=(3,)))
    assert (set(output.hidden), set(output.projections)) == ({2}, {3})
    assert encoder.read(batch).hidden == {}
    with pytest.raises(RuntimeError):
        encoder.read(batch, EVERYTHING, torch.zeros(6, 9, 5))  # fails inside the pass
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in encoder.modules())


@pytest.mark.parametrize("taps", [Taps(hidden=(4,)), Taps(hidden=(-1,)), Taps(projections=(0,))])
def test_a_layer_that_is_not_there_can_not_be_tapped(taps):
    with pytest.raises(ValueError, match="can't be tapped: the encoder has 3"):
        tiny_encoder(layers=3).read(tiny_batch(), taps)


def test_an_architecture_without_known_projections_has_no_maps():
    encoder = tiny_encoder()
    encoder.family = dataclasses.replace(encoder.family, projections=None)
    assert set(encoder.read(tiny_batch(), Taps(hidden=(1,))).hidden) == {1}
    with pytest.raises(ValueError, match="does not know where 'bert' keeps its queries"):
        encoder.read(tiny_batch(), Taps(projections=(1,)))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_flow_through_taps_and_delta(family, precision):
    encoder, batch = tiny_encoder(family, layers=3), tiny_batch()
    delta = torch.zeros(6, 9, 16, requires_grad=True)
    with torch.autocast("cpu", precision, enabled=precision is not None):
        output = encoder.read(batch, Taps(hidden=(1,), projections=(2,)), delta)
    for part in (output.logits, output.hidden[1], output.projections[2].key):
        (gradient,) = torch.autograd.grad(part.float().square().sum(), delta, retain_graph=True)
        assert gradient.dtype == torch.float32
        assert gradient.abs().sum() > 0
    output.hidden[1].float().sum().backward()
    embeddings = getattr(encoder.model, encoder.family.backbone).embeddings
    assert embeddings.word_embeddings.weight.grad is not None
    assert all(p.grad is None for n, p in encoder.named_parameters() if "classifier" in n)


def by_hand_input(encoder: TextEncoder, batch, delta) -> torch.Tensor:
    """``LayerNorm(word + position + segment + δ)``, put together from the tables."""
    parts = getattr(encoder.model, encoder.family.backbone).embeddings
    at = torch.arange(batch.input_ids.shape[1]).expand_as(batch.input_ids)
    if encoder.config.model_type == "roberta":  # counts from behind the padding index, over tokens alone
        is_token = (batch.input_ids != 0).long()
        at = is_token.cumsum(1) * is_token
    total = parts.word_embeddings.weight[batch.input_ids] + parts.position_embeddings.weight[at]
    if encoder.family.segments:
        total = total + parts.token_type_embeddings.weight[batch.token_type_ids]
    return nn.functional.layer_norm(total + delta, (16,), parts.LayerNorm.weight, parts.LayerNorm.bias,
                                    parts.LayerNorm.eps)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_delta_enters_the_sum_of_embeddings_before_the_layer_norm(family):
    encoder, batch = tiny_encoder(family), tiny_batch()
    tokens = batch.attention_mask.bool()
    delta = torch.randn(6, 9, 16) * tokens[..., None]
    output = encoder.read(batch, Taps(hidden=(0,)), delta)
    torch.testing.assert_close(output.hidden[0][tokens], by_hand_input(encoder, batch, delta)[tokens])
    assert (output.logits - encoder.classify(batch)).abs().max() > 1e-2
    torch.testing.assert_close(encoder.read(batch, None, torch.zeros_like(delta)).logits, encoder.classify(batch))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_logit_depends_on_a_delta_at_padding(family):
    encoder, batch = tiny_encoder(family), tiny_batch()
    delta = torch.zeros(6, 9, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder.read(batch, None, delta).logits.square().sum(), delta)
    padding = batch.attention_mask == 0
    assert padding.any()
    assert gradient[padding].abs().max() == 0
    assert gradient[~padding].abs().amax(-1).min() > 0
