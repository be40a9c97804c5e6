"""Batches of near-equal length within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence


def batches(lengths: Sequence[int], budget: int, most: int) -> list[list[int]]:
    """Positions in groups whose rows times longest row stay within a budget, the longest first.

    Args:
        lengths: Of N inputs.
        budget: Tokens of a group, padding included; an input that is longer makes a group of its own.
        most: Rows of a group at most.
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not groups or len(groups[-1]) == most or (len(groups[-1]) + 1) * lengths[groups[-1][0]] > budget:
            groups.append([])
        groups[-1].append(i)
    return groups
