"""Where training runs: devices and precision, checked against what the machine has."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import torch

from kdlab.errors import KdlabError, nearest
from kdlab.system.distributed import launched, processes

PRECISIONS = {
    "auto": "auto",
    "32": "32-true",
    "32-true": "32-true",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
    "16": "16-mixed",
    "16-mixed": "16-mixed",
}


@dataclass(frozen=True)
class Hardware:
    """Where training runs, resolved.

    Attributes:
        accelerator: ``cpu`` or ``gpu``.
        devices: How many.
        precision: Lightning's name for it.
        compile: Whether encoders are compiled.
    """

    accelerator: str
    devices: int
    precision: str
    compile: bool = False

    @property
    def arithmetic(self) -> str:
        """Everything that changes the numbers a device computes, for fingerprints."""
        return f"{self.precision}, compiled" if self.compile else self.precision

    @property
    def device(self) -> torch.device:
        """The device of plain forward passes."""
        return torch.device("cuda", torch.cuda.current_device()) if self.accelerator == "gpu" else torch.device("cpu")

    def eval_batch(self, asked: int) -> int:
        """Examples a batch of evaluation: as many as are asked for, or where 0 are, the fastest (docs/speed.md)."""
        return asked or (512 if self.accelerator == "gpu" else 32)

    def describe(self) -> str:
        """One line for the plan."""
        name = torch.cuda.get_device_name() if self.accelerator == "gpu" else f"CPU, {torch.get_num_threads()} threads"
        return f"{self.devices} × {name}, precision {self.arithmetic}"


def resolve_hardware(accelerator: str, devices: int, precision: str, compiled: bool = False) -> Hardware:
    """Checks the settings against what the machine has.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu`` (``cuda``).
        devices: Number of devices.
        precision: ``auto``, ``32``, ``bf16`` or ``16``; auto is bf16 on GPUs that have it and 32 elsewhere.
        compiled: Whether encoders are compiled by torch.compile.

    Raises:
        KdlabError: An unknown word, or a GPU or compiler that is not there.
    """
    known = {"auto": "auto", "cpu": "cpu", "gpu": "gpu", "cuda": "gpu"}
    if accelerator not in known:
        raise nearest(accelerator, known, "accelerator")
    if precision not in PRECISIONS:
        raise nearest(precision, PRECISIONS, "precision")
    chosen = known[accelerator]
    if chosen == "gpu" and not torch.cuda.is_available():
        raise KdlabError(
            f"--accelerator {accelerator} asks for CUDA, but torch {torch.__version__} finds no CUDA device here: "
            "use --accelerator cpu or auto, or install a CUDA build of torch."
        )
    if chosen == "auto":
        chosen = "gpu" if torch.cuda.is_available() else "cpu"
    available = torch.cuda.device_count() if chosen == "gpu" else os.cpu_count() or 1
    if launched():
        devices = processes()
    elif not 1 <= devices <= available:
        verb = "is" if available == 1 else "are"
        raise KdlabError(f"--devices {devices}: there {verb} {available} of kind '{chosen}' here.")
    resolved = PRECISIONS[precision]
    if resolved == "auto":
        native = chosen == "gpu" and torch.cuda.is_bf16_supported(including_emulation=False)
        resolved = "bf16-mixed" if native else "32-true"
    if resolved == "16-mixed" and chosen == "cpu":
        raise KdlabError("--precision 16 needs a GPU: use --precision bf16 or 32 on the CPU.")
    if compiled and not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++", "c++")):
        raise KdlabError("--compile needs a C++ compiler, which torch.compile calls: install g++, or leave it out.")
    return Hardware(chosen, devices, resolved, compiled)
