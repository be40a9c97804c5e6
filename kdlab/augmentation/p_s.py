"""L2A's stationary distribution P_s (Feng et al. 2021, Eq. 10 and 11): so many edits, somewhere, by a masked LM.

``P_s(z|x) = P(d|x) · P(positions|d, x) · Π P(word|position, x)``: the number of edits d by a prior, the positions
with equal chances, ``1 / C(m, d)``, and each word by the masked LM in the source's own context, other words than the
old one.

Eq. 11 as it is printed puts nearly all mass on replacing everything; the prior ``binomial`` leaves out its factor
``(|V| - 1)^d``, which makes d binomial with ``p = 1 / (1 + e^(1/α))``, 16 % of the words at α = .6, as the paper's
text describes; ``araml`` is what the code of its ancestor counts (Ke et al. 2019),
``C(m, d) · e^(-d/α) · (|V| - 1)^(d - d/α)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kdlab.augmentation.base import TRIES, Augmenter, Made, Settings, Source
from kdlab.augmentation.contextual import MASKED_LM
from kdlab.augmentation.filling import Place, blank_of, replaced
from kdlab.errors import KdlabError, nearest
from kdlab.system.draw import Draw
from kdlab.transformations.blanks import Blank
from kdlab.transformations.words import Words, like

PRIORS = ("binomial", "araml", "literal")


@dataclass
class EditPriorSettings(Settings):
    """Settings of P_s.

    Attributes:
        edit_prior: ``binomial``, ``araml`` or ``literal``.
        alpha: α of Eq. 11.
        temperature: T, by which the masked LM's logits are divided.
    """

    edit_prior: str = "binomial"
    alpha: float = 0.6
    temperature: float = 1.0

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        if self.edit_prior not in PRIORS:
            raise nearest(self.edit_prior, PRIORS, f"{section}.edit_prior of the name")
        for name in ("alpha", "temperature"):
            if getattr(self, name) <= 0:
                raise KdlabError(f"{section}.{name}={getattr(self, name)}: it must be positive.")


@lru_cache(maxsize=4096)
def log_edit_prior(words: int, alpha: float, prior: str, vocabulary: int) -> NDArray[np.float64]:
    """Logarithms of the probabilities of 0 to m edits, ``(m + 1,)``; read only, for they are kept by m.

    Args:
        words: m, how many can be edited.
        alpha: α of Eq. 11.
        prior: One of ``PRIORS``.
        vocabulary: |V|.
    """
    d = np.arange(words + 1, dtype=np.float64)
    log_choices = np.array([math.lgamma(words + 1) - math.lgamma(k + 1) - math.lgamma(words - k + 1) for k in d])
    factor = {"binomial": 0.0, "literal": 1.0, "araml": 1.0 - 1.0 / alpha}[prior]
    weights = log_choices - d / alpha + factor * d * math.log(max(vocabulary - 1, 1))
    logs = np.asarray(weights - np.logaddexp.reduce(weights))
    logs.setflags(write=False)
    return logs


def expected_share(words: int, alpha: float, prior: str, vocabulary: int) -> float:
    """Mean share of edited words in a text of m words; 0 where there is none."""
    if not words:
        return 0.0
    probabilities = np.exp(log_edit_prior(words, alpha, prior, vocabulary))
    return float((probabilities * np.arange(words + 1)).sum() / words)


class EditPrior(Augmenter):
    """Texts drawn from P_s, with their log-probability."""

    name = "p_s"
    Config = EditPriorSettings
    wants = frozenset({MASKED_LM})

    def augment(self, sources: Sequence[Source], copies: int, seed: int) -> list[list[Made]]:
        """See ``Augmenter.augment``; a draw without an edit is drawn again, its probability stays that of P_s."""
        texts = [{side: Words(source.texts[side]) for side in source.sides} for source in sources]
        found: list[dict[tuple[str, ...], Made]] = [{} for _ in sources]
        todo = [(i, copy) for i in range(len(sources)) for copy in range(copies) if any(map(len, texts[i].values()))]
        for turn in range(TRIES):
            keys = [(sources[i], texts[i], self.draw(seed, sources[i], copy, turn)) for i, copy in todo]
            missing = []
            for (i, copy), made in zip(todo, self.drawn(keys), strict=True):
                if made is not None and made.texts != sources[i].texts and made.texts not in found[i]:
                    found[i][made.texts] = made
                else:
                    missing.append((i, copy))
            todo = missing
        return [list(made.values()) for made in found]

    def drawn(self, keys: Sequence[tuple[Source, dict[int, Words], Draw]]) -> list[Made | None]:
        """One draw from P_s for each key; unedited ones as they fall. A place is asked about once for all its draws.

        Args:
            keys: Example, its texts by side, and the choices of the draw.

        Returns:
            None where the masked LM can't be asked about a place.
        """
        if self.tools.filler is None:
            raise ValueError("p_s was given no masked LM")
        chosen = [self._places(texts, draw) for _, texts, draw in keys]
        chances: dict[tuple[int, Place], list[float]] = {}
        blanks: list[Blank] = []
        for (source, texts, draw), (places, _) in zip(keys, chosen, strict=True):
            for place in places:
                asked = chances.setdefault((source.id, place), [])
                if not asked:
                    blanks.append(blank_of(source, texts, place))
                asked.append(draw.uniform())
        answers = self.tools.filler.drawn(blanks, list(chances.values()), self.config.temperature)
        guesses = {key: iter(words) for key, words in zip(chances, answers, strict=True)}
        made: list[Made | None] = []
        for (source, texts, _), (places, log_prob) in zip(keys, chosen, strict=True):
            words = {place: next(guesses[source.id, place], None) for place in places}
            new = {place: word for place, word in words.items() if word is not None}
            if len(new) < len(places):
                made.append(None)
                continue
            total = log_prob + sum(word.log_prob for word in new.values())
            written = {(side, i): like(texts[side].words[i], word.word) for (side, i), word in new.items()}
            made.append(replaced(source, texts, written, total))
        return made

    def unedited(self, source: Source, texts: dict[int, Words]) -> Made:
        """The example itself, with the probability of no edit."""
        return Made(source.texts, (), float(self._prior(sum(map(len, texts.values())))[0]))

    def _prior(self, words: int) -> NDArray[np.float64]:
        vocabulary = 0 if self.tools.filler is None else self.tools.filler.vocabulary
        return log_edit_prior(words, self.config.alpha, self.config.edit_prior, vocabulary)

    def _places(self, texts: dict[int, Words], draw: Draw) -> tuple[list[Place], float]:
        """The places of a draw, and ``log P(d) - log C(m, d)``."""
        every = [(side, i) for side, words in texts.items() for i in range(len(words))]
        logs = self._prior(len(every))
        sums = np.exp(logs).cumsum()
        d = int(min(np.searchsorted(sums, draw.uniform() * sums[-1], side="right"), len(every)))
        ways = math.lgamma(len(every) + 1) - math.lgamma(d + 1) - math.lgamma(len(every) - d + 1)
        return sorted(draw.some(every, d)), float(logs[d]) - ways
