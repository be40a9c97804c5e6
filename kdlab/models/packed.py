"""Linear layers whose weights lie as oneDNN multiplies them, for inference on a processor.

PyTorch leaves float32 matrix products to MKL, which keeps AMD's processors from their widest instructions; oneDNN does
not, and takes less than half of the time there. Intel's get as much of MKL, which needs no copy (docs/speed.md).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

_ROWS, _STEP = 256, 16
"""Rows that are multiplied at a time, and what the rest is filled up to a multiple of: oneDNN keeps a program of about
a megabyte for each number of rows that it meets."""


@cache
def mkl_is_quick() -> bool:
    """Whether float32 products use this processor's widest instructions without being packed."""
    described = Path("/proc/cpuinfo")  # Windows tells the vendor by platform
    vendor = described.read_text() if described.is_file() else platform.processor()
    return torch.backends.mkl.is_available() and "GenuineIntel" in vendor  # type: ignore[no-untyped-call]


class _Product:
    """What a packed layer does: its weights are copied when it is first asked, by each thread that asks at once.

    With gradients, in another precision, or with other weights than it was made for it does what the layer does, and
    so does a copy of the layer.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self._layer = layer
        self._weights = (layer.weight, layer.bias)
        self._bias = None if layer.bias is None else layer.bias.detach().contiguous()

    @cached_property
    def weight(self) -> Tensor:
        """As oneDNN wants it."""
        weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(self._layer.weight.detach())
        return weight

    def forget(self) -> None:
        """Drops the layer's own weights; the packed ones are enough for answers."""
        _ = self.weight
        self._layer.weight = None  # type: ignore[assignment]
        self._weights = (self._layer.weight, self._layer.bias)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (nn.Linear.forward, self._layer)

    def __call__(self, inputs: Tensor) -> Tensor:
        layer = self._layer
        own = layer.weight is self._weights[0] and layer.bias is self._weights[1]
        lower = inputs.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
        if not own or lower or torch.is_grad_enabled():
            return nn.Linear.forward(layer, inputs)
        parts = torch.split(inputs.reshape(-1, layer.in_features), _ROWS)
        products = [self._multiply(rows) for rows in parts]
        product = products[0] if len(products) == 1 else torch.cat(products)
        return product.view(*inputs.shape[:-1], layer.out_features)

    def _multiply(self, rows: Tensor) -> Tensor:
        short = -len(rows) % _STEP
        padded = nn.functional.pad(rows, (0, 0, 0, short)) if short else rows
        product: Tensor = torch.ops.mkldnn._linear_pointwise(padded, self.weight, self._bias, "none", [], "")
        return product[: len(rows)]


def pack(model: nn.Module) -> list[nn.Linear]:
    """Has the float32 linear layers of a model on a CPU multiply a packed copy of their weights, without gradients.

    Where this PyTorch has no such products or gains nothing by them, all layers stay as they are; so does one whose
    ``forward`` was replaced.
    Names and weights of the model do not change; weights that change in place are not seen before ``unpack`` and
    another ``pack``.

    Returns:
        The layers, for ``unpack``; those that were packed already are not among them.
    """
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if mkl_is_quick() or not (available and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")):
        return []
    layers = [layer for layer in model.modules() if _fits(layer)]
    for layer in layers:
        layer.forward = _Product(layer)  # type: ignore[method-assign, assignment]
    return layers


def _fits(layer: nn.Module) -> TypeGuard[nn.Linear]:
    if not isinstance(layer, nn.Linear) or type(layer).forward is not nn.Linear.forward or "forward" in vars(layer):
        return False
    return bool(layer.weight.numel()) and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"


def unpack(layers: Sequence[nn.Linear]) -> None:
    """Has layers multiply their own weights again."""
    for layer in layers:
        vars(layer).pop("forward", None)


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
        layer.forward.forget()  # type: ignore[attr-defined]
