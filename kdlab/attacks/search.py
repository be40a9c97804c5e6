"""Which word is changed next, and which candidate is taken."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from kdlab.attacks.asks import Steps
from kdlab.attacks.contract import UnderAttack
from kdlab.attacks.goals import Scored

SIMILARITY = "similarity"
"""Name of what a sentence encoder measured of a candidate."""


class Search(ABC):
    """Chooses among candidates until the victim is fooled or nothing is left to try."""

    @abstractmethod
    def run(self, attempt: UnderAttack, first: Scored) -> Steps[Scored]:
        """The search; ends with the best text, whether it fools the victim or not.

        Args:
            attempt: The attack on the example.
            first: The example as the victim answers it.
        """


class WordImportance(Search):
    """One word after the other, the most important first; a change is kept if the score rises (Jin et al. 2019).

    How important a word is says the score of the text without it. TextAttack looks for success only at the candidate
    with the highest score; with three labels and more another one may fool the victim. In ``fixed`` all are looked at.
    Among those that fool it the one that is most similar to the text is taken, where a sentence encoder measures it.

    Args:
        unknown: What stands in a word's place while its importance is measured; empty deletes it.
    """

    def __init__(self, unknown: str = "") -> None:
        self.unknown = unknown

    def run(self, attempt: UnderAttack, first: Scored) -> Steps[Scored]:
        """See ``Search.run``."""
        best = first
        for place in (yield from self._order(attempt)):
            candidates = yield from attempt.candidates(best.text, [place])
            if not candidates:
                continue
            results = yield from attempt.score(candidates)
            results.sort(key=lambda result: -result.score)
            fooling = _fooling(results, best, attempt.compat)
            if fooling:
                return _most_similar(fooling)
            if results[0].score > best.score:
                best = results[0]
        return best

    def _order(self, attempt: UnderAttack) -> Steps[list[int]]:
        """Positions, the most important first."""
        places = attempt.places(attempt.original)
        results = yield from attempt.score([attempt.original.replaced(i, self.unknown) for i in places])
        return [places[i] for i in attempt.ranked([result.score for result in results])]


class Greedy(Search):
    """The candidate with the highest score of all words, whether the score rises or not, and on from there.

    This is TextAttack's beam search of width 1.
    """

    def run(self, attempt: UnderAttack, first: Scored) -> Steps[Scored]:
        """See ``Search.run``."""
        best, text = first, first.text
        while not best.fooled:
            candidates = yield from attempt.candidates(text)
            if not candidates:
                return best
            results = yield from attempt.score(candidates)
            scores = [result.score for result in results]
            best = results[int(np.argmax(scores))]
            text = candidates[int(attempt.ranked(scores)[0])]
            fooling = [result for result in results if result.fooled]
            if fooling and not attempt.compat:
                return max(fooling, key=lambda result: result.score)
        return best


def _fooling(results: Sequence[Scored], best: Scored, compat: bool) -> list[Scored]:
    """Those that fool the victim, the highest score first; in ``compat`` only those in front of all others."""
    if not compat:
        return [result for result in results if result.fooled]
    if not results[0].score > best.score:
        return []
    gap = next((i for i, result in enumerate(results) if not result.fooled), len(results))
    return list(results[:gap])


def _most_similar(fooling: Sequence[Scored]) -> Scored:
    """The most similar one; the first where no similarity is measured, and of equal ones the first."""
    if SIMILARITY not in fooling[0].text.values:
        return fooling[0]
    return max(fooling, key=lambda result: result.text.values[SIMILARITY])
