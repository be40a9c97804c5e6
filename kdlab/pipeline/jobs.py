"""``--jobs N``: processes that work side by side on the runs of one command, each run claimed by its folder's lock.

The process that the user started makes what all runs share, the teachers and their answers, starts the others, and ends
by going through all runs as without ``--jobs``: it shows what they finished, and makes what one that was killed left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import torch

from kdlab.errors import KdlabError, Terminated
from kdlab.pipeline.context import RunContext
from kdlab.pipeline.execute import run_where_free
from kdlab.planning.plan import Plan
from kdlab.results.record import RunFolder
from kdlab.system.console import Reporter
from kdlab.system.distributed import launched

NUMBER = "KDLAB_JOB"
"""Environment variable of a process that works for another one: its number from 1."""


def number() -> str:
    """This process's number among those of ``--jobs``; empty where the user started it."""
    return os.environ.get(NUMBER, "")


def check_jobs(jobs: int, plans: Sequence[Plan], reporter: Reporter) -> None:
    """Says what is wrong with a number of processes before any work.

    Raises:
        KdlabError: It is none, or the runs themselves are spread over several processes.
    """
    if jobs < 1:
        raise KdlabError(f"--jobs {jobs}: it says how many processes work side by side, 1 or more.")
    if jobs == 1:
        return
    if launched() or any(plan.hardware.devices > 1 for plan in plans):
        raise KdlabError("--jobs gives each run a process of its own, and these runs have several: leave one out.")
    if jobs > cores() and any(plan.hardware.accelerator == "cpu" for plan in plans):
        reporter.warn(f"--jobs {jobs} on {cores()} cores: they will wait for each other.")


def share_out(plans: Sequence[Plan], jobs: int, words: Sequence[str], reporter: Reporter) -> bool:
    """Has processes work on the runs that are not finished; returns when they have ended.

    With ``--fresh`` finished records are set aside first.

    Args:
        plans: Their seeds are the runs.
        jobs: How many processes.
        words: The command line after ``kdlab`` that makes these plans.
        reporter: Hears of it.

    Returns:
        Whether they did, or at least older records were set aside for it.

    Raises:
        KdlabError: One of them ended with an error, which it has said.
    """
    if jobs < 2:
        return False
    open_runs = [(plan, seed) for plan in plans for seed in plan.seeds if _is_open(plan, seed, reporter)]
    jobs = min(jobs, len(open_runs))
    if jobs < 2:
        return bool(open_runs)
    for plan in {id(plan): plan for plan, _ in open_runs}.values():
        RunContext(plan, reporter).make_shared()
    reporter.say(f"{len(open_runs)} runs, {jobs} at a time.")
    started = []
    try:
        started = [_start(words, i, jobs) for i in range(jobs)]
        codes = [process.wait() for process in started]
    except KeyboardInterrupt as error:
        for process in started:
            if isinstance(error, Terminated):  # Ctrl-C reaches the whole group by itself
                process.terminate()
        for process in started:
            process.wait()
        raise
    if any(code > 0 for code in codes):
        raise KdlabError("One of the processes of --jobs ended with an error, which stands above; the others are done.")
    if any(codes):
        reporter.warn("A process of --jobs was killed: what it left is made now.")
    return True


def work(plans: Sequence[Plan], reporter: Reporter) -> None:
    """What one of the processes does: each run that is neither finished nor another's, until there is none."""
    done = True
    while done:
        done = False
        for plan in plans:
            context = RunContext(plan, reporter)  # one at a time, for each holds a teacher and its answers
            for seed in plan.seeds:
                done |= run_where_free(context, seed)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_open(plan: Plan, seed: int, reporter: Reporter) -> bool:
    folder = RunFolder(plan.folder(seed))
    with folder.locked(reporter.say):
        if plan.config.fresh:
            folder.prepare(fresh=True)
            return True
        return folder.finished() is None


def _start(words: Sequence[str], i: int, jobs: int) -> subprocess.Popen[bytes]:
    """One process with its share of the threads, and of the GPUs where there are any."""
    threads = max(min(torch.get_num_threads(), cores()) // jobs, 1)
    env = {**os.environ, NUMBER: str(i + 1), "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if torch.cuda.is_available():
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = named.split(",") if named else [str(n) for n in range(torch.cuda.device_count())]
        env["CUDA_VISIBLE_DEVICES"] = gpus[i % len(gpus)]
    return subprocess.Popen([sys.executable, "-m", "kdlab", *words], env=env)
