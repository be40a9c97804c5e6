"""Linear layers whose weights lie as oneDNN multiplies them, for inference on a processor.

PyTorch leaves float32 matrix products to MKL, which keeps AMD's processors from their widest instructions; oneDNN does
not, and takes less than half of the time there (docs/speed.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TypeGuard

import torch
from torch import Tensor, nn


class _Product:
    """What a packed layer does: its weights are copied when it is first asked, by each thread that asks at once."""

    def __init__(self, layer: nn.Linear) -> None:
        self._layer = layer
        self._bias = None if layer.bias is None else layer.bias.detach()

    @cached_property
    def weight(self) -> Tensor:
        """As oneDNN wants it."""
        weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(self._layer.weight.detach())
        return weight

    def __call__(self, inputs: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self._bias, "none", [], "")
        return product


def pack(model: nn.Module) -> list[nn.Linear]:
    """Has the float32 linear layers of a model on a CPU multiply a packed copy of their weights, without gradients.

    Where this PyTorch has no such products, all layers stay as they are. Names and weights of the model do not change;
    weights that change later are not seen before ``unpack`` and another ``pack``.

    Returns:
        The layers, for ``unpack``.
    """
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")):
        return []
    layers = [layer for layer in model.modules() if _fits(layer)]
    for layer in layers:
        layer.forward = _Product(layer)  # type: ignore[method-assign, assignment]
    return layers


def _fits(layer: nn.Module) -> TypeGuard[nn.Linear]:
    plain = isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward
    return plain and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"


def unpack(layers: Sequence[nn.Linear]) -> None:
    """Has layers multiply their own weights again."""
    for layer in layers:
        del layer.forward


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """A model with packed layers for as long as this lasts."""
    layers = pack(model)
    try:
        yield
    finally:
        unpack(layers)


def pack_for_good(model: nn.Module) -> None:
    """Packs a model and drops the weights that it was packed from: it answers, and does nothing else any more."""
    for layer in pack(model):
        _ = layer.forward.weight  # type: ignore[attr-defined]
        layer.weight = None  # type: ignore[assignment]
