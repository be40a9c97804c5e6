"""What passes between the command and its first training step, in CPU seconds, with everything cached.

A process of its own runs kdlab's command line with marks between its stages, and ends at the first optimiser step.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMAND = ("run", "--method", "mixkd", "--task", "rte", "--profile", "embedded")


class StepMadeError(Exception):
    """The first step is done."""


def measure_startup(folder: Path, repeats: int = 3) -> dict[str, float]:
    """CPU seconds of each stage before the first step, medians over repeats; the caches are filled first."""
    _run(folder, "first")
    found = []
    for _ in range(repeats):
        command = [
            sys.executable,
            "-m",
            "experiments.benchmarks.startup",
            *COMMAND,
            "--fresh",
            "--out",
            str(folder / "out"),
        ]
        done = subprocess.run(command, env=_env(folder), capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {stage: sorted(marks[stage] for marks in found)[repeats // 2] for stage in found[0]}


def beyond_imports(seconds: dict[str, float]) -> float:
    """CPU seconds of ``measure_startup`` that are not spent on importing torch, lightning and transformers' BERT."""
    libraries = ("interpreter", "import torch", "import lightning", "import transformers")
    return seconds["together"] - sum(seconds[stage] for stage in libraries)


def measure_whole(folder: Path) -> float:
    """CPU seconds of a whole run with a teacher from the cache, as ``make run ARGS=--fresh`` makes it."""
    _run(folder, "first")
    before = _children()
    _run(folder, "second")
    return _children() - before


def _run(folder: Path, out: str) -> None:
    command = [sys.executable, "-m", "kdlab", *COMMAND, "--fresh", "--out", str(folder / out)]
    subprocess.run(command, env=_env(folder), capture_output=True, check=True)


def _env(folder: Path) -> dict[str, str]:
    return {**os.environ, "KDLAB_CACHE": str(folder / "startup-cache")}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(words: list[str]) -> None:
    """Runs kdlab with marks and prints the seconds of each stage as JSON."""
    marks = [("interpreter", time.process_time())]

    def mark(stage: str) -> None:
        marks.append((stage, time.process_time()))

    def marked(owner: Any, name: str, stage: str) -> None:
        whole = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = whole(*args, **kwargs)
            mark(stage)
            return result

        setattr(owner, name, wrapped)

    import torch

    mark("import torch")
    import lightning.pytorch

    mark("import lightning")
    import transformers.models.bert.modeling_bert

    _ = torch, lightning, transformers
    mark("import transformers")
    import kdlab.planning.plan
    from kdlab import cli
    from kdlab.methods.base import DistillModule
    from kdlab.pipeline import execute

    mark("import the rest")
    marked(kdlab.planning.plan, "make_plan", "plan: settings, corpus, checkpoints, tokenizer")
    marked(execute, "_prepare", "teacher's answers from the cache")
    marked(execute, "_build_student", "teacher from the cache, student")

    def first_step(module: DistillModule, *args: Any) -> None:
        mark("Trainer, data, first step")
        raise StepMadeError

    DistillModule.on_train_batch_end = first_step  # type: ignore[method-assign]
    with contextlib.suppress(StepMadeError):
        cli.main(words)
    seconds = {stage: round(at - marks[i - 1][1] if i else at, 3) for i, (stage, at) in enumerate(marks)}
    print(json.dumps({**seconds, "together": round(marks[-1][1], 3)}))


if __name__ == "__main__":
    main(sys.argv[1:])
