"""What is to be known of the figures in a study's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdlab.data.domains import BOTH
from kdlab.pipeline.victims import ATTACKS, STUDENT
from kdlab.results.attacks import FIGURES, read_attacks
from kdlab.results.run_record import RunRecord
from kdlab.studies.schema import CELLS, STATISTICS, Study
from kdlab.system.foreign import door

LIMITS = ("data.limit_train", "data.target_per_class")

Runs = Sequence[tuple[RunRecord, Path]]
"""Records of one cell, with their folders."""
Results = Mapping[tuple[str, str], Runs]
"""Row and task to the records of its seeds."""


def notes_on(study: Study, results: Results) -> list[str]:
    """Sentences that stand below a table.

    Args:
        study: The study.
        results: Its finished runs.
    """
    records = [record for runs in results.values() for record, _ in runs]
    notes = []
    if records:
        counts = sorted({len(runs) for runs in results.values() if runs})
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        kind = {"median": "median", "best": "best"}.get(study.statistic, "mean")
        beside = "; in brackets the paper's" if study.paper or study.elsewhere else ""
        beside += f"{'' if beside else '; in brackets'}{' and' * bool(beside)} its logs'" if study.logs else ""
        of = "" if study.rows_are == CELLS else f" of the mean over {len(study.rows)} cells"
        notes.append(
            f"Ours: {kind} ± standard deviation{of} over {seeds} seed{'s' * (counts != [1])}, in points{beside}."
        )
    if study.paper:
        runs = f" of {study.runs}" if study.runs else ""
        searched = "; ".join(f"{key} of {', '.join(map(str, values))}" for key, values in study.search.items())
        notes.append(
            f"The paper: {STATISTICS[study.statistic]}{runs}{f', searched over {searched}' if searched else ''}."
        )
    notes += _on_attacks(study, results) if records else []
    notes += _same_rows(study) if records else []
    notes += _teachers_domains(results)
    if any(record.source.embedded for record in records):
        notes.append("EMBEDDED CORPUS: kdlab's own grammar, not GLUE; a paper's figures are GLUE's.")
    substituted = dict.fromkeys(text for record in records for text in record.substituted)
    if substituted:
        notes.append(f"SUBSTITUTED: {'; '.join(substituted)}.")
    return notes


def _on_attacks(study: Study, results: Results) -> list[str]:
    """What attacks are, on what, and what stands in for their resources."""
    if not any(study.attacks_of(task) for task in study.tasks):
        return []
    known = [entry for runs in results.values() for _, folder in runs for entry in _entries(folder)]
    notes = [
        "aua: accuracy under attack; drop: by how much that is less than without; success: attacks that succeed, of "
        "those made; words changed: in these, in percent; queries: of an attack. Without a recipe's name: the mean of "
        "all. [low, high]: 95 % interval (Wilson) of one run."
    ]
    asked = dict.fromkeys(
        f"{e['examples']} of {e['task']}'s {e['split']} (seed {e['seed']}, {e['mode']})" for e in known
    )
    notes += [f"Attacked: {'; '.join(asked)}."] if asked else []
    substituted = dict.fromkeys(text for entry in known for text in entry["substituted"])
    return notes + ([f"SUBSTITUTED in attacks: {'; '.join(substituted)}."] if substituted else [])


def _entries(folder: Path) -> list[dict[str, Any]]:
    """What is recorded of the attacks on a run's student."""
    where = folder / ATTACKS / STUDENT
    entries = list(read_attacks(where).values())
    with door(where / FIGURES, "remove it, and the attacks are shown again"):
        for entry in entries:
            _ = [entry[name] for name in ("examples", "task", "split", "seed", "mode")], list(entry["substituted"])
    return entries


def _same_rows(study: Study) -> list[str]:
    """That seeds share a small training set, where one is drawn and no cell draws another."""
    limited = any(cell.settings.get(key) for cell in study.cells for key in LIMITS)
    if not limited or any(cell.settings.get("data.split_seed") for cell in study.cells):
        return []
    return [
        "All seeds have the same training rows and the same teacher; they differ in what training draws. Intervals say "
        "nothing of other rows (data.split_seed draws others)."
    ]


def _teachers_domains(results: Results) -> list[str]:
    """Which domains' rows the teachers are made of, where there is a source domain."""
    rows: dict[str, list[str]] = {}
    for (row, _), runs in results.items():
        for domain in dict.fromkeys(record.teacher.domain for record, _ in runs if record.teacher is not None):
            if domain is not None and row not in rows.setdefault(domain, []):
                rows[domain].append(row)
    words = {domain: "both domains" if domain == BOTH else f"the {domain} domain" for domain in rows}
    if len(rows) == 1:
        return [f"Teachers are fine-tuned on rows of {words[next(iter(rows))]}."]
    return [
        f"The teacher of {', '.join(names)} is fine-tuned on rows of {words[domain]}." for domain, names in rows.items()
    ]
