"""A finished run, as its folder tells of it, and its teacher where it still is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kdlab.data.sources import find_task
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint, cached_on_disk, head_order, load_encoder, resolve_checkpoint
from kdlab.models.encoder import TextEncoder
from kdlab.planning.teacher import AS_IS, key_as_is
from kdlab.results.record import METRICS, RunFolder
from kdlab.system.cache import Cache

_CONFIG = "config.yaml"


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, as its folder tells of it.

    Attributes:
        folder: Where it lies.
        metrics: What ``metrics.json`` holds.
        config: What ``config.yaml`` holds.
        student: The student's checkpoint.
        labels: The task's labels in the order of the student's outputs; empty for a score.
    """

    folder: RunFolder
    metrics: dict[str, Any]
    config: dict[str, Any]
    student: Checkpoint
    labels: tuple[str, ...]

    @property
    def task(self) -> str:
        """Name of the task it learned."""
        return str(self.metrics["task"])

    @property
    def on_embedded(self) -> bool:
        """Whether it learned from the embedded corpus."""
        return bool(self.metrics["source"]["embedded"])


def open_run(path: Path) -> FinishedRun:
    """Reads what a run's folder says.

    Raises:
        KdlabError: It is no folder, no run, not finished, or has no student.
    """
    folder = RunFolder(path)
    if not path.is_dir():
        what = "is a file, not a run's folder" if path.exists() else "is not there"
        raise KdlabError(f"{path} {what}: give the folder that kdlab run printed behind 'Record:'.")
    metrics = folder.finished()
    if metrics is None and (path / _CONFIG).is_file() and not (path / METRICS).exists():
        raise KdlabError(
            f"The run in {path} is not finished, for it has no {METRICS}: give its kdlab run command again."
        )
    if metrics is None:
        what = "can't be read" if (path / METRICS).exists() else "is not there"
        raise KdlabError(f"{path} is no finished run: {METRICS} {what}: give the folder of one.")
    try:
        config = yaml.safe_load((path / _CONFIG).read_text(encoding="utf-8"))
        _ = (
            metrics["task"],
            metrics["source"]["embedded"],
            metrics["fingerprints"]["teacher"],
            int(metrics["max_length"]),
        )
        _ = (
            metrics["method"],
            metrics["seed"],
            metrics["substituted"],
            config["teacher"]["source"],
            config["training"]["eval_batch_size"],
        )
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as e:
        raise KdlabError(f"{path} is no run of kdlab's: {_CONFIG} or {METRICS} lacks what it must say ({e}).") from e
    if not (path / "student").is_dir():
        raise KdlabError(
            f"The run in {path} has no student: its folder student/ is gone, so run it again with --fresh."
        )
    student = resolve_checkpoint(str((path / "student").resolve()), offline=True)
    labels = student.head_labels if student.config.problem_type != "regression" else ()
    return FinishedRun(folder, metrics, config, student, labels)


def _teacher(run: FinishedRun, cache: Cache) -> tuple[TextEncoder | None, str]:
    """The run's teacher, from the cache or as the checkpoint it was, or why it is not to be had."""
    key = run.metrics["fingerprints"]["teacher"]
    if key is None:
        return None, ""
    order = list(range(len(run.labels)))
    kept = cache.find("teacher", key)
    if kept is not None:
        return load_encoder(Checkpoint(kept, "the cache"), run.labels, order, 0), ""
    source = str(run.metrics["teacher"]["source"])
    if run.metrics["teacher"]["status"] != AS_IS:
        return None, f"The teacher fine-tuned from {source} is no longer in the cache"
    if not cached_on_disk(source):
        return None, f"The teacher {source} is not where it was"
    try:
        checkpoint = resolve_checkpoint(source, offline=True)
        if run.config["teacher"]["labels"] is not None:
            checkpoint.config.id2label = dict(enumerate(run.config["teacher"]["labels"]))
        rows = head_order(checkpoint, run.labels, _aliases(run))
        if rows is None or key_as_is(checkpoint, rows) != key:
            return None, f"The teacher {source} is another than the run's"
        return load_encoder(checkpoint, run.labels, rows, 0), ""
    except KdlabError as e:
        return None, f"The teacher {source} can't be loaded any more ({e})"


def _aliases(run: FinishedRun) -> dict[str, str]:
    """Other spellings of the task's labels; a record that doesn't say them yet has them in its task's file."""
    if "aliases" in run.metrics:
        return dict(run.metrics["aliases"])
    try:
        return find_task(str(run.config["task"]))[0].aliases
    except KdlabError:
        return {}
