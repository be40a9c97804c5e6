"""Words replaced by a WordNet synonym, one of the augmenters of the robustness study."""

from __future__ import annotations

from kdlab.augmentation.base import SwapSettings, TableSwap
from kdlab.transformations.tables import STOP_WORDS, SYNONYMS


class WordNetSwap(TableSwap):
    """Content words replaced by a synonym of any of their senses."""

    name = "wordnet"
    Config = SwapSettings
    kind = SYNONYMS
    wants = frozenset({SYNONYMS, STOP_WORDS})
