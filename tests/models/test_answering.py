"""A classifier that only answers."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, tiny_batch, tiny_bilstm, tiny_encoder

from kdlab.models.answering import answering


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_logits_are_the_same_for_less(family: str, packs):
    encoder, batch, widths = tiny_encoder(family), tiny_batch(), []
    encoder.encoder_layers()[-1].register_forward_hook(lambda _module, _inputs, out: widths.append(out.shape[1]))
    plain = encoder.classify(batch)
    with answering(encoder):
        torch.testing.assert_close(encoder.classify(batch), plain, atol=1e-5, rtol=0)
    assert torch.equal(encoder.classify(batch), plain)
    assert widths == [9, 1, 9]


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_lower_precision_stays_what_it_is(family: str, packs):
    encoder, batch = tiny_encoder(family), tiny_batch()
    exact = encoder.classify(batch)
    with torch.autocast("cpu", torch.bfloat16):
        plain = encoder.classify(batch)
        with answering(encoder):
            found = encoder.classify(batch)
    assert found.dtype == plain.dtype
    away = (plain.float() - exact).abs().max()
    assert (found.float() - exact).abs().max() < 2 * away


@pytest.mark.parametrize("make", [tiny_encoder, tiny_bilstm])
def test_a_compiled_pass_stays_as_it_is(make):
    encoder = make()
    encoder.compiled = encoder.model.forward
    before = [dict(vars(part)) for part in encoder.modules()]
    with answering(encoder):
        assert [dict(vars(part)) for part in encoder.modules()] == before
