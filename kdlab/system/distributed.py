"""Several processes: which one this is, and how they exchange values.

kdlab starts processes with torchrun, or is started by torchrun or SLURM; every process runs the whole program, and what
must happen once happens on rank 0. With one process the functions here do nothing and cost nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from kdlab.errors import MethodError, Terminated

T = TypeVar("T")
_PATIENCE = timedelta(days=7)  # other ranks wait while rank 0 makes a cache entry


def processes() -> int:
    """How many processes torchrun or SLURM's srun started, this one included; 1 without either.

    Under SLURM only a step made by srun counts: a shell inside an allocation of many tasks is one process.
    """
    if "RANK" in os.environ:
        return int(os.environ.get("WORLD_SIZE", 1))
    in_step = "SLURM_PROCID" in os.environ and "SLURM_STEP_NUM_TASKS" in os.environ
    return int(os.environ["SLURM_STEP_NUM_TASKS"]) if in_step else 1


def launched() -> bool:
    """Whether torchrun or srun started this process as one of several."""
    return processes() > 1


def local_world_size() -> int:
    """Processes of this run on this machine."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    return max(world_size() // int(os.environ.get("SLURM_STEP_NUM_NODES", 1)), 1)


def world_size() -> int:
    """Processes of this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def number() -> int:
    """This process's number from 0, also before ``join``."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) if launched() else 0


def join(gpu: bool) -> None:
    """Joins the process group, where there are several processes."""
    if not launched() or dist.is_initialized():
        return
    if "RANK" not in os.environ:  # SLURM's names
        os.environ["RANK"] = os.environ["SLURM_PROCID"]
        os.environ["WORLD_SIZE"] = os.environ["SLURM_STEP_NUM_TASKS"]
        os.environ["LOCAL_RANK"] = os.environ["SLURM_LOCALID"]
        os.environ.setdefault("MASTER_ADDR", os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1"))
        os.environ.setdefault("MASTER_PORT", str(15000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 10000))
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=_PATIENCE)


def leave() -> None:
    """Leaves the process group."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def broadcast(value: T) -> T:
    """Rank 0's value, on every rank."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def agree(flag: bool, what: str) -> bool:
    """The flag, which must be alike on every rank: others would wait for ever for those that do less.

    Args:
        flag: This rank's.
        what: What it says, for the message.

    Raises:
        MethodError: It differs.
    """
    if world_size() == 1:
        return flag
    count = torch.tensor(int(flag))
    dist.all_reduce(count)
    if 0 < int(count) < world_size():
        raise MethodError(f"{what} in some of the processes only: decide it by the batch that they share")
    return flag


def gather(value: T) -> list[T]:
    """Every rank's value, in the order of ranks, on every rank."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


class _GatherRows(torch.autograd.Function):
    """Collects every process's rows of a global batch; the gradients of all processes are summed into the rows."""

    @staticmethod
    def forward(ctx: Any, local: torch.Tensor, rows: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(rows)
        global_rows = local.new_zeros(size, *local.shape[1:])
        global_rows[rows] = local
        dist.all_reduce(global_rows)
        return global_rows

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        gradient = grads[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[rows], None, None


def gather_rows(local: torch.Tensor, rows: torch.Tensor | None, size: int) -> torch.Tensor:
    """The rows of a global batch, with gradient.

    Args:
        local: This process's rows, ``(b, U)``.
        rows: Their positions in the global batch, ``(b,)``; None with one process.
        size: B, the number of examples in the global batch.

    Returns:
        ``(B, U)`` on every process, however the rows are spread over them.
    """
    if rows is None or world_size() == 1:
        return local
    return _GatherRows.apply(local, rows, size)  # type: ignore[no-any-return,no-untyped-call]


def barrier() -> None:
    """Waits until every process is here."""
    if world_size() > 1:
        broadcast(None)
        gather(None)


def relaunch(words: Sequence[str], devices: int) -> int:
    """Runs the same command in several processes on this machine.

    Args:
        words: The command line after ``kdlab``.
        devices: How many processes.

    Returns:
        The exit code.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    with subprocess.Popen([*command, "-m", "kdlab", *words]) as started:
        try:
            return started.wait()
        except KeyboardInterrupt as error:
            if isinstance(error, Terminated):  # Ctrl-C reaches the whole group by itself
                started.terminate()
            started.wait()
            raise
