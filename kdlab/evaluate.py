"""``kdlab evaluate RUN --on SET …``: a finished run's student, and its teacher where it still is, out of domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from kdlab.data.batches import EncodedSplit, encode
from kdlab.data.ood.sets import ForeignSet, count_cut, find_set, read_sets, source_digest
from kdlab.data.ood.specs import Merge, choose_sets
from kdlab.data.sources import Hub, find_task
from kdlab.errors import KdlabError
from kdlab.evaluation.predict import Prediction, predict
from kdlab.models.checkpoint import Checkpoint, cached_on_disk, head_order, load_encoder, resolve_checkpoint
from kdlab.models.encoder import TextEncoder
from kdlab.results.ood import ood_figures, read_ood, record_ood, show_ood
from kdlab.results.record import METRICS, RunFolder
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank, wait
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.system.quiet import quiet_libraries
from kdlab.teacher import AS_IS, key_as_is, split_logits

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


def evaluate_runs(
    runs: Sequence[str], names: Sequence[str], folder: str | None, fresh: bool, accelerator: str
) -> list[dict[str, dict[str, Any]]]:
    """Evaluates finished runs out of domain; whatever is wrong is said before any work.

    Args:
        runs: Folders of runs.
        names: Sets, ``paws`` for both of its sets, ``all`` for those that fit.
        folder: ``--ood-dir``.
        fresh: Evaluates again what is recorded, and keeps the old figures.
        accelerator: ``auto``, ``cpu`` or ``gpu``.

    Returns:
        For each run the figures of each set that fits it.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    quiet_libraries()
    reporter, hub, cache = Reporter(quiet=rank() != 0), Hub(), Cache()
    cache.say = reporter.warn
    hardware = resolve_hardware(accelerator, 1, "32")
    work = []
    for name in runs:
        run = open_run(Path(name).expanduser().resolve())
        merges, said = choose_sets(names, run.task, run.labels, _aliases(run))
        for sentence in said:
            reporter.warn(sentence)
        asked = merges if fresh else [m for m in merges if not _is_recorded(run, m, folder, hub)]
        work.append((run, merges, read_sets(asked, folder, run.on_embedded, hub)))
    found = []
    for run, merges, sets in work:
        with run.folder.alone(reporter.say):  # an equal command may have worked on it in the meantime
            todo = [s for s in sets if fresh or not is_recorded(run, s.out.name, folder and source_digest(s.source))]
            wanted = [merge.out.name for merge in merges]
            found.append(evaluate_run(run, todo, wanted, hardware, cache, reporter))
    return found


def evaluate_run(
    run: FinishedRun,
    sets: Sequence[ForeignSet],
    wanted: Sequence[str],
    hardware: Hardware,
    cache: Cache,
    reporter: Reporter,
) -> dict[str, dict[str, Any]]:
    """Evaluates a run on sets, records each as soon as it is done, and shows the table.

    Args:
        run: The finished run.
        sets: What is to be answered.
        wanted: Names of the sets to be shown; those that are not in ``sets`` are recorded already.
        hardware: Where.
        cache: Where teachers and tokenised data are kept.
        reporter: Shows the table.
    """
    where = run.folder.path
    reporter.say(f"{run.metrics['method']} on {run.task}, seed {run.metrics['seed']}: {where}")
    done = [name for name in wanted if name not in [foreign.out.name for foreign in sets]]
    if done:
        reporter.say(f"Recorded already (--fresh evaluates again): {', '.join(done)}.")
    if sets:
        student = load_encoder(run.student, run.labels, list(range(len(run.labels))), 0)
        teacher, why = _teacher(run, cache)
        if why:
            reporter.warn(f"{why}: figures of the student alone.")
        size = int(run.config["training"]["eval_batch_size"])
        ask = Ask(run.student, int(run.metrics["max_length"]), size, hardware, cache)
        for foreign in sets:
            who = "student alone" if teacher is None else "student and teacher"
            reporter.say(f"Evaluating on {foreign.out.name}: {len(foreign.examples):,} examples, {who}.")
            ours = ask.predict(student, foreign)
            key = str(run.metrics["fingerprints"]["teacher"])
            theirs = None if teacher is None else ask.predict_teacher(teacher, key, foreign)
            entry = ood_figures(foreign, ours, theirs, ask.max_length, ask.cut(foreign), run.on_embedded)
            if rank() == 0:
                record_ood(run.folder, foreign, entry, ours, theirs)
    wait()
    entries = read_ood(run.folder)
    shown = {name: entries[name] for name in wanted}
    show_ood(shown, reporter, run.on_embedded)
    if run.metrics["substituted"]:
        reporter.say(f"SUBSTITUTED in its training: {'; '.join(run.metrics['substituted'])}.")
    return shown


@dataclass(frozen=True)
class Ask:
    """How a model is asked.

    Attributes:
        text: Checkpoint whose tokenizer reads the examples.
        max_length: Longest input in tokens.
        batch_size: Examples a forward pass.
        hardware: Where.
        cache: Where tokenised data is kept.
    """

    text: Checkpoint
    max_length: int
    batch_size: int
    hardware: Hardware
    cache: Cache

    def predict(self, encoder: TextEncoder, foreign: ForeignSet) -> Prediction:
        """The logits ``(N, C)`` of a student on a set."""
        return predict(encoder, self.encode(foreign), self.batch_size, self.hardware.device)

    def predict_teacher(self, encoder: TextEncoder, key: str, foreign: ForeignSet) -> Prediction:
        """The logits of a teacher, computed once for all its students."""
        name, split = foreign.out.name, self.encode(foreign)
        file = split_logits(encoder, key, split, name, self.batch_size, self.hardware, self.cache)
        return Prediction(torch.from_numpy(np.load(file)), 0.0)

    def encode(self, foreign: ForeignSet) -> EncodedSplit:
        """The set's examples, tokenised and cut."""
        text = self.text
        return encode(foreign.examples, text.tokenizer, text.tokenizer_fingerprint, self.max_length, self.cache)

    def cut(self, foreign: ForeignSet) -> int:
        """How many of its texts are longer than the model reads."""
        return count_cut(foreign.examples, self.encode(foreign), self.text.tokenizer, self.max_length)


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


def is_recorded(run: FinishedRun, name: str, digest: str | None) -> bool:
    """Whether a set's figures are there, of the file with this SHA-256 where one is given."""
    entry = read_ood(run.folder).get(name)
    return entry is not None and digest in (None, entry["source"]["sha256"])


def _is_recorded(run: FinishedRun, merge: Merge, folder: str | None, hub: Hub) -> bool:
    """Another file of the same set is another question; without ``--ood-dir`` any answer will do."""
    digest = None if folder is None else source_digest(find_set(merge.out, folder, run.on_embedded, hub))
    return is_recorded(run, merge.out.name, digest)


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
