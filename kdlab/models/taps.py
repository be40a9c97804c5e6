"""Hooks for one forward pass: they record module outputs, or add a tensor to the embeddings.

They are removed after the pass, so an untapped pass costs nothing. Recorded tensors stay in the graph and keep their
precision, so gradients flow through them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from torch import Tensor, nn

Key = tuple[str, int, int]


class Recorder:
    """Records the outputs of modules in one pass, each under a key.

    Args:
        watched: The modules by key.
        states: Numbers of the hidden states that are recorded.
        layers: Numbers of the layers whose projections are recorded.
    """

    def __init__(self, watched: Mapping[Key, nn.Module], states: tuple[int, ...], layers: tuple[int, ...]) -> None:
        self.watched = watched
        self.states = states
        self.layers = layers
        self._outputs: dict[Key, Tensor] = {}
        self._hooks: list[Any] = []

    def __getitem__(self, key: Key) -> Tensor:
        return self._outputs[key]

    def __enter__(self) -> Recorder:
        for key, module in self.watched.items():
            self._hooks.append(module.register_forward_hook(self._recording_hook(key)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def _recording_hook(self, key: Key) -> Any:
        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._outputs[key] = output[0] if isinstance(output, tuple) else output

        return record


@contextmanager
def shifted_input(module: nn.Module, delta: Tensor | None) -> Iterator[None]:
    """Adds a tensor to a module's only input inside the ``with`` block; None adds nothing."""
    if delta is None:
        yield
        return
    hook = module.register_forward_pre_hook(lambda _module, inputs: (inputs[0] + delta,))
    try:
        yield
    finally:
        hook.remove()
