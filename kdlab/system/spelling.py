"""One spelling of a name, whatever its case, blanks and hyphens."""

from __future__ import annotations


def plain(name: str) -> str:
    """Lower case, stripped, with ``_`` for blanks and hyphens: ``Not-Entailment`` becomes ``not_entailment``."""
    return str(name).strip().lower().replace("-", "_").replace(" ", "_")
