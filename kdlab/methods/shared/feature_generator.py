"""A network that makes features of noise, for a discriminator to tell from those of texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2  # of the LeakyReLU
_SPREAD = 0.02  # of the first weights, as in GAN-BERT's code


@dataclass(frozen=True)
class Drawn:
    """What features are made of.

    Attributes:
        noise: ``(B, N)``, uniform in [0, 1).
        kept: Which hidden units dropout keeps, 0 or ``1 / (1 - p)`` each, ``(B, H)``.
    """

    noise: Tensor
    kept: Tensor


class FeatureGenerator(nn.Module):
    """Noise to features: a hidden layer with LeakyReLU .2 and dropout, and a linear one.

    Args:
        noise: N, numbers of the noise.
        hidden: H, units of the hidden layer.
        width: F, numbers of a feature.
        dropout: p, of the hidden layer.
    """

    def __init__(self, noise: int, hidden: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.inner = nn.Linear(noise, hidden)
        self.outer = nn.Linear(hidden, width)

    def draw_weights(self, draw: torch.Generator) -> None:
        """Draws all weights; biases are 0."""
        for layer in (self.inner, self.outer):
            nn.init.normal_(layer.weight, std=_SPREAD, generator=draw)
            nn.init.zeros_(layer.bias)

    def sample(self, rows: int, draw: torch.Generator | None) -> Drawn:
        """Noise and dropout for so many features; ``draw`` is a generator on the CPU, the same in every process."""
        noise = torch.rand(rows, self.inner.in_features, generator=draw)
        kept = torch.ones(rows, self.inner.out_features)
        if self.training and self.dropout:
            kept = (torch.rand(kept.shape, generator=draw) >= self.dropout) / (1 - self.dropout)
        device = self.inner.weight.device
        return Drawn(noise.to(device), kept.to(device))

    def forward(self, drawn: Drawn) -> Tensor:
        """Features ``(B, F)``."""
        hidden = F.leaky_relu(self.inner(drawn.noise), _SLOPE) * drawn.kept  # (B, H)
        features: Tensor = self.outer(hidden)
        return features
