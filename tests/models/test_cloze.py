"""A masked LM asked for one word of each input."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, tiny_generator
from torch import nn

from kdlab.models.cloze import Cloze


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_says_what_the_whole_model_says(family: str, told: bool):
    model = tiny_generator(family).eval()
    labels = None
    if told:
        model.tell_labels(2)
        nn.init.normal_(model.labels.weight)
        labels = torch.tensor([0, 1, 1])
    ids = torch.tensor([[2, 6, 7, 8, 9, 3], [2, 9, 8, 3, 0, 0], [2, 7, 3, 0, 0, 0]])
    mask, types = (ids != 0).long(), torch.zeros_like(ids)
    at = torch.tensor([4, 1, 1])
    hidden = torch.arange(6) == at[:, None]
    with torch.no_grad():
        expected = model(ids, mask, types, hidden, labels)
        cloze = Cloze(model)
        assert torch.allclose(cloze(ids, mask, types, at, labels), expected, atol=1e-5)
        assert torch.equal(model(ids, mask, types, hidden, labels), expected)  # the model itself is as it was


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", FAMILIES)
def test_its_logits_have_special_tokens_among_the_words(family: str, dtype: torch.dtype):
    model = tiny_generator(family).eval().to(dtype)
    ids = torch.tensor([[2, 6, 7, 8, 4, 3], [2, 4, 8, 3, 0, 0], [2, 4, 3, 0, 0, 0]])
    mask, types, at = (ids != 0).long(), torch.zeros_like(ids), torch.tensor([4, 1, 1])
    given = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        expected = model.model(**given).logits[torch.arange(3), at]
    found = Cloze(model).logits(ids, mask, types, at)
    assert found.dtype == dtype
    assert torch.allclose(found, expected, atol=1e-5)
    assert found.shape == (3, 60)
    assert not found.requires_grad
