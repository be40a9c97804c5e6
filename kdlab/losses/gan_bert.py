"""The losses of GAN-BERT (Croce, Castellucci and Basili 2020; Kalmath, Sundar and Chen, section 3.2.2).

A discriminator's logits are ``(B, R + 1)``: R real classes, and in the last column FAKE, "a generator made this". So
``1 - p_fake`` is the probability of all real classes together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def log_p_fake(logits: Tensor) -> Tensor:
    """``log p(FAKE)`` of each row, ``(B, R + 1)`` to ``(B,)`` float32."""
    return F.log_softmax(logits.float(), dim=-1)[:, -1]


def log_p_real(logits: Tensor) -> Tensor:
    """``log (1 - p(FAKE))`` of each row, ``(B, R + 1)`` to ``(B,)`` float32, without cancellation."""
    logits = logits.float()
    return logits[:, :-1].logsumexp(-1) - logits.logsumexp(-1)


def told_real(logits: Tensor) -> Tensor:
    """``-log (1 - p_fake)``: what a discriminator pays on real features.

    Args:
        logits: Of real rows, ``(B, R + 1)``.

    Returns:
        Mean over the batch, in nats; a scalar, log((R + 1) / R) where all classes are equally likely.
    """
    return -log_p_real(logits).mean()


def told_fake(logits: Tensor) -> Tensor:
    """``-log p_fake``: what a discriminator pays on made features.

    Args:
        logits: Of made rows, ``(B, R + 1)``.

    Returns:
        Mean over the batch, in nats; a scalar, log(R + 1) where all classes are equally likely.
    """
    return -log_p_fake(logits).mean()


def fooling(logits: Tensor, epsilon: float) -> Tensor:
    """``-log (1 - p_fake + ε)``: what a generator pays for features that are found out.

    Args:
        logits: Of the features that it made, ``(B, R + 1)``.
        epsilon: ε > 0, which bounds the loss by -log ε.

    Returns:
        Mean over the batch, in nats; a scalar.
    """
    return -(log_p_real(logits).exp() + epsilon).log().mean()


def feature_matching(real: Tensor, made: Tensor) -> Tensor:
    """The squared distance of mean features, as a mean over their H numbers (Salimans et al. 2016, section 3.1).

    Args:
        real: A discriminator's hidden states of real rows, ``(B, H)``.
        made: Those of made rows, ``(M, H)``.

    Returns:
        A scalar, 0 where the two means are equal.

    Raises:
        ValueError: Widths differ.
    """
    if real.shape[-1] != made.shape[-1]:
        raise ValueError(f"real features {tuple(real.shape)} and made ones {tuple(made.shape)} differ in width")
    gap: Tensor = real.float().mean(0) - made.float().mean(0)  # (H,)
    return torch.mean(gap**2)
