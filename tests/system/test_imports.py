"""The garbage collector and what is imported for good."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

WATCHED = """
import gc
from kdlab.system.imports import large_imports

runs = []
gc.callbacks.append(lambda phase, _: runs.append(phase))
with large_imports():
    import email.mime.text, http.client, unittest.mock, xml.dom.minidom
assert not runs, runs
assert gc.isenabled()
assert gc.get_freeze_count() > 10_000, gc.get_freeze_count()

class Loop:
    pass

garbage = Loop()
garbage.itself = garbage
del garbage
assert gc.collect() > 0  # what is made later is collected as ever
"""


def test_what_is_imported_is_not_looked_through_and_what_comes_later_is() -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_failing_import_leaves_the_collector_as_it_was() -> None:
    from kdlab.system.imports import large_imports

    with pytest.raises(ImportError), large_imports():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    try:
        with large_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
