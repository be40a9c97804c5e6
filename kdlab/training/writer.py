"""Checkpoint files, written by a thread of their own while the training goes on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from kdlab.errors import KdlabError
from kdlab.system.files import sync_folder, writing


class CheckpointWriter(TorchCheckpointIO):
    """Writes checkpoints one after the other, in the order in which they were handed over.

    Every file is written under another name, forced to disk and renamed before the next one is begun: after a kill at
    any moment each file is whole, and none is newer than one that was handed over before it. As a context manager it
    ends with all files written; an error in the thread is raised by ``wait``, at the latest there.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._under_way: list[Future[None]] = []

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Takes a copy of the state as it is now, which the next step does not change, and has it written."""
        self.write(copied(checkpoint), Path(path))

    def write(self, content: dict[str, Any], file: Path) -> None:
        """Has tensors and plain values written that nobody changes any more."""
        self._under_way.append(self._thread.submit(_write, content, file))

    def remove(self, files: Iterable[Path]) -> None:
        """Has files removed once those before are written."""
        self._under_way.append(self._thread.submit(_remove, list(files)))

    def wait(self) -> None:
        """Returns when all is written.

        Raises:
            KdlabError: A file can't be written.
        """
        jobs, self._under_way = self._under_way, []
        for job in jobs:
            job.result()

    def __enter__(self) -> CheckpointWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown()  # an interrupted training keeps what was being written, too
        if kind is None:
            self.wait()


def copied(value: Any) -> Any:
    """A nested value of plain containers; its tensors are copies in main memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(inner) for inner in value)
    return value


def _write(content: dict[str, Any], file: Path) -> None:
    part = file.with_name(f".{file.name}.part")
    try:
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as f:  # whose last flush is checked, which torch's own writer's is not
                torch.save(content, f)
                f.flush()
                os.fsync(f.fileno())
            part.replace(file)
            sync_folder(file.parent)
    except KdlabError:
        part.unlink(missing_ok=True)
        raise


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
