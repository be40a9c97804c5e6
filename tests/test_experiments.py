"""The folder of measuring programs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOOK = "import os, sys, experiments; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"


@pytest.mark.parametrize(("asked", "policy"), [(None, "PASSIVE"), ("active", "active")])
def test_waiting_threads_of_its_programs_leave_the_cores_to_others(asked: str | None, policy: str):
    """What torch reads where it is imported, so that it is set before; what the user asked for stays."""
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if asked:
        env["OMP_WAIT_POLICY"] = asked
    done = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True, env=env)
    assert done.stdout.split() == [policy, "False"]
