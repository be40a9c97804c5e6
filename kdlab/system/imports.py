"""Imports of large libraries, which Python's garbage collector need not look through."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def large_imports() -> Iterator[None]:
    """Keeps the garbage collector from what is imported inside, now, later, and when the process ends.

    Modules, classes and functions stay for good. The collector would look through all of them each time that their
    number has grown by a quarter, and again at the end of the process: with torch, lightning and transformers .9 s of
    3.3 s of imports, and .9 s at the end (docs/speed.md).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.freeze)
        if was_enabled:
            gc.enable()
