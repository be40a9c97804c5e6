"""The model card of a student."""

from __future__ import annotations

from typing import Any


def model_card(metrics: dict[str, Any], labels: tuple[str, ...]) -> str:
    """A Hugging Face model card with the run's own figures.

    Args:
        metrics: What ``metrics.json`` holds.
        labels: Label names in the order of the outputs; empty for regression.
    """
    student, teacher, source = metrics["student"], metrics["teacher"], metrics["source"]
    rows = []
    for split, values in student["metrics"].items():
        for name, value in values.items():
            theirs = f"{teacher['metrics'][split][name]:.4f}" if teacher else "–"
            rows.append(f"| {split} | {name} | {value:.4f} | {theirs} |")
    origin = f"{student['made_of']}, trained with `{metrics['method']}`"
    warning = ""
    if source["embedded"]:
        warning = (
            "\n> **Embedded corpus.** The figures are those of kdlab's own grammar of made sentences. They are not "
            "GLUE figures, and the model is of no use on real text.\n"
        )
    if metrics["substituted"]:
        warning += "\n> **Substituted.** " + "; ".join(metrics["substituted"]) + ".\n"
    outputs = ", ".join(f"{i} = {name}" for i, name in enumerate(labels)) or "one score"
    return f"""---
library_name: transformers
pipeline_tag: text-classification
tags: [knowledge-distillation, kdlab, {metrics["method"]}]
---

# {metrics["task"]}: a student of {student["parameters"]:,} parameters

Made by kdlab {metrics["kdlab"]}: {origin}, seed {metrics["seed"]}.
{warning}
Outputs: {outputs}. Inputs up to {metrics["max_length"]} tokens.

| split | metric | student | teacher |
|---|---|---|---|
{chr(10).join(rows)}

Data: {source["kind"]}, {source["where"]}, fingerprint `{metrics["fingerprints"]["data"][:12]}`. The checkpoint
was chosen by `{metrics["selection"]["metric"]}` on `{metrics["selection"]["split"]}`, epoch
{metrics["selection"]["epoch"]} of {metrics["training"]["epochs"]}.
"""
