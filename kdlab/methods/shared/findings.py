"""What L2A's selector came to, for people: which candidates it keeps and which it drops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from kdlab.data.examples import Examples
from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TRAIN
from kdlab.evaluation.predict import predict
from kdlab.methods.shared.candidates import Pool
from kdlab.methods.shared.selector import Selector, state_of
from kdlab.models.encoder import TextEncoder
from kdlab.system.shown import clipped, shown
from kdlab.transformations.words import apply_edits

_LOOKED_AT = 2000  # candidates of which the table's are taken
_WIDEST = 160  # characters of a text


def candidate_table(
    selector: Selector, student: TextEncoder, pool: Pool, data: TextDataModule, rows: int, device: torch.device
) -> str:
    """A Markdown table of candidates, those most kept first, then those most dropped.

    Args:
        selector: As it is when training is done.
        student: The finished student.
        pool: Of which a part is looked at, spread over the rows.
        data: Has the rows, and the teacher's answers.
        rows: Of each half of the table.
        device: Where they are asked.
    """
    split = data.with_logits(pool.split)
    chosen = np.unique(np.linspace(0, len(pool) - 1, min(_LOOKED_AT, len(pool))).astype(np.int64))
    some = split.take(chosen.tolist())
    ours = predict(student, some, data.eval_batch_size, device).logits
    theirs = torch.from_numpy(np.array(some.teacher_logits))
    with torch.no_grad():
        states = state_of(theirs, ours, data.task.regression).to(next(selector.parameters()).device)
        keep = torch.sigmoid(selector(states)).cpu().numpy()
    order = np.argsort(-keep, kind="stable")
    first = order[: min(rows, (len(order) + 1) // 2)]
    last = order[::-1][: min(rows, len(order) // 2)]
    lines = [
        f"Candidates by the chance that the selector keeps them, of {len(chosen):,} of {len(pool):,} "
        f"(mean {keep.mean():.3f}, from {keep.min():.3f} to {keep.max():.3f}); edited words stand between asterisks.",
    ]
    for title, part in (("Most kept", first), ("Most dropped", last)):
        lines += [
            "",
            f"## {title}",
            "",
            "| keep | domain | teacher | student | edited | candidate |",
            "|---|---|---|---|---|---|",
        ]
        for i in part.tolist():
            at = int(chosen[i])
            domain = "source" if split.domain is not None and split.domain[at] else "target"
            answers = [_answer(logits[i], data.task.labels) for logits in (theirs, ours)]
            cells = [
                f"{keep[i]:.3f}",
                domain,
                *answers,
                f"{pool.edited[at]:.2f}",
                _text(pool, at, data.examples[TRAIN]),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _answer(logits: torch.Tensor, labels: tuple[str, ...]) -> str:
    """The label of the largest logit with its probability, or the score."""
    if not labels:
        return f"{float(logits[0]):.3f}"
    best = int(logits.argmax())
    return f"{labels[best]} {float(logits.softmax(-1)[best]):.2f}"


def _text(pool: Pool, at: int, rows: Examples) -> str:
    """A candidate's texts with the edited words marked, on one line that fits a table."""
    origin = int(pool.origin[at])
    source = [column[origin] for column in (rows.text, rows.text_pair) if column is not None]
    marked = apply_edits(source, [replace(edit, new=f"*{edit.new}*") for edit in pool.edits[at]])
    return " ⟂ ".join(clipped(shown(text), _WIDEST).replace("|", "\\|") for text in marked)
