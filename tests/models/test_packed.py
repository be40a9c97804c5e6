"""Linear layers with packed weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdlab.models.packed import pack, packed, unpack


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Sequential(nn.Linear(7, 3, bias=False)))


def test_packed_layers_do_what_linear_layers_do():
    model, inputs = net(), torch.randn(2, 4, 5)
    names = list(model.state_dict())
    with torch.no_grad():
        expected = model(inputs)
        with packed(model):
            assert torch.allclose(model(inputs), expected, atol=1e-6)
            assert list(model.state_dict()) == names
            model[0].weight.mul_(2)
            assert torch.allclose(model(inputs), expected, atol=1e-6)  # of the copy
        assert not torch.allclose(model(inputs), expected, atol=1e-6)
    model(inputs).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_layers_are_as_they_were_behind_an_error():
    model = net()
    with pytest.raises(KeyError), packed(model):
        raise KeyError
    assert "forward" not in model[0].__dict__
    unpack([])


def test_what_is_not_packed(monkeypatch: pytest.MonkeyPatch):
    assert len(pack(net())) == (2 if torch.backends.mkldnn.is_available() else 0)
    assert pack(net().double()) == pack(net().to("meta")) == pack(net().bfloat16()) == []
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack(net()) == []
