"""Words replaced by neighbours in counter-fitted word vectors (Mrkšić et al. 2016), as in the robustness study."""

from __future__ import annotations

from dataclasses import dataclass

from kdlab.augmentation.base import SwapSettings, TableSwap
from kdlab.errors import KdlabError
from kdlab.transformations.tables import NEIGHBOURS, STOP_WORDS


@dataclass
class EmbeddingSettings(SwapSettings):
    """Settings of ``embedding``.

    Attributes:
        least: Cosine of a neighbour at least. A file that lists neighbours without cosines has chosen for itself.
        most: Neighbours of a word that may take its place.
    """

    least: float = 0.8
    most: int = 50

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        super().validate(section)
        if not -1 <= self.least <= 1:
            raise KdlabError(f"{section}.least={self.least}: it is a cosine, from -1 to 1.")
        if self.most < 1:
            raise KdlabError(f"{section}.most={self.most}: it says how many neighbours, 1 or more.")


class EmbeddingSwap(TableSwap):
    """Content words replaced by a near one."""

    name = "embedding"
    Config = EmbeddingSettings
    kind = NEIGHBOURS
    wants = frozenset({NEIGHBOURS, STOP_WORDS})
