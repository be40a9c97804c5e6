"""``kdlab evaluate RUN --on SET …``: a finished run's student, and its teacher where it still is, out of domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdlab.data.batches import EncodedSplit, encode
from kdlab.data.ood.sets import OODSet, count_truncated, find_set, read_sets, source_digest
from kdlab.data.ood.specs import AnswerableSet, choose_sets
from kdlab.data.sources import Hub
from kdlab.evaluation.predict import Prediction, predict
from kdlab.models.checkpoint import Checkpoint, load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.finished import FinishedRun, _aliases, _teacher, open_run
from kdlab.pipeline.teacher import split_logits
from kdlab.results.ood import ood_figures, read_ood, record_ood, show_ood
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import barrier, rank
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.system.quiet import quiet_libraries


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
        with run.folder.locked(reporter.say):  # an equal command may have worked on it in the meantime
            todo = [s for s in sets if fresh or not is_recorded(run, s.spec.name, folder and source_digest(s.source))]
            wanted = [merge.spec.name for merge in merges]
            found.append(evaluate_run(run, todo, wanted, hardware, cache, reporter))
    return found


def evaluate_run(
    run: FinishedRun,
    sets: Sequence[OODSet],
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
    done = [name for name in wanted if name not in [ood_set.spec.name for ood_set in sets]]
    if done:
        reporter.say(f"Recorded already (--fresh evaluates again): {', '.join(done)}.")
    if sets:
        student = load_encoder(run.student, run.labels, list(range(len(run.labels))), 0)
        teacher, why = _teacher(run, cache)
        if why:
            reporter.warn(f"{why}: figures of the student alone.")
        size = int(run.config["training"]["eval_batch_size"])
        predictor = Predictor(run.student, int(run.metrics["max_length"]), size, hardware, cache)
        for ood_set in sets:
            who = "student alone" if teacher is None else "student and teacher"
            reporter.say(f"Evaluating on {ood_set.spec.name}: {len(ood_set.examples):,} examples, {who}.")
            ours = predictor.predict(student, ood_set)
            key = str(run.metrics["fingerprints"]["teacher"])
            theirs = None if teacher is None else predictor.predict_teacher(teacher, key, ood_set)
            entry = ood_figures(
                ood_set, ours, theirs, predictor.max_length, predictor.count_truncated(ood_set), run.on_embedded
            )
            if rank() == 0:
                record_ood(run.folder, ood_set, entry, ours, theirs)
    barrier()
    entries = read_ood(run.folder)
    shown = {name: entries[name] for name in wanted}
    show_ood(shown, reporter, run.on_embedded)
    if run.metrics["substituted"]:
        reporter.say(f"SUBSTITUTED in its training: {'; '.join(run.metrics['substituted'])}.")
    return shown


@dataclass(frozen=True)
class Predictor:
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

    def predict(self, encoder: TextEncoder, ood_set: OODSet) -> Prediction:
        """The logits ``(N, C)`` of a student on a set."""
        return predict(encoder, self.encode(ood_set), self.batch_size, self.hardware.device)

    def predict_teacher(self, encoder: TextEncoder, key: str, ood_set: OODSet) -> Prediction:
        """The logits of a teacher, computed once for all its students."""
        name, split = ood_set.spec.name, self.encode(ood_set)
        file = split_logits(encoder, key, split, name, self.batch_size, self.hardware, self.cache)
        return Prediction(torch.from_numpy(np.load(file)), 0.0)

    def encode(self, ood_set: OODSet) -> EncodedSplit:
        """The set's examples, tokenised and cut."""
        text = self.text
        return encode(ood_set.examples, text.tokenizer, text.tokenizer_fingerprint, self.max_length, self.cache)

    def count_truncated(self, ood_set: OODSet) -> int:
        """How many of its texts are longer than the model reads."""
        return count_truncated(ood_set.examples, self.encode(ood_set), self.text.tokenizer, self.max_length)


def is_recorded(run: FinishedRun, name: str, digest: str | None) -> bool:
    """Whether a set's figures are there, of the file with this SHA-256 where one is given."""
    entry = read_ood(run.folder).get(name)
    return entry is not None and digest in (None, entry["source"]["sha256"])


def _is_recorded(run: FinishedRun, asked: AnswerableSet, folder: str | None, hub: Hub) -> bool:
    """Another file of the same set is another question; without ``--ood-dir`` any answer will do."""
    digest = None if folder is None else source_digest(find_set(asked.spec, folder, run.on_embedded, hub))
    return is_recorded(run, asked.spec.name, digest)
