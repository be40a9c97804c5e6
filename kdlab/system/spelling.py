"""One spelling of a name, whatever its case, blanks and hyphens."""

from __future__ import annotations

import unicodedata


def plain(name: str) -> str:
    """Lower case, stripped, with ``_`` for blanks and hyphens: ``Not-Entailment`` becomes ``not_entailment``.

    Accents are in Unicode's normal form C, so that one that was typed in two ways is one.
    """
    return unicodedata.normalize("NFC", str(name)).strip().lower().replace("-", "_").replace(" ", "_")
