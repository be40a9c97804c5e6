"""Batches of near-equal length within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def batches(lengths: Sequence[int], budget: int, most: int, of_a_batch: int) -> list[list[int]]:
    """Positions in groups whose rows times longest row stay within a budget, the longest first.

    Of all ways to cut the inputs, sorted by length, into such groups it takes the cheapest: tokens with their padding,
    and something for each group.

    Args:
        lengths: Of N inputs.
        budget: Tokens of a group, padding included; an input that is longer makes a group of its own.
        most: Rows of a group at most.
        of_a_batch: Tokens that cost as much as a group more.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    longest = np.array([lengths[i] for i in order], dtype=np.int64)
    cost = np.zeros(len(order) + 1, dtype=np.int64)  # of the cheapest groups of the first inputs
    start_of_last = np.zeros(len(order) + 1, dtype=np.int64)
    first = 0  # where the last group of the first `end` inputs may start at the earliest
    for end in range(1, len(order) + 1):
        while end - first > 1 and (end - first > most or (end - first) * longest[first] > budget):
            first += 1
        starts = np.arange(first, end)
        costs = cost[starts] + (end - starts) * longest[starts]
        best = int(costs.argmin())
        cost[end], start_of_last[end] = costs[best] + of_a_batch, first + best
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(order[start_of_last[end] : end])
        end = int(start_of_last[end])
    return groups[::-1]
