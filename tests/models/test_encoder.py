"""One interface to the families: ids and embeddings give the same logits, and weights are counted unallocated."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, tiny_batch, tiny_encoder
from transformers import BertConfig, GPT2Config, GPT2ForSequenceClassification

from kdlab.errors import KdlabError
from kdlab.models.encoder import TextEncoder, count_parameters, freeze, usable_positions
from kdlab.types import Taps

ALL = Taps(hidden=(0, 1, 2))


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_give_what_ids_give(family):
    encoder, batch = tiny_encoder(family), tiny_batch()
    embeddings = encoder.embed(batch.input_ids, batch.token_type_ids)
    on_ids = encoder.read(batch, ALL)
    on_embeddings = encoder(attention_mask=batch.attention_mask, embeddings=embeddings, taps=ALL)
    torch.testing.assert_close(on_embeddings.logits, on_ids.logits, atol=1e-5, rtol=0)
    tokens = batch.attention_mask.bool()
    assert on_ids.hidden.keys() == on_embeddings.hidden.keys() == {0, 1, 2}
    for n, states in on_ids.hidden.items():
        torch.testing.assert_close(states[tokens], on_embeddings.hidden[n][tokens], atol=1e-5, rtol=0)
    assert on_ids.logits.std(0).min() > 1e-2  # inputs differ, so equality says something


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(family):
    encoder, batch = tiny_encoder(family), tiny_batch(lengths=(9, 4))
    alone = encoder(batch.input_ids[1:, :4], batch.attention_mask[1:, :4], batch.token_type_ids[1:, :4]).logits
    torch.testing.assert_close(encoder.classify(batch)[1:], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_token_types_count_where_the_family_has_them(family):
    encoder, batch = tiny_encoder(family), tiny_batch()
    without = encoder(batch.input_ids, batch.attention_mask).logits
    assert (encoder.classify(batch) - without).abs().max() > 1e-2
    embeddings = encoder.embed(batch.input_ids)
    torch.testing.assert_close(
        encoder(attention_mask=batch.attention_mask, embeddings=embeddings).logits, without, atol=1e-5, rtol=0
    )


def test_ids_and_embeddings_exclude_each_other():
    encoder, batch = tiny_encoder(), tiny_batch()
    with pytest.raises(ValueError, match="either"):
        encoder(attention_mask=batch.attention_mask)
    with pytest.raises(ValueError, match="either"):
        encoder(batch.input_ids, embeddings=encoder.embed(batch.input_ids))


@pytest.mark.parametrize(("layers", "weights"), [(12, 109_483_778), (6, 66_956_546), (3, 45_692_930)])
def test_weights_of_bert_base_and_its_students(layers, weights):
    assert count_parameters(BertConfig(num_hidden_layers=layers, num_labels=2)) == weights


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_counted_as_they_are_made(family):
    encoder = tiny_encoder(family)
    assert count_parameters(encoder.config) == encoder.num_parameters()


def test_a_frozen_encoder_lets_gradients_through_to_its_input():
    encoder, batch = freeze(tiny_encoder(dropout=0.5).train()), tiny_batch()
    assert not any(m.training for m in encoder.modules())
    embeddings = encoder.embed(batch.input_ids, batch.token_type_ids).requires_grad_()
    encoder(attention_mask=batch.attention_mask, embeddings=embeddings).logits.sum().backward()
    assert embeddings.grad.abs().sum() > 0
    assert all(p.grad is None for p in encoder.parameters())


def test_positions_that_no_token_uses_are_left_out():
    assert usable_positions(tiny_encoder("bert").config) == 34
    config = tiny_encoder("roberta").config
    for pad, positions in ((0, 33), (1, 32), (5, 28)):  # RoBERTa counts from behind its padding index
        config.pad_token_id = pad
        assert usable_positions(config) == positions
    assert usable_positions(tiny_encoder("distilbert").config) == 32


def test_other_architectures_are_refused_by_name():
    model = GPT2ForSequenceClassification(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(KdlabError, match=r"'gpt2'.*bert, roberta, distilbert"):
        TextEncoder(model)
