"""A sentence encoder: the mean of the last states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers import FAMILIES, tiny_encoder

from kdlab.errors import KdlabError
from kdlab.models.checkpoint import resolve_checkpoint
from kdlab.models.sentences import SentenceModel, load_sentence_model

IDS = torch.tensor([[2, 6, 7, 8, 9, 3], [2, 9, 8, 3, 0, 0], [2, 3, 0, 0, 0, 0]])
MASK = (IDS != 0).long()


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_has_no_part_in_the_mean(family: str):
    model = SentenceModel(tiny_encoder(family).model.base_model).eval()
    with torch.no_grad():
        together = model(IDS, MASK, torch.zeros_like(IDS))
        alone = [model(ids[mask.bool()][None], mask[mask.bool()][None], ids[mask.bool()][None] * 0)
                 for ids, mask in zip(IDS, MASK, strict=True)]  # fmt: skip
        states = model.model(input_ids=IDS[:1], attention_mask=MASK[:1]).last_hidden_state
    assert together.shape == (3, model.width) == (3, 16)
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert torch.allclose(together[0], states[0].mean(0), atol=1e-5)


def test_it_keeps_its_precision():
    model = SentenceModel(tiny_encoder().model.base_model).double()
    assert model(IDS, MASK, torch.zeros_like(IDS)).dtype == torch.float64


def test_an_architecture_that_is_not_known_is_named():
    model = tiny_encoder().model.base_model
    model.config.model_type = "t5"
    with pytest.raises(KdlabError, match="The sentence encoder is of architecture 't5'"):
        SentenceModel(model)


def test_it_is_loaded_from_a_checkpoint_without_its_head(checkpoint_folder: Path):
    torch.manual_seed(5)
    model = load_sentence_model(resolve_checkpoint(str(checkpoint_folder), offline=True))
    assert torch.initial_seed() == 5
    expected = SentenceModel(tiny_encoder(layers=4).model.base_model).eval()
    with torch.no_grad():
        assert torch.allclose(*(one(IDS, MASK, torch.zeros_like(IDS)) for one in (model, expected)), atol=1e-6)
    assert not model.training
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
