"""Fixtures of models."""

from __future__ import annotations

import pytest


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are packed whichever processor this is."""
    monkeypatch.setattr("kdlab.models.packed.mkl_is_quick", lambda: False)
