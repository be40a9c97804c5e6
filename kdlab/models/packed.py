"""Linear layers whose weights lie as oneDNN multiplies them, for inference on a processor.

PyTorch leaves float32 matrix products to MKL, which keeps AMD's processors from their widest instructions; oneDNN does
not, and takes less than half of the time there (docs/speed.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """Does what a linear layer does, without gradients.

    Args:
        dense: In float32 on a CPU; its weights are copied.
    """

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(dense.weight.detach())
        self._bias = None if dense.bias is None else dense.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        """``(..., D_in)`` to ``(..., D_out)``, float32."""
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._weight, self._bias, "none", [], "")
        return answer


def pack(model: nn.Module) -> None:
    """Puts packed layers in the place of a model's linear layers, where this PyTorch has them; others stay."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")):
        return
    for name, child in model.named_children():
        if type(child) is nn.Linear and child.weight.dtype == torch.float32 and child.weight.device.type == "cpu":
            setattr(model, name, PackedLinear(child))
        else:
            pack(child)
