"""What a process does with memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNTED = """
import resource
import torch
from kdlab.system.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        sum(torch.ones(2**22) for _ in range(4))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
given_back = faults()
assert keep_freed_memory()
faults()
print(given_back, faults())
"""


THREADS = """
import resource, threading
import torch
from kdlab.system.memory import keep_freed_memory

assert keep_freed_memory()
torch.set_num_threads(1)

def use():
    [torch.ones(2**18) for _ in range(256)]  # of 1 MiB each

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(4):
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")


@needs_glibc
def test_what_one_thread_frees_serves_the_others() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024  # KiB; a heap of its own would hold 256 MiB


@needs_glibc
def test_buffers_are_not_cleared_by_the_system_again() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 10_000  # pages of 4 KiB: ten times 16 MiB at the least, or this test shows nothing
    assert kept < given_back / 100


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from kdlab.system import memory

    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("asked the C library"))
    assert not memory.keep_freed_memory()
