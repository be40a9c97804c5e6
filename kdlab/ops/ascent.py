"""Projected gradient ascent on a perturbation of the embeddings (AD², Eq. 2; Madry et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kdlab.ops.randomness import on_device

NORMS = ("l2", "l2_token", "linf")


@dataclass(frozen=True)
class Ball:
    """How far a perturbation may go, and in which steps.

    Attributes:
        steps: K, the number of ascent steps; 0 keeps the starting point.
        step_size: Length of a step in the norm; with ``raw`` the factor on the gradient.
        epsilon: Radius.
        norm: ``l2`` of a whole example, ``l2_token`` of its longest token, or ``linf`` of its largest entry.
        raw: Whether steps use the gradient as it is, instead of normalising it to length 1 per example.
    """

    steps: int
    step_size: float
    epsilon: float
    norm: str = "l2"
    raw: bool = False


def norm_of(delta: Tensor, norm: str) -> Tensor:
    """The size of each example's perturbation.

    Args:
        delta: ``(B, T, D)``.
        norm: One of ``NORMS``.

    Returns:
        ``(B,)``.
    """
    if norm == "linf":
        return delta.flatten(1).abs().amax(1)
    tokens: Tensor = torch.linalg.vector_norm(delta, dim=2)  # (B, T)
    return tokens.amax(1) if norm == "l2_token" else tokens.square().sum(1).sqrt()


def project(delta: Tensor, ball: Ball) -> Tensor:
    """The nearest perturbation inside the ball, ``(B, T, D)``.

    Raises:
        ValueError: There is no such norm.
    """
    if ball.norm == "linf":
        return delta.clamp(-ball.epsilon, ball.epsilon)
    if ball.norm == "l2_token":
        sizes: Tensor = torch.linalg.vector_norm(delta, dim=2, keepdim=True)  # (B, T, 1)
    elif ball.norm == "l2":
        sizes = norm_of(delta, "l2").view(-1, 1, 1)  # (B, 1, 1)
    else:
        raise ValueError(f"there is no norm '{ball.norm}': {', '.join(NORMS)}")
    return delta * (ball.epsilon / sizes.clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1.0)


def ascend(delta: Tensor, loss: Tensor, ball: Ball, retain_graph: bool = False) -> Tensor:
    """One step uphill and back into the ball, without touching any weight's ``.grad``.

    Args:
        delta: Where the loss was taken, ``(B, T, D)``, a leaf that requires a gradient and is zero at padding.
        loss: The *sum* over the batch, so that an example's direction does not depend on the others.
        ball: Step and radius.
        retain_graph: Whether the loss's graph is used again (a clean pass that is also trained on).

    Returns:
        ``(B, T, D)``, detached; zero at padding, which no logit depends on. Where the gradient is zero (a student that
        equals its teacher) it stays where it was. The direction does not depend on the loss's scale, so a gradient
        scaler has no effect; with ``raw`` the gradient is that of the unscaled loss.
    """
    (gradient,) = torch.autograd.grad(loss, delta, retain_graph=retain_graph)  # (B, T, D)
    with torch.no_grad():
        if not ball.raw:
            sizes = norm_of(gradient, ball.norm).view(-1, 1, 1)
            gradient = gradient / sizes.clamp_min(torch.finfo(gradient.dtype).tiny)
        return project(delta + ball.step_size * gradient, ball)


def climb(start: Tensor, loss_at: Callable[[Tensor], Tensor], ball: Ball) -> tuple[Tensor, Tensor | None]:
    """K steps of ascent, each with its own forward pass.

    Args:
        start: ``(B, T, D)``, inside the ball.
        loss_at: The loss at a perturbation, summed over the batch.
        ball: K, step and radius.

    Returns:
        The perturbation ``(B, T, D)``, detached, and the loss at the start (None where K is 0).
    """
    delta, before = start, None
    for _ in range(ball.steps):
        delta = delta.detach().requires_grad_()
        loss = loss_at(delta)
        before = loss.detach() if before is None else before
        delta = ascend(delta, loss, ball)
    return delta.detach(), before


def random_start(mask: Tensor, width: int, std: float, ball: Ball, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian noise at the tokens, projected into the ball.

    Args:
        mask: 1 for tokens and 0 for padding, ``(B, T)``.
        width: D.
        std: Standard deviation of each number.
        ball: Radius and norm.
        generator: On the CPU; processes that share a batch must draw the same.

    Returns:
        ``(B, T, D)`` float32.
    """
    noise = torch.randn(*mask.shape, width, device=mask.device, generator=on_device(generator, mask.device))
    return project(std * noise * mask.unsqueeze(-1), ball)


def random_like(delta: Tensor, mask: Tensor, norm: str) -> Tensor:
    """A random perturbation that is as large as ``delta`` for each example, ``(B, T, D)``."""
    noise = torch.randn_like(delta) * mask.unsqueeze(-1)
    sizes = norm_of(noise, norm).clamp_min(torch.finfo(delta.dtype).tiny)
    return noise * (norm_of(delta, norm) / sizes).view(-1, 1, 1)
