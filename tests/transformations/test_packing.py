"""Batches within a budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kdlab.transformations.packing import batches


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(50, 400), st.integers(1, 9))
def test_every_input_once_within_the_budget(lengths: list[int], budget: int, most: int):
    groups = batches(lengths, budget, most)
    assert all(len(group) <= most for group in groups)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget
