"""The student's answers on a whole split, and the task's metrics of them, over all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kdlab.data.batches import SortedSampler
from kdlab.data.module import TextDataModule
from kdlab.data.tasks import TaskSpec
from kdlab.evaluation.halves import in_halves, shares_cores
from kdlab.evaluation.metrics import divergence, evaluate
from kdlab.losses.soft_targets import supervised
from kdlab.system.distributed import gather
from kdlab.transformations.packing import batches
from kdlab.types import Batch

_OF_A_BATCH = {True: 64, False: 4096}
"""Tokens that take as long as a batch more, on a processor and on a GPU."""
Answers = list[tuple[Tensor, ...]]
"""For each batch: positions ``(B,)``, logits ``(B, C)``, labels ``(B,)``, and the teacher's logits if there are any."""


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode for as long as this lasts; each part then has the mode that it had."""
    in_training = [part for part in module.modules() if part.training]  # a teacher is not, and has many parts
    for part in in_training:
        part.training = False
    try:
        yield
    finally:
        for part in in_training:
            part.training = True


def answers_on(
    data: TextDataModule, split: str, answer: Callable[[Batch], Tensor], device: torch.device, threaded: bool = False
) -> Answers:
    """This process's share of the answers on a split, longest examples first; no random number is drawn.

    Batches are cut where they cost the least padding, for the longest of a few rows are far longer than the others.

    Args:
        data: Where the split is.
        split: Its name; its rows have labels.
        answer: Logits ``(B, C)`` of a batch.
        device: Where it runs.
        threaded: Whether ``answer`` may be called by two threads at a time.
    """
    rows = data.split(split)
    own = SortedSampler(rows.lengths, data.eval_batch_size).order
    longest = data.eval_batch_size * int(rows.lengths.max())
    of_a_batch = _OF_A_BATCH[device.type == "cpu"]
    groups = batches(rows.lengths[own].tolist(), longest, data.eval_batch_size, of_a_batch)

    def answered(places: list[int]) -> tuple[Tensor, ...]:
        batch = rows.collate(own[places].tolist()).to(device)
        return batch.index, answer(batch).float(), batch.gold()

    return in_halves(answered, groups) if threaded and shares_cores(device) else list(map(answered, groups))


class Validation:
    """The student's answers on the split that chooses the checkpoint, of the epoch under way and of the last one.

    Attributes:
        logits: Of the last epoch, ``(N, C)`` float32 on the CPU, in the split's order; empty before the first.
    """

    def __init__(self) -> None:
        self.logits = torch.empty(0, 0)
        self._answers: Answers = []

    def add(self, batch: Batch, logits: Tensor) -> None:
        """Takes the logits ``(B, C)`` of one batch."""
        teacher = () if batch.teacher_logits is None else (batch.teacher_logits,)
        self._answers.append((batch.index, logits.float(), batch.gold(), *teacher))

    def close(self, task: TaskSpec) -> dict[str, float]:
        """The task's metrics and ``loss`` on the whole split; every process calls this.

        Where the batches have the teacher's logits, ``divergence`` is the KL of its answers from the student's in nats,
        or for scores their mean squared difference.
        """
        self.logits, labels, *teacher = _joined(self._answers)
        self._answers = []
        scores = _scores(self.logits, labels, task)
        if teacher:
            found = divergence(self.logits, teacher[0], task.regression)
            scores["divergence"] = found.get("kl", found["mse"])
        return scores


def scores_of(answers: Answers, task: TaskSpec) -> dict[str, float]:
    """The task's metrics and ``loss`` on the examples that the processes answered, each counted once.

    Args:
        answers: This process's; every process calls this.
        task: What the labels are.
    """
    logits, labels = _joined(answers)
    return _scores(logits, labels, task)


def _joined(answers: Answers) -> list[Tensor]:
    """What all processes have of each example besides its position, in the order of the positions."""
    own = [torch.cat(column).cpu() for column in zip(*answers, strict=True)]
    parts = gather(own)
    index, *columns = (torch.cat(each) for each in zip(*parts, strict=True))
    once = torch.empty(int(index.max()) + 1, dtype=torch.long)
    once[index] = torch.arange(len(index))  # where each example stands
    return [column[once] for column in columns]


def _scores(logits: Tensor, labels: Tensor, task: TaskSpec) -> dict[str, float]:
    scores = evaluate(logits, labels, task.metrics, task.regression)
    return {**scores, "loss": float(supervised(logits, labels, task.regression))}
