"""A pool of candidates: so many draws from P_s around each example, in the order of the examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kdlab.augmentation.base import TRIES, Made, Source
from kdlab.augmentation.p_s import EditPrior
from kdlab.transformations.words import Words

_AT_ONCE = 2048  # draws whose places are asked about together


def draw_pool(
    augmenter: EditPrior,
    sources: Sequence[Source],
    copies: Sequence[int],
    seed: int,
    keep_original: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[int, Made]]:
    """Independent draws; unedited ones stay as they fall, and one text may be drawn twice, as P_s has it.

    Args:
        augmenter: P_s.
        sources: N examples.
        copies: How many draws of each, ``(N,)``.
        seed: Of all choices.
        keep_original: Whether the first of an example's draws is the example itself, as the code of the paper's
            ancestor has it (Ke et al. 2019).
        progress: Told how many draws are done, and of how many.

    Returns:
        Position of the example and the draw, ``sum(copies)`` in all. Where a masked LM can't be asked about a place in
        six draws, the example itself stands in.
    """
    texts = [{side: Words(source.texts[side]) for side in source.sides} for source in sources]
    wanted = [(i, copy) for i, count in enumerate(copies) for copy in range(count)]
    found: list[tuple[int, Made]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        drawn: dict[tuple[int, int], Made] = {}
        todo = some
        for turn in range(TRIES):
            keys = [(sources[i], texts[i], augmenter.draw(seed, sources[i], copy, turn)) for i, copy in todo]
            for key, made in zip(todo, augmenter.drawn(keys), strict=True):
                if made is not None:
                    drawn[key] = made
            todo = [key for key in todo if key not in drawn]
            if not todo:
                break
        for i, copy in some:
            made = drawn.get((i, copy))
            if made is None or (keep_original and copy == 0):
                made = augmenter.unedited(sources[i], texts[i])
            found.append((i, made))
        if progress is not None:
            progress(len(found), len(wanted))
    return found
