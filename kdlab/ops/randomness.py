"""Random numbers on a device: the same dropout for several passes of a step, the same noise for several processes."""

from __future__ import annotations

import torch
from torch import Tensor


def random_state(device: torch.device) -> Tensor:
    """The state of the generator that dropout draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Restores a state, so that dropout repeats what it drew after it."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def on_device(generator: torch.Generator | None, device: torch.device) -> torch.Generator | None:
    """A generator that draws on the device, where drawing on the CPU and copying would take too long.

    Args:
        generator: On the CPU; its next number seeds the one on the device. None stays None, the default generator.
        device: Where the numbers are needed.
    """
    if generator is None or device.type == "cpu":
        return generator
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
