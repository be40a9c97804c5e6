"""The record of a run: one folder with everything needed to check, repeat and use it.

Out-of-domain sets add ``ood.json`` and ``predictions/ood-NAME.jsonl`` (see ``kdlab.results.ood``), and a method with a
generator adds ``augmented.jsonl``: samples of its text with the changed tokens marked (see
``kdlab.training.text_samples``).

::

    config.yaml         the resolved configuration
    environment.json    versions and machine
    fingerprints.json   data, teacher, tokenizer, run
    history/metrics.csv every loss term and validation metric over steps
    predictions/*.jsonl each example's gold label, the student's and the teacher's logits
    glue/*.tsv          predictions on unlabelled test splits in the GLUE server's format
    student/            the student as a Hugging Face folder with a model card
    metrics.json        the figures; written last, so a folder that has it is finished
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout
from torch import Tensor

from kdlab import __version__
from kdlab.data.examples import Examples
from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.results.run_record import METRICS, RunRecord
from kdlab.system.distributed import rank
from kdlab.system.files import check_name, check_whole, clear_parts, write_atomic
from kdlab.system.foreign import read_json, reason
from kdlab.system.shown import shown

_PACKAGES = ("torch", "lightning", "transformers", "datasets", "torchmetrics", "wandb", "omegaconf", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    def finished(self) -> RunRecord | None:
        """The figures of a finished run; None where there is no file or an incomplete one.

        Raises:
            KdlabError: A newer kdlab wrote them, or a field is missing or unknown.
        """
        try:
            content = read_json(self.path / METRICS, "run it again")
        except KdlabError:
            return None
        return RunRecord.from_json(content, self.path / METRICS)

    def damage(self, record: RunRecord) -> str:
        """What a finished run lacks of student and predictions, or has not whole; empty where nothing is."""
        files = ["student/config.json", "student/model.safetensors"]
        files += [f"predictions/{split}.jsonl" for split in record.student.metrics]
        for name in files:
            file = self.path / name
            if not file.is_file():
                return f"{name} is gone"
            try:
                check_whole(file)
            except KdlabError as error:
                return str(error)
        return ""

    @contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Locks the folder: another process with the same command waits and then finds the finished record.

        Args:
            say: Called with a sentence when another process holds the lock.

        Raises:
            KdlabError: The folder can't be written.
        """
        if rank() != 0:
            yield
            return
        try:
            lock = self._lock()
            try:
                lock.acquire(timeout=0)
            except Timeout:
                say(f"Another process is working on {self.path}: waiting for it.")
                lock.acquire()
        except OSError as e:
            raise unwritable(self.path, e) from e
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Locks the folder, unless another process has; yields whether it is locked for this one.

        Raises:
            KdlabError: The folder can't be written.
        """
        try:
            lock = self._lock()
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except OSError as e:
            raise unwritable(self.path, e) from e
        try:
            yield True
        finally:
            lock.release()

    def _lock(self) -> FileLock:
        locks = self.path.parent / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / self.path.name)

    def prepare(self, fresh: bool) -> None:
        """Makes the folder; it keeps the files of an interrupted run, so that training resumes from its checkpoint.

        With ``fresh`` a finished record is renamed to ``NAME.1``, … first.

        Raises:
            KdlabError: The folder can't be written.
        """
        try:
            if fresh and (self.path / METRICS).exists():
                self.path.rename(free_name(self.path))
            self.path.mkdir(parents=True, exist_ok=True)
            clear_parts(self.path)
        except OSError as e:
            raise unwritable(self.path, e) from e

    def drop_checkpoints(self) -> None:
        """Removes what only an unfinished run needs."""
        if rank() == 0:
            shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON or YAML file, chosen by the ending of its name."""
        if name.endswith(".json"):
            text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        else:
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        write_atomic(self.path / name, text)

    def write_predictions(
        self, split: str, spec: TaskSpec, examples: Examples, student: Tensor, teacher: Tensor | None
    ) -> None:
        """One JSON line an example: gold label, and each network's answer and logits.

        Args:
            split: Name of the split.
            spec: The task.
            examples: N examples.
            student: ``(N, C)`` logits.
            teacher: ``(N, C)`` logits, or None without a teacher.
        """
        lines = []
        for i in range(len(examples)):
            line: dict[str, Any] = {"id": examples.ids[i]}
            if examples.labels is not None:
                line["gold"] = examples.labels[i] if spec.regression else spec.labels[int(examples.labels[i])]
            for who, logits in (("student", student), ("teacher", teacher)):
                if logits is not None:
                    line[who] = answer(spec, logits[i])
                    line[f"{who}_logits"] = rounded(logits[i])
            lines.append(json.dumps(line, ensure_ascii=False))
        write_atomic(self.path / "predictions" / f"{split}.jsonl", "\n".join(lines) + "\n")

    def write_submission(self, name: str, spec: TaskSpec, examples: Examples, logits: Tensor) -> None:
        """A test file in the format of the GLUE server: header, then index and prediction.

        Args:
            name: File name, such as ``RTE.tsv``.
            spec: The task.
            examples: N unlabelled examples.
            logits: ``(N, C)``.
        """
        rows = ["index\tprediction"]
        for i in range(len(examples)):
            if spec.regression:
                low, high = spec.score_range or (0.0, 0.0)
                shown = f"{min(max(float(logits[i]), low), high):.3f}"
            else:
                label = int(logits[i].argmax())
                shown = spec.labels[label] if spec.submission_names else str(label)
            rows.append(f"{examples.ids[i]}\t{shown}")
        write_atomic(self.path / "glue" / name, "\n".join(rows) + "\n")


def answer(spec: TaskSpec, logits: Tensor) -> str | float:
    """The prediction of logits ``(C,)``: a label's name, or a score."""
    return round(float(logits[0]), 6) if spec.regression else spec.labels[int(logits.argmax())]


def rounded(logits: Tensor) -> list[float | None]:
    """Logits ``(C,)`` as records hold them; None for one that is NaN or infinite."""
    return [round(x, 6) if math.isfinite(x) else None for x in logits.tolist()]


def unwritable(path: Path, error: OSError) -> KdlabError:
    """The sentence for a folder that can't be written."""
    return KdlabError(
        f"The output folder {path} can't be written ({reason(error)}): choose another with --out, or, to evaluate "
        "what is in it, copy it to where you may write."
    )


def check_writable(out: Path) -> None:
    """Checks, before any work, that records can be written.

    Raises:
        KdlabError: The folder can't be made or written.
    """
    check_name(out, "Choose another output folder with --out")
    probe = out / f".kdlab-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as e:
        raise unwritable(out, e) from e


def environment(hardware: str) -> dict[str, Any]:
    """Versions and machine of this process."""
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "kdlab": __version__,
        "python": platform.python_version(),
        "packages": packages,
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "hardware": hardware,
        "command": [shown(word) for word in sys.argv],
    }


def free_name(path: Path) -> Path:
    """The first of ``NAME.1``, ``NAME.2``, … that is not taken."""
    n = 1
    while path.with_name(f"{path.name}.{n}").exists():
        n += 1
    return path.with_name(f"{path.name}.{n}")
