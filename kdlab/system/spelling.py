"""One spelling of a name, whatever its capitals, blanks and hyphens."""

from __future__ import annotations


def plain(name: str) -> str:
    """Small letters, ``_`` for blanks and hyphens, none around: ``Not-Entailment`` is ``not_entailment``."""
    return str(name).strip().lower().replace("-", "_").replace(" ", "_")
