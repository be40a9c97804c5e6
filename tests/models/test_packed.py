"""Linear layers with packed weights."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import pytest
import torch
from torch import nn

from kdlab.models import packed as packed_layers
from kdlab.models.packed import mkl_is_quick, pack, pack_for_good, packed, unpack

HERE = torch.backends.mkldnn.is_available()
pytestmark = pytest.mark.usefixtures("packs")


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Sequential(nn.Linear(7, 3, bias=False)))


def is_packed(model: nn.Module) -> bool:
    return any("forward" in part.__dict__ for part in model.modules())


@pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 4, 5), (256, 5), (257, 5), (3, 200, 5), (0, 5), (2, 0, 5)])
def test_packed_layers_do_what_linear_layers_do(shape: tuple[int, ...]):
    model, inputs = net(), torch.randn(shape)
    names = list(model.state_dict())
    with torch.no_grad():
        expected = model(inputs)
        with packed(model):
            assert is_packed(model) == HERE
            assert torch.allclose(model(inputs), expected, atol=1e-6)
            assert list(model.state_dict()) == names
    assert not is_packed(model)
    pack_for_good(model)
    with torch.no_grad():
        assert torch.allclose(model(inputs), expected, atol=1e-6)


def test_what_is_trained_meanwhile_is_trained_as_ever():
    model, inputs = net(), torch.randn(2, 5, requires_grad=True)
    with packed(model):
        model(inputs).sum().backward()
    assert all(weight.grad is not None for weight in (inputs, *model.parameters()))


def test_other_weights_are_not_taken_for_the_packed_ones():
    model, inputs = net(), torch.randn(2, 5)
    halves = {name: weight / 2 for name, weight in model.named_parameters()}
    with torch.no_grad():
        expected = torch.func.functional_call(model, halves, inputs)
        with packed(model):
            plain = model(inputs)
            assert torch.equal(torch.func.functional_call(model, halves, inputs), expected)
            assert torch.equal(model(inputs), plain)


def test_lower_precision_stays_what_it_is():
    model, inputs = net(), torch.randn(2, 5)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = model(inputs)
        with packed(model):
            assert torch.equal(model(inputs), expected)


@pytest.mark.parametrize("asked", [False, True])
def test_a_copy_of_a_packed_model_is_a_plain_one(asked: bool):
    model, inputs = net(), torch.randn(2, 5)
    file = io.BytesIO()
    with torch.no_grad(), packed(model):
        if asked:
            model(inputs)
        made = copy.deepcopy(model)
        torch.save(model, file)
    file.seek(0)
    for other in (made, torch.load(file, weights_only=False)):
        other(inputs).sum().backward()
        assert all(weight.grad is not None for weight in other.parameters())
        with torch.no_grad():
            other[0].weight.zero_()
            assert not torch.equal(other(inputs), model(inputs))


def test_layers_are_as_they_were_behind_an_error_and_within_another():
    model = net()
    with packed(model):
        with packed(model):
            assert is_packed(model) == HERE
        assert is_packed(model) == HERE
    assert not is_packed(model)
    with pytest.raises(KeyError), packed(model):
        raise KeyError
    assert not is_packed(model)
    unpack([model[0]])


def test_what_is_not_packed(monkeypatch: pytest.MonkeyPatch):
    assert len(pack(net())) == (2 if HERE else 0)
    assert pack(net().double()) == pack(net().to("meta")) == pack(net().bfloat16()) == []
    model = net()
    model[0].forward = own = torch.tanh
    assert model[0] not in pack(model)
    unpack([model[2][0]])
    assert model[0].forward is own
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack(net()) == []


@pytest.mark.parametrize(
    ("vendor", "quick"), [("GenuineIntel", True), ("AuthenticAMD", False), ("0x41, Neoverse", False)]
)
@pytest.mark.parametrize("there", [True, False])
def test_intels_products_are_left_to_mkl(
    vendor: str, quick: bool, there: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    described = tmp_path / "cpuinfo"
    if there:  # Linux
        described.write_text(f"processor : 0\nvendor_id : {vendor}\n")
    monkeypatch.setattr("platform.processor", lambda: f"Family 6 Model 143, {vendor}")
    monkeypatch.setattr(packed_layers, "Path", lambda name: described)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert mkl_is_quick.__wrapped__() is quick
    monkeypatch.setattr(packed_layers, "mkl_is_quick", mkl_is_quick.__wrapped__)
    assert (pack(net()) == []) is (quick or not HERE)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    assert not mkl_is_quick.__wrapped__()


@pytest.mark.skipif(not HERE, reason="this PyTorch has no oneDNN")
def test_few_numbers_of_rows_are_multiplied(monkeypatch: pytest.MonkeyPatch):
    """Each would cost memory that is never given back."""
    seen, whole = set(), torch.ops.mkldnn._linear_pointwise

    def look(rows: torch.Tensor, *others: object) -> torch.Tensor:
        seen.add(len(rows))
        return whole(rows, *others)

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", look)
    model = net()
    with torch.no_grad(), packed(model):
        for rows in range(1, 600):
            model(torch.randn(rows, 5))
    assert seen == set(range(16, 257, 16))
