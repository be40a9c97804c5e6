"""Batches within a budget."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from kdlab.transformations.packing import batches


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(50, 400), st.integers(1, 9), st.integers(0, 99))
def test_every_input_once_within_the_budget(lengths: list[int], budget: int, most: int, of_a_batch: int):
    groups = batches(lengths, budget, most, of_a_batch)
    assert all(len(group) <= most for group in groups)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(5, 30), st.integers(0, 9))
def test_no_cut_is_cheaper(lengths: list[int], budget: int, of_a_batch: int):
    def cost(groups: Iterable[Sequence[int]]) -> int:
        return sum(len(group) * max(group) + of_a_batch for group in groups)

    ordered = sorted(lengths, reverse=True)
    cheapest = min(
        cost(groups)
        for cuts in itertools.product((False, True), repeat=len(ordered) - 1)
        for groups in [cut(ordered, cuts)]
        if all(len(group) == 1 or len(group) * group[0] <= budget for group in groups)
    )
    assert cost([[lengths[i] for i in group] for group in batches(lengths, budget, 99, of_a_batch)]) == cheapest


def cut(ordered: Sequence[int], cuts: Sequence[bool]) -> list[list[int]]:
    groups = [[ordered[0]]]
    for length, new in zip(ordered[1:], cuts, strict=True):
        if new:
            groups.append([])
        groups[-1].append(length)
    return groups
