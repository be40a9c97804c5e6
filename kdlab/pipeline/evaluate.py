"""``kdlab evaluate RUN --on SET …``: a finished run's student, and its teacher where it still is, out of domain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdlab.data.ood.sets import OODSet, find_set, read_sets, source_digest
from kdlab.data.ood.specs import AnswerableSet, choose_sets
from kdlab.data.sources import Hub
from kdlab.models.checkpoint import load_encoder
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.finished import FinishedRun, find_teacher, open_run
from kdlab.pipeline.ood import Predictor, answer_sets
from kdlab.pipeline.teacher import LazyTeacher
from kdlab.results.ood import read_ood, show_ood
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import barrier, number
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.system.memory import keep_freed_memory
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
    keep_freed_memory()
    reporter = Reporter(quiet=number() != 0)
    hub, cache = Hub(), Cache(say=reporter.warn)
    hardware = resolve_hardware(accelerator, 1, "32")
    work = []
    for name in runs:
        run = open_run(Path(name).expanduser().resolve())
        asked, notes = choose_sets(names, run.record.task, run.labels, run.aliases)
        for sentence in notes:
            reporter.warn(sentence)
        missing = asked if fresh else [one for one in asked if not _is_recorded(run, one, folder, hub)]
        work.append((run, asked, read_sets(missing, folder, run.on_embedded, hub)))
    figures = []
    for run, asked, sets in work:
        with run.folder.locked(reporter.say):  # an equal command may have worked on it in the meantime
            todo = [s for s in sets if fresh or not is_recorded(run, s.spec.name, folder and source_digest(s.source))]
            wanted = [one.spec.name for one in asked]
            figures.append(evaluate_run(run, todo, wanted, hardware, cache, reporter))
    return figures


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
    record = run.record
    reporter.say(f"{record.method} on {record.task}, seed {record.seed}: {run.folder.path}")
    recorded = [name for name in wanted if name not in [ood_set.spec.name for ood_set in sets]]
    if recorded:
        reporter.say(f"Recorded already (--fresh evaluates again): {', '.join(recorded)}.")
    if sets:
        student = load_encoder(run.student, run.labels, run.order, 0)
        teacher, why = find_teacher(run, cache)
        if why:
            reporter.warn(f"{why}: figures of the student alone.")
        key = record.fingerprints.teacher
        known = None if teacher is None or key is None else _loaded(teacher, key, run)
        size = hardware.eval_batch(run.eval_batch_size)
        predictor = Predictor(run.student, record.max_length, size, hardware, cache, run.on_embedded)
        answer_sets(sets, student, known, predictor, run.folder, reporter)
    barrier()
    entries = read_ood(run.folder)
    shown = {name: entries[name] for name in wanted}
    show_ood(shown, reporter, run.on_embedded)
    if record.substituted:
        reporter.say(f"SUBSTITUTED in its training: {'; '.join(record.substituted)}.")
    return shown


def _loaded(teacher: TextEncoder, key: str, run: FinishedRun) -> LazyTeacher:
    return LazyTeacher(lambda: teacher, key, len(run.order))


def is_recorded(run: FinishedRun, name: str, digest: str | None) -> bool:
    """Whether a set's figures are there, of the file with this SHA-256 where one is given."""
    entry = read_ood(run.folder).get(name)
    return entry is not None and digest in (None, entry["source"]["sha256"])


def _is_recorded(run: FinishedRun, asked: AnswerableSet, folder: str | None, hub: Hub) -> bool:
    """Another file of the same set is another question; without ``--ood-dir`` any answer will do."""
    digest = None if folder is None else source_digest(find_set(asked.spec, folder, run.on_embedded, hub))
    return is_recorded(run, asked.spec.name, digest)
