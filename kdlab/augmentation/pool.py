"""A pool of candidates: so many draws from P_s around each example, in the order of the examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

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
) -> Iterator[tuple[int, Made]]:
    """Independent draws; unedited ones stay as they fall, and one text may be drawn twice, as P_s has it.

    Args:
        augmenter: P_s.
        sources: N examples.
        copies: How many draws of each, ``(N,)``.
        seed: Of all choices.
        keep_original: Whether the first of an example's draws is the example itself, as the code of the paper's
            ancestor has it (Ke et al. 2019).
        progress: Told how many draws are done, and of how many.

    Yields:
        Position of the example and the draw, ``sum(copies)`` in all. Where a masked LM can't be asked about a place in
        six draws, the example itself stands in.
    """
    wanted = ((i, copy) for i, count in enumerate(copies) for copy in range(count))
    done, total = 0, sum(copies)
    while some := list(islice(wanted, _AT_ONCE)):
        texts = {i: {side: Words(sources[i].texts[side]) for side in sources[i].sides} for i in {i for i, _ in some}}
        drawn: dict[tuple[int, int], Made] = {}
        todo = [(i, copy) for i, copy in some if copy or not keep_original]
        for turn in range(TRIES):
            if not todo:
                break
            keys = [(sources[i], texts[i], augmenter.draw(seed, sources[i], copy, turn)) for i, copy in todo]
            for key, made in zip(todo, augmenter.drawn(keys), strict=True):
                if made is not None:
                    drawn[key] = made
            todo = [key for key in todo if key not in drawn]
        for i, copy in some:
            yield i, drawn.get((i, copy)) or augmenter.unedited(sources[i], texts[i])
        done += len(some)
        if progress is not None:
            progress(done, total)
