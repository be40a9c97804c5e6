"""Memory of the process: what one step frees is kept for the next one."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8  # mallopt's numbers in glibc's malloc.h
_NEVER_TRIM, _LARGEST = 2**31 - 1, 2**30


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory in the process for the next step; elsewhere nothing is changed.

    glibc takes each buffer of some MiB from the system and gives it back when it is freed. A training step on the CPU
    frees all its activations, so the system would clear the same pages for it again at every step, which cost a small
    student an eighth of its time (docs/speed.md). All threads share one heap, so that what one of them has freed serves
    the others.

    Returns:
        Whether it is so now.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_ARENA_MAX, 1)
    if not mallopt(_TRIM_THRESHOLD, _NEVER_TRIM):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) or mallopt(_MMAP_MAX, 0))  # older ones limit the threshold
