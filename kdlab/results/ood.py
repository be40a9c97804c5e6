"""Out-of-domain figures: a model's scores on a set, their record, and the table of them.

In the folder of a run, ``ood.json`` maps each set to its figures and ``predictions/ood-NAME.jsonl`` holds each example.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from kdlab import __version__
from kdlab.data.ood.sets import OODSet, source_digest
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import accuracy_interval, divergence, f1_interval
from kdlab.evaluation.predict import Prediction
from kdlab.results.record import RunFolder, free_name, rounded, unwritable
from kdlab.system.console import Reporter
from kdlab.system.files import write_atomic
from kdlab.system.foreign import door, read_json, read_text

OOD_FILE = "ood.json"
_SCORES = {"accuracy": accuracy_interval, "f1": f1_interval}


def ood_figures(
    ood_set: OODSet, student: Prediction, teacher: Prediction | None, max_length: int, truncated: int, on_embedded: bool
) -> dict[str, Any]:
    """The entry of one set in ``ood.json``.

    Args:
        ood_set: The set, N examples.
        student: ``(N, C)`` logits over the task's labels.
        teacher: The teacher's, or None without a teacher.
        max_length: Longest input in tokens.
        truncated: How many texts are longer than that.
        on_embedded: Whether the model learned from the embedded corpus.
    """
    label_map, source = ood_set.label_map, ood_set.source
    labels = ood_set.spec.task.labels
    return {
        "kdlab": __version__,
        "source": {**asdict(source), "embedded": source.embedded, "sha256": source_digest(source)},
        "fingerprint": ood_set.fingerprint,
        "trained_on_embedded": on_embedded,
        "examples": len(ood_set.examples),
        "max_length": max_length,
        "cut": truncated,
        "labels": list(labels),
        "answers": {name: labels[i] for name, i in zip(label_map.labels, label_map.to, strict=True)},
        "merged": label_map.words,
        "student": _scores(ood_set, student.logits),
        "teacher": None if teacher is None else _scores(ood_set, teacher.logits),
        "divergence": None if teacher is None else divergence(student.logits, teacher.logits, regression=False),
    }


def answers(ood_set: OODSet, logits: Tensor) -> Tensor:
    """The set's label of each example, ``(N,)``: that of the largest logit, merged.

    Args:
        ood_set: The set.
        logits: ``(N, C)`` over the labels of the model's own task.
    """
    return torch.tensor(ood_set.label_map.to)[logits.argmax(-1)]


def _scores(ood_set: OODSet, logits: Tensor) -> dict[str, Any]:
    """Each metric with its interval and, by group and gold label, the accuracy."""
    spec = ood_set.spec.task
    predicted, gold = answers(ood_set, logits), torch.tensor(ood_set.examples.labels)
    scores: dict[str, Any] = {name: _SCORES[name](predicted, gold) for name in spec.metrics}
    if ood_set.groups is not None:
        scores["groups"] = {}
        for group in ood_set.spec.groups:
            member = torch.tensor([one == group for one in ood_set.groups])
            rows = {name: member & (gold == i) for i, name in enumerate(spec.labels)}
            scores["groups"][group] = {
                name: accuracy_interval(predicted[row], gold[row]) for name, row in rows.items() if row.any()
            }
    return scores


def read_ood(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """The out-of-domain figures of a run, by set; empty where there are none.

    Raises:
        KdlabError: The file exists but is not a record of kdlab's.
    """
    path = folder.path / OOD_FILE
    if not path.exists():
        return {}
    entries = read_json(path, "remove it, and its sets are evaluated again")
    if not isinstance(entries, dict):
        raise KdlabError(f"{path} is no record of figures out of domain: remove it, and its sets are evaluated again.")
    with door(path, "it was changed by hand: remove it, and its sets are evaluated again"):
        for name, entry in entries.items():
            _ = _body(name, entry), _notes(name, entry), entry["source"]["sha256"]  # whatever is asked of it later
    return entries


def record_ood(
    folder: RunFolder,
    ood_set: OODSet,
    entry: dict[str, Any],
    student: Prediction,
    teacher: Prediction | None,
) -> None:
    """Writes one set's predictions, and then adds its figures to those of other sets.

    Earlier figures of this set are kept: the old files get ``.1``, ``.2``, … appended to their names.

    Raises:
        KdlabError: The folder can't be written.
    """
    name, path = ood_set.spec.name, folder.path / OOD_FILE
    lines = folder.path / "predictions" / f"ood-{name}.jsonl"
    recorded = read_ood(folder)
    if name in recorded:
        write_atomic(free_name(path), read_text(path))
        try:
            if lines.exists():
                lines.rename(free_name(lines))
        except OSError as e:
            raise unwritable(folder.path, e) from e
    write_atomic(lines, _lines(ood_set, student, teacher))
    folder.write(OOD_FILE, {**recorded, name: entry})


def _lines(ood_set: OODSet, student: Prediction, teacher: Prediction | None) -> str:
    """One JSON line an example: gold label, group, and each network's answer and logits."""
    labels, examples = ood_set.spec.task.labels, ood_set.examples
    networks = {"student": student.logits} | ({} if teacher is None else {"teacher": teacher.logits})
    predicted = {who: answers(ood_set, logits).tolist() for who, logits in networks.items()}
    text = []
    for i, gold in enumerate(examples.labels or ()):
        line: dict[str, Any] = {"id": examples.ids[i], "gold": labels[int(gold)]}
        if ood_set.groups is not None:
            line[str(ood_set.spec.group)] = ood_set.groups[i]
        for who, logits in networks.items():
            line[who] = labels[predicted[who][i]]
            line[f"{who}_logits"] = rounded(logits[i])
        text.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(text)


def show_ood(entries: Mapping[str, dict[str, Any]], reporter: Reporter, on_embedded: bool) -> None:
    """Shows the table of a run's out-of-domain figures, with the notes needed to read it.

    Args:
        entries: From ``ood_figures``, by set.
        reporter: Where it is shown.
        on_embedded: Whether the model learned from the embedded corpus.
    """
    body = [row for name, entry in entries.items() for row in _body(name, entry)]
    reporter.table(["set", "part", "metric", "n", "student", "teacher"], body)
    reporter.say("[low, high] is the 95 % interval (Wilson). A model answers with the label of its largest logit.")
    if on_embedded:
        reporter.say(
            "EMBEDDED CORPUS: the model learned kdlab's own grammar, which its figures on other text only echo."
        )
    for name, entry in entries.items():
        if notes := _notes(name, entry):
            reporter.say(notes)


def _body(name: str, entry: dict[str, Any]) -> list[list[str]]:
    """The lines of a set in the table."""
    return [
        [name, part, metric, f"{ours['n']:,}", _shown(ours), "–" if theirs is None else _shown(theirs)]
        for part, metric, ours, theirs in _rows(entry)
    ]


def _notes(name: str, entry: dict[str, Any]) -> str:
    """What must be known to read a set's figures, as a sentence."""
    notes = [f"{entry['merged']} (by name)"] if entry["merged"] else []
    if entry["cut"]:
        notes.append(f"{entry['cut']:,} of {entry['examples']:,} texts cut to {entry['max_length']} tokens")
    if entry["source"]["embedded"]:
        notes.append("EMBEDDED CHALLENGE SET, written by kdlab's own grammar: NOT a figure of the published set")
    elif notes:
        notes.append(f"read from {entry['source']['where']}")
    return f"{name}: {'; '.join(notes)}." if notes else ""


def _rows(entry: dict[str, Any]) -> list[tuple[str, str, dict[str, float], dict[str, float] | None]]:
    """Part, metric, student's and teacher's figure, in the order of the table."""
    ours, theirs = entry["student"], entry["teacher"]
    rows = [("all", name, ours[name], theirs and theirs[name]) for name in ours if name != "groups"]
    for group, by_label in ours.get("groups", {}).items():
        for label, figure in by_label.items():
            rows.append((f"{group}, {label}", "accuracy", figure, theirs and theirs["groups"][group][label]))
    return rows


def _shown(figure: dict[str, float]) -> str:
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"
