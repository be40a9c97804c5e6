"""What all sides get: a fine-tuned teacher, an untrained student, and the rows of each split as JSON lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: Path, settings: dict[str, Any]) -> None:
    """Makes the teacher where the cache has none, and writes ``teacher/``, ``student/`` and ``SPLIT.jsonl``.

    Args:
        folder: Where they go.
        settings: kdlab's, as dotted names.
    """
    from kdlab.models.student import take_layers
    from kdlab.pipeline.context import RunContext
    from kdlab.planning.plan import make_plan
    from kdlab.system.console import Reporter

    plan = make_plan(settings)
    context = RunContext(plan, Reporter())
    context.make_shared()
    teacher = context.teacher
    if teacher is None or plan.student.layers is None:
        raise SystemExit("a teacher, and a student of its layers, are what is compared")
    for name, encoder in (("student", take_layers(teacher, plan.student.layers)), ("teacher", teacher)):
        encoder.model.save_pretrained(folder / name)
        plan.text.tokenizer.save_pretrained(folder / name)
    for split, examples in plan.task.splits.items():
        rows = [{"text": text} for text in examples.text]
        if examples.labels is not None:
            rows = [{**row, "label": int(label)} for row, label in zip(rows, examples.labels, strict=True)]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
