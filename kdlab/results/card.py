"""The model card of a student."""

from __future__ import annotations

from kdlab.results.run_record import RunRecord
from kdlab.results.tables import chosen_words
from kdlab.system.shown import marked


def model_card(record: RunRecord, labels: tuple[str, ...]) -> str:
    """A Hugging Face model card with the run's own figures.

    Args:
        record: The run's figures.
        labels: Label names in the order of the outputs; empty for regression.
    """
    student, teacher, source = record.student, record.teacher, record.source
    rows = []
    for split, values in student.metrics.items():
        for name, value in values.items():
            theirs = f"{teacher.metrics[split][name]:.4f}" if teacher else "–"
            rows.append(f"| {split} | {name} | {value:.4f} | {theirs} |")
    origin = f"{marked(student.made_of)}, trained with `{record.method}`"
    warning = ""
    if source.embedded:
        warning = (
            "\n> **Embedded corpus.** The figures are those of kdlab's own grammar of made sentences. They are not "
            "GLUE figures, and the model is of no use on real text.\n"
        )
    if record.substituted:
        warning += "\n> **Substituted.** " + marked("; ".join(record.substituted)) + ".\n"
    outputs = ", ".join(f"{i} = {marked(name)}" for i, name in enumerate(labels)) or "one score"
    return f"""---
library_name: transformers
pipeline_tag: text-classification
tags: [knowledge-distillation, kdlab, {record.method}]
---

# {marked(record.task)}: a student of {student.parameters:,} parameters

Made by kdlab {record.kdlab}: {origin}, seed {record.seed}.
{warning}
Outputs: {outputs}. Inputs up to {record.max_length} tokens.

| split | metric | student | teacher |
|---|---|---|---|
{chr(10).join(rows)}

Data: {source.kind}, {marked(source.where)}, fingerprint `{record.fingerprints.data[:12]}`.
{chosen_words(record)} (of {record.training.epochs}).
"""
