"""What work costs: wall time, CPU time and memory of this process."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

import torch

MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """Time that work took.

    Attributes:
        seconds: Wall time.
        cpu_seconds: CPU time of all threads of this process; NaN where it was not measured.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)

    def rounded(self) -> dict[str, float]:
        """As records say it, to the millisecond."""
        return {"seconds": round(self.seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}


class Meter:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._from = time.perf_counter(), time.process_time()

    def cost(self) -> Cost:
        """What has been spent since."""
        return Cost(time.perf_counter() - self._from[0], time.process_time() - self._from[1])


def begin_peak() -> None:
    """Starts the peaks of memory anew, where the system lets them."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if _gpu_in_use():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """Largest memory since ``begin_peak`` in MiB: ``process`` as the system sees it, ``gpu`` as torch allocated it.

    Where the system doesn't tell, ``process`` is missing; without a GPU in use, ``gpu`` is.
    """
    found = {}
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        found["process"] = round(int(line.split()[1]) / 1024, 1)
    if _gpu_in_use():
        found["gpu"] = round(torch.cuda.max_memory_allocated() / MIB, 1)
    return found


def _gpu_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
