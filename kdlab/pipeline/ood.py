"""Students and teachers on sets out of domain: asked, shown and recorded, of a new run and of a finished one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdlab.data.batches import EncodedSplit
from kdlab.data.encoding import encode
from kdlab.data.ood.sets import OODSet, count_truncated
from kdlab.evaluation.predict import Prediction, predict
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline.teacher import CachedTeacher, LazyTeacher
from kdlab.results.ood import ood_figures, record_ood
from kdlab.results.record import RunFolder
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.hardware import Hardware


@dataclass(frozen=True)
class Predictor:
    """How a model is asked.

    Attributes:
        text: Checkpoint whose tokenizer reads the examples.
        max_length: Longest input in tokens.
        batch_size: Examples a forward pass.
        hardware: Where.
        cache: Where tokenised data and the teachers' logits are kept.
        on_embedded: Whether the models learned from the embedded corpus.
    """

    text: Checkpoint
    max_length: int
    batch_size: int
    hardware: Hardware
    cache: Cache
    on_embedded: bool

    def predict(self, encoder: TextEncoder, ood_set: OODSet) -> Prediction:
        """The logits ``(N, C)`` of a student on a set."""
        return predict(encoder, self.encode(ood_set), self.batch_size, self.hardware.device)

    def predict_teacher(self, teacher: LazyTeacher, ood_set: OODSet) -> Prediction:
        """The logits of a teacher, computed once for all its students."""
        asked = CachedTeacher(teacher, self.batch_size, self.hardware, self.cache, ood_set.spec.name)
        return asked.prediction(self.encode(ood_set))

    def encode(self, ood_set: OODSet) -> EncodedSplit:
        """The set's examples, tokenised and truncated."""
        text = self.text
        return encode(ood_set.examples, text.tokenizer, text.tokenizer_fingerprint, self.max_length, self.cache)

    def count_truncated(self, ood_set: OODSet) -> int:
        """How many of its texts are longer than the model reads."""
        return count_truncated(ood_set.examples, self.encode(ood_set), self.text.tokenizer, self.max_length)


def answer_sets(
    sets: Sequence[OODSet],
    student: TextEncoder,
    teacher: LazyTeacher | None,
    predictor: Predictor,
    folder: RunFolder,
    reporter: Reporter,
) -> dict[str, dict[str, Any]]:
    """Has student and teacher answer sets, and records the figures of each as soon as they are there.

    Args:
        sets: What is to be answered.
        student: The student.
        teacher: The teacher, where it is to be had.
        predictor: How they are asked.
        folder: Of the run.
        reporter: Hears of each set.

    Returns:
        The figures by set.
    """
    figures = {}
    for ood_set in sets:
        who = "student alone" if teacher is None else "student and teacher"
        reporter.say(f"Evaluating on {ood_set.spec.name}: {len(ood_set.examples):,} examples, {who}.")
        ours = predictor.predict(student, ood_set)
        theirs = None if teacher is None else predictor.predict_teacher(teacher, ood_set)
        truncated = predictor.count_truncated(ood_set)
        entry = ood_figures(ood_set, ours, theirs, predictor.max_length, truncated, predictor.on_embedded)
        if rank() == 0:
            record_ood(folder, ood_set, entry, ours, theirs)
        figures[ood_set.spec.name] = entry
    return figures
