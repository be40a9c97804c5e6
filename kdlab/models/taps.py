"""Hooks for one forward pass: what is kept of it, and what is added to its embeddings.

They are set for the pass and removed after it, so that a pass nobody looks into costs nothing. Tensors are handed on as
they are, in the graph: gradients flow through them, whatever the precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from torch import Tensor, nn

Key = tuple[str, int, int]


class Recorder:
    """Keeps what modules return in one pass, under a key each.

    Args:
        watched: The modules.
        states: Numbers of the hidden states among them.
        layers: Numbers of the layers whose projections are among them.
    """

    def __init__(self, watched: Mapping[Key, nn.Module], states: tuple[int, ...], layers: tuple[int, ...]) -> None:
        self.watched = watched
        self.states = states
        self.layers = layers
        self._kept: dict[Key, Tensor] = {}
        self._hooks: list[Any] = []

    def __getitem__(self, key: Key) -> Tensor:
        return self._kept[key]

    def __enter__(self) -> Recorder:
        for key, module in self.watched.items():
            self._hooks.append(module.register_forward_hook(self._keeper(key)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keeper(self, key: Key) -> Any:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._kept[key] = output[0] if isinstance(output, tuple) else output

        return keep


@contextmanager
def shifted_input(module: nn.Module, delta: Tensor | None) -> Iterator[None]:
    """Adds a tensor to a module's only input for as long as this lasts; None adds nothing."""
    if delta is None:
        yield
        return
    hook = module.register_forward_pre_hook(lambda _module, inputs: (inputs[0] + delta,))
    try:
        yield
    finally:
        hook.remove()
