"""kdlab's side of the parity test."""

from __future__ import annotations

from typing import Any


def kdlab_side(job: dict[str, Any]) -> list[dict[str, Any]]:
    """What kdlab's engine makes of a job of one recipe in ``compat`` mode, in the form of TextAttack's side.

    Returns:
        An ``id``, ``status``, ``text``, ``queries``, ``original_score`` and ``score`` for each example.
    """
    raise NotImplementedError("the engine has no Python interface yet")
