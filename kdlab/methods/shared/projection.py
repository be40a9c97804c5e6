"""A projection whose weights are a function of a seed."""

from __future__ import annotations

import torch
from torch import nn


class Projection(nn.Linear):
    """A linear map without bias, drawn once: a later phase goes on with what was learned.

    Args:
        width_in: Width of what is projected.
        width_out: Width of the result.
    """

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, bias=False)
        self.drawn = False

    def draw(self, generator: torch.Generator) -> None:
        """Draws the weights the first time, with the spread that keeps the size of a state."""
        if not self.drawn:
            nn.init.normal_(self.weight, std=self.in_features**-0.5, generator=generator)
        self.drawn = True
