"""A finished run, as its folder tells of it, and its teacher where it still is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdlab.data.sources import find_task
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint, cached_on_disk, head_order, load_encoder, resolve_checkpoint
from kdlab.models.encoder import TextEncoder, usable_positions
from kdlab.planning.teacher import AS_IS, key_as_is
from kdlab.results.record import RunFolder
from kdlab.results.run_record import METRICS, RunRecord
from kdlab.system.cache import Cache
from kdlab.system.foreign import door, read_yaml

CONFIG = "config.yaml"


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, as its folder tells of it.

    Attributes:
        folder: Where it lies.
        record: Its figures.
        task_setting: What ``task`` was set to: a name, or a task file.
        teacher_labels: What ``teacher.labels`` was set to.
        eval_batch_size: Examples a batch of evaluation; 0 takes what is fastest.
        student: The student's checkpoint.
        labels: The task's labels in the order of the student's outputs; empty for a score.
        data: The settings of its data, as its configuration has them.
        profile: What ``profile`` was set to.
    """

    folder: RunFolder
    record: RunRecord
    task_setting: str
    teacher_labels: list[str] | None
    eval_batch_size: int
    student: Checkpoint
    labels: tuple[str, ...]
    data: dict[str, Any] = field(default_factory=dict)
    profile: str = "auto"

    @property
    def order(self) -> list[int]:
        """The student's outputs, which stand in the task's order."""
        return list(range(max(len(self.labels), 1)))

    @property
    def on_embedded(self) -> bool:
        """Whether it learned from the embedded corpus."""
        return self.record.source.embedded

    @property
    def aliases(self) -> dict[str, str]:
        """Other spellings of the task's labels; a record that doesn't say them yet has them in its task's file."""
        if self.record.aliases is not None:
            return dict(self.record.aliases)
        try:
            return find_task(self.task_setting)[0].aliases
        except KdlabError:
            return {}


def open_run(path: Path) -> FinishedRun:
    """Reads what a run's folder says.

    Raises:
        KdlabError: It is no folder, no run, not finished, or has no student.
    """
    folder = RunFolder(path)
    if not path.is_dir():
        what = "is a file, not a run's folder" if path.exists() else "is not there"
        raise KdlabError(f"{path} {what}: give the folder that kdlab run printed behind 'Record:'.")
    record = folder.finished()
    if record is None and (path / CONFIG).is_file() and not (path / METRICS).exists():
        raise KdlabError(
            f"The run in {path} is not finished, for it has no {METRICS}: give its kdlab run command again."
        )
    if record is None:
        what = "can't be read" if (path / METRICS).exists() else "is not there"
        raise KdlabError(f"{path} is no finished run: {METRICS} {what}: give the folder of one.")
    config = _read_config(path)
    if not (path / "student").is_dir():
        raise KdlabError(
            f"The run in {path} has no student: its folder student/ is gone, so run it again with --fresh."
        )
    try:
        student = resolve_checkpoint(str((path / "student").resolve()), offline=True)
        student.check()
    except KdlabError as e:
        raise KdlabError(f"The student of the run in {path} can't be used, so run it again with --fresh: {e}") from e
    labels = student.head_labels if student.config.problem_type != "regression" else ()
    if record.max_length > usable_positions(student.config):
        raise KdlabError(
            f"{path / METRICS}: field 'max_length' holds {record.max_length}, and the student has positions for "
            f"{usable_positions(student.config)} tokens: run it again with --fresh."
        )
    return FinishedRun(
        folder=folder,
        record=record,
        task_setting=str(config["task"]),
        teacher_labels=config["teacher"]["labels"],
        eval_batch_size=int(config["training"]["eval_batch_size"]),
        student=student,
        labels=labels,
        data=dict(config.get("data") or {}),
        profile=str(config.get("profile", "auto")),
    )


def _read_config(path: Path) -> dict[str, Any]:
    """The configuration of a run, with the settings that ``FinishedRun`` takes from it."""
    config, _ = read_yaml(path / CONFIG)
    with door(
        path / CONFIG, "it was changed by hand: run it again with --fresh", "lacks what a run's configuration says"
    ):
        _ = str(config["task"]), config["teacher"]["labels"]
        labels, size = config["teacher"]["labels"], config["training"]["eval_batch_size"]
        if type(size) is not int or size < 0:
            raise ValueError(f"training.eval_batch_size is {size!r:.40}")
        if labels is not None and not (isinstance(labels, list) and all(isinstance(name, str) for name in labels)):
            raise ValueError("teacher.labels is no list of names")
    return dict(config)


def find_teacher(run: FinishedRun, cache: Cache) -> tuple[TextEncoder | None, str]:
    """The run's teacher, from the cache or as the checkpoint it was, or why it is not to be had."""
    key, teacher = run.record.fingerprints.teacher, run.record.teacher
    if key is None or teacher is None:
        return None, ""
    cached = cache.find("teacher", key)
    if cached is not None:
        try:
            return load_encoder(Checkpoint(cached, "the cache"), run.labels, run.order, 0), ""
        except KdlabError as e:
            return None, f"The teacher in the cache can't be loaded any more ({e})"
    if teacher.status != AS_IS:
        return None, f"The teacher fine-tuned from {teacher.source} is no longer in the cache"
    if not cached_on_disk(teacher.source):
        return None, f"The teacher {teacher.source} is not where it was"
    try:
        checkpoint = resolve_checkpoint(teacher.source, offline=True)
        if run.teacher_labels is not None:
            checkpoint = checkpoint.with_labels(run.teacher_labels)
        rows = head_order(checkpoint, run.labels, run.aliases)
        if rows is None or key_as_is(checkpoint, rows) != key:
            return None, f"The teacher {teacher.source} is another than the run's"
        return load_encoder(checkpoint, run.labels, rows, 0), ""
    except KdlabError as e:
        return None, f"The teacher {teacher.source} can't be loaded any more ({e})"
