"""The head of each family apart from its encoder."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, PAIRS, tiny_batch, tiny_bilstm, tiny_encoder

from kdlab.data.tasks import TaskSpec
from kdlab.models.heads import Head

ONE_TEXT = TaskSpec(name="one", text="a", labels=("no", "yes", "perhaps"))


def encoders():
    made = {family: tiny_encoder(family, dropout=0.5) for family in FAMILIES}
    return {**made, "bilstm": tiny_bilstm(dropout=0.5), "bilstm of one text": tiny_bilstm(ONE_TEXT)}


@pytest.mark.parametrize("name", [*FAMILIES, "bilstm", "bilstm of one text"])
def test_features_through_the_head_are_the_encoders_logits(name):
    encoder, batch = encoders()[name], tiny_batch()
    head = Head(encoder)
    features = head.features(batch)
    assert features.shape == (len(batch), head.width)
    hidden = head.hidden(features)
    assert hidden.shape == (len(batch), head.output.in_features)
    torch.testing.assert_close(head.output(hidden), encoder.classify(batch))


@pytest.mark.parametrize("name", [*FAMILIES, "bilstm"])
def test_a_row_of_the_head_reads_its_own_features_and_gradients_reach_the_encoder(name):
    encoder, batch = encoders()[name], tiny_batch()
    head = Head(encoder)
    features = head.features(batch)
    alone = torch.cat([head.hidden(one[None]) for one in features])
    torch.testing.assert_close(alone, head.hidden(features))
    head.output(head.hidden(features)).square().sum().backward()
    assert encoder.word_table.grad.abs().sum() > 0
    assert head.output.weight.grad.shape[0] == len(PAIRS.labels)


def test_dropout_of_the_head_acts_in_training_alone():
    encoder = tiny_encoder(dropout=0.5)
    head, features = Head(encoder), torch.randn(4, 16)
    assert torch.equal(head.hidden(features), head.hidden(features))
    encoder.train()
    assert not torch.equal(head.hidden(features), head.hidden(features))
