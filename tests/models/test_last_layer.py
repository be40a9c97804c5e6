"""The last layer for the first token alone."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, tiny_bilstm, tiny_encoder

from kdlab.models.last_layer import first_token_alone
from kdlab.models.packed import packed

IDS = torch.tensor([[2, 6, 7, 8, 9, 3], [2, 9, 8, 3, 0, 0], [2, 7, 3, 0, 0, 0]])
MASK = (IDS != 0).long()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_are_those_of_the_whole_layer(family: str, attention: str, packs):
    encoder = tiny_encoder(family).eval()
    encoder.model.set_attn_implementation(attention)
    with torch.no_grad():
        for ids, mask in ((IDS, MASK), (IDS[:1], MASK[:1])):
            expected = encoder(ids, mask, torch.zeros_like(ids)).logits
            with packed(encoder), first_token_alone(encoder):
                found = encoder(ids, mask, torch.zeros_like(ids)).logits
            assert torch.allclose(found, expected, atol=1e-5)
            assert torch.equal(encoder(ids, mask, torch.zeros_like(ids)).logits, expected)  # as it was


@pytest.mark.parametrize("family", FAMILIES)
def test_the_other_tokens_are_left_out_of_the_last_layer_alone(family: str):
    encoder, widths = tiny_encoder(family).eval(), []
    for layer in encoder.encoder_layers():
        layer.register_forward_hook(lambda _, inputs, out: widths.append(out.shape[1]))
    with torch.no_grad(), first_token_alone(encoder):
        encoder(IDS, MASK, torch.zeros_like(IDS))
    assert widths == [6] * (encoder.depth - 1) + [1]


def test_an_error_leaves_the_layer_as_it_was():
    encoder = tiny_encoder().eval()
    with pytest.raises(KeyError), first_token_alone(encoder):
        raise KeyError
    assert "forward" not in vars(encoder.encoder_layers()[-1])


def test_a_classifier_in_training_and_one_without_such_layers_stay():
    for encoder in (tiny_encoder().train(), tiny_bilstm().eval()):
        before = [dict(vars(module)) for module in encoder.modules()]
        with first_token_alone(encoder):
            assert [dict(vars(module)) for module in encoder.modules()] == before
