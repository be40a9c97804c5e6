"""``python -m experiments.benchmarks.device``: methods at BERT-base's shapes on one GPU, in bf16.

For each case: samples a second, peak memory of the tensors, the share that its matrix products and attention have of
the card's own rate of bf16 products (measured first), and what bounds it: a GPU that waits for the program (``idle``),
or the kernels it spends its time in. ``kd`` is also trained by a loop written by hand. Lines come as they are measured,
so that a run that is cut short leaves what it has; the figures also go to a JSON file.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from experiments.benchmarks import reference
from experiments.benchmarks.reference_text import N_G, N_S
from experiments.benchmarks.world import RATE, SEED, Lengths, Setting, encoders, train_case
from kdlab.data.batches import BucketSampler
from kdlab.evaluation.predict import predict
from kdlab.system.hardware import Hardware
from kdlab.system.quiet import quiet_libraries

CASES = ("kd", "mixkd", "ad2", "mate_kd")
BY_HAND = "kd, by hand"
SKIPPED = 10  # steps of warming up
EVALUATED = (32, 64, 128, 256, 512, 1024, 2048)
# names of CUDA's kernels, tried in this order
KERNELS = {
    "attention": re.compile(r"flash|fmha|sdpa|attention", re.IGNORECASE),
    "products": re.compile(r"gemm|nvjet|cutlass|xmma|cublas|triton_tem|splitk", re.IGNORECASE),
    "optimiser": re.compile(r"multi_tensor|adam|foreach", re.IGNORECASE),
}


class SyncedClock:
    """Notes when two steps have ended on the GPU, and profiles what lies between them where that is asked for.

    Args:
        first: Number of the step, from 0, behind which it begins.
        last: Number of the step behind which it ends.
        profiled: Whether kernels are recorded, which makes the times of no use.
    """

    def __init__(self, first: int, last: int, profiled: bool = False) -> None:
        self.first, self.last, self.step = first, last, 0
        self.began = self.ended = 0.0
        watched = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
        self.profile = profile(activities=[watched]) if profiled else None

    def __call__(self) -> None:
        """A step is done, as far as the program is concerned."""
        if self.step == self.first:
            _synchronize()
            if self.profile is not None:
                self.profile.start()
            self.began = time.perf_counter()
        elif self.step == self.last:
            _synchronize()
            self.ended = time.perf_counter()
            if self.profile is not None:
                self.profile.stop()
        self.step += 1

    @property
    def seconds(self) -> float:
        """Between the two."""
        return self.ended - self.began

    def kernels(self) -> dict[str, float]:
        """Seconds of GPU time by kind of kernel."""
        found: Counter[str] = Counter()
        for event in self.profile.events() or () if self.profile is not None else ():
            kind = next((kind for kind, pattern in KERNELS.items() if pattern.search(event.name)), "others")
            found[kind] += event.device_time_total / 1e6
        return dict(found)


@dataclass(frozen=True)
class Case:
    """One line of the table; see the module for what is measured."""

    name: str
    batch: int
    length: int | None
    compiled: bool

    def setting(self, device: str) -> Setting:
        """BERT-base teaches its lower six layers."""
        hardware = Hardware(device, 1, "bf16-mixed", self.compiled)
        return Setting(hardware, self.batch, 768, 12, self.length)

    def window(self, steps: int) -> tuple[int, int, int]:
        """Steps in all, and the first and last that are timed; a whole cycle of a method whose players take turns."""
        return (
            (2 * N_G + N_S, N_G - 1, 2 * N_G + N_S - 1) if self.name == "mate_kd" else (steps, SKIPPED - 1, steps - 1)
        )


def train(case: Case, steps: int, device: str, folder: Path, clock: Any) -> None:
    """One training of a case, by kdlab or by hand."""
    if case.name != BY_HAND:
        train_case(case.name, steps, case.setting(device), folder, clock)
        return
    _, student = encoders(width=768, layers=12)
    where = torch.device("cuda" if device == "gpu" else "cpu")
    model = student.model.to(where)
    if case.compiled:
        model.forward = torch.compile(model.forward, dynamic=True)
    split = Lengths(steps * case.batch, case.length)
    logits = torch.from_numpy(split.teacher_logits).to(where)
    split.teacher_logits = None
    loader = DataLoader(
        split,
        batch_sampler=BucketSampler(split.lengths, case.batch, SEED),
        collate_fn=split.collate,
        pin_memory=device == "gpu",
    )
    batches = (batch.to(where) for batch in loader)
    reference.train(model, reference.kd_loss(model, logits), batches, steps, RATE, True, clock)


def count_operations(case: Case, folder: Path, device: str) -> float:
    """Floating-point operations of a step's matrix products and attention: what more steps add, evaluation aside.

    Counting slows the program down several times over, so the runs are as short as they can be.
    """
    counts = []
    shorter, longer = (N_G + N_S, 2 * (N_G + N_S)) if case.name == "mate_kd" else (4, 12)
    for steps in (shorter, longer):
        gc.collect()
        with FlopCounterMode(display=False) as counter:
            train(case, steps, device, folder, lambda: None)
        counts.append(counter.get_total_flops())
    return (counts[1] - counts[0]) / (longer - shorter)


def measure(case: Case, steps: int, device: str, folder: Path, operations: float, peak: float) -> dict[str, Any]:
    """Speed and memory from one training, the kernels from a second."""
    steps, first, last = case.window(steps)
    _reset()
    clock = SyncedClock(first, last)
    train(case, steps, device, folder, clock)
    memory = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    a_step = clock.seconds / (last - first)
    _reset()
    profiled = SyncedClock(first, last, profiled=True)
    train(case, steps, device, folder, profiled)
    kernels = profiled.kernels()
    shares = {kind: seconds / clock.seconds for kind, seconds in kernels.items()}
    return {
        "case": case.name,
        "batch": case.batch,
        "length": case.length or "SST-2",
        "compiled": case.compiled,
        "samples/s": case.batch / a_step,
        "ms a step": 1000 * a_step,
        "peak MiB": memory,
        "share of the peak": operations / a_step / peak,
        "idle": max(0.0, 1 - sum(shares.values())),
        **{kind: shares.get(kind, 0.0) for kind in (*KERNELS, "others")},
    }


def measure_peak(size: int = 8192) -> float:
    """Operations a second of a product of two square bf16 matrices, median of ten."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(13):
        _synchronize()
        started = time.perf_counter()
        a @ b
        _synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(seconds[3:])


def evaluations(device: torch.device, examples: int) -> Iterator[dict[str, float]]:
    """Samples a second and memory of the student's answers on SST-2's lengths, by size of the batch, in fp32."""
    _, student = encoders(width=768, layers=12)
    split = Lengths(examples)
    predict(student, split, 128, device)
    for batch in EVALUATED:
        _reset()
        cost = statistics.median(predict(student, split, batch, device).cost.seconds for _ in range(3))
        memory = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
        yield {"batch": batch, "samples/s": examples / cost, "peak MiB": memory}


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reset() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what fits into the time and prints it line by line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.device", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("runs/device.json"))
    parser.add_argument("--minutes", type=float, default=60, help="no case begins later than that")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--cases", nargs="+", default=[BY_HAND, *CASES], choices=[BY_HAND, *CASES])
    parser.add_argument("--lengths", nargs="+", default=["128", "SST-2"], choices=["128", "SST-2"], help="of inputs")
    parser.add_argument("--modes", nargs="+", default=["eager", "compiled"], choices=["eager", "compiled"])
    parser.add_argument("--cpu", action="store_true", help="try the script itself on the CPU")
    asked = parser.parse_args(argv)
    if asked.steps < SKIPPED + 2:
        parser.error(f"--steps {asked.steps}: the first {SKIPPED} are not timed, so it takes {SKIPPED + 2} or more")
    if not asked.cpu and not torch.cuda.is_available():
        parser.error(f"torch {torch.__version__} finds no CUDA device here; --cpu tries the script without one")
    device = "cpu" if asked.cpu else "gpu"
    quiet_libraries()
    began = time.perf_counter()
    peak = measure_peak(256 if asked.cpu else 8192)
    name = "CPU" if asked.cpu else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}: {peak / 1e12:.1f} TFLOP/s of bf16 products", flush=True)
    found: dict[str, Any] = {"device": name, "torch": torch.__version__, "peak": peak, "evaluation": [], "cases": []}
    operations: dict[Case, float] = {}

    def keep() -> None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    with tempfile.TemporaryDirectory() as folder:
        for row in evaluations(torch.device("cpu" if asked.cpu else "cuda"), 200 if asked.cpu else 20_000):
            found["evaluation"].append(row)
            print(f"evaluation, batch {row['batch']}: {row['samples/s']:.0f} samples/s, {row['peak MiB']:.0f} MiB")
        keep()
        order = [
            Case(case, batch, 128 if length == "128" else None, mode == "compiled")
            for mode in asked.modes
            for length in asked.lengths
            for batch in asked.batches
            for case in asked.cases
        ]
        for case in order:
            if time.perf_counter() - began > 60 * asked.minutes:
                print(f"not measured for want of time: {case}")
                continue
            # inputs of one length: a batch of eight times the size takes eight times the operations
            counted = replace(case, batch=min(asked.batches) if case.length else case.batch, compiled=False)
            if counted not in operations:
                operations[counted] = count_operations(counted, Path(folder), device)
            needed = operations[counted] * case.batch / counted.batch
            row = measure(case, asked.steps, device, Path(folder), needed, peak)
            found["cases"].append(row)
            shown = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
            print(f"{time.perf_counter() - began:4.0f} s: {shown}", flush=True)
            keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
