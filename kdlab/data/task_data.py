"""A task's examples, limited and split into train, hold-out, dev and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from kdlab.data.augmented import AugmentedFile, read_augmented
from kdlab.data.examples import Examples, Loaded, joined
from kdlab.data.sources import Hub, Source, file_of, naming, read_source
from kdlab.data.subset import carve, limit_and_rest
from kdlab.data.tasks import AUGMENTED_ROWS, DEV, SOURCE_ROWS, TEST, TRAIN, UNLABELLED, TaskSpec
from kdlab.data.unlabelled import ALL_LABELLED, Unlabelled, part_rows, seen_elsewhere
from kdlab.data.wishes import grant
from kdlab.system.files import fingerprint
from kdlab.types import SplitWish

HOLDOUT = "holdout"
HOLDOUT_AT_MOST = 2000
SAMPLE = 1000
NO_WISHES: Mapping[str, SplitWish] = {}


@dataclass(frozen=True)
class TaskData:
    """A task's examples, split and fingerprinted.

    Attributes:
        spec: The task.
        source: Where they came from.
        splits: ``train``, ``train/unlabelled`` for a method that takes rows without labels where there are some,
            ``holdout`` if one is carved out, dev and test splits.
        select_on: The split that chooses checkpoints.
        notes: What was skipped, limited or carved, a line each.
        augmented: The file whose examples stand in ``train`` behind its own.
        before: The same data with its own rows alone: without them, and without a source domain's.
        teachers: What a teacher is made of, where it is not the student's own rows of the task: with what the student's
            method carves out of train, with other labels, or a source domain's.
        donors: What a plainly fine-tuned donor is made of, where it is not what the teacher is made of.
        leftover: Training rows that were left over, which a source domain must not bring back.
    """

    spec: TaskSpec
    source: Source
    splits: dict[str, Examples]
    select_on: str
    notes: tuple[str, ...]
    augmented: AugmentedFile | None = None
    before: TaskData | None = None
    teachers: TaskData | None = None
    donors: TaskData | None = None
    leftover: Examples | None = None

    @property
    def unaugmented(self) -> TaskData:
        """The data with its own rows alone."""
        return self.before or self

    @property
    def for_teacher(self) -> TaskData:
        """The data that the teacher is made of."""
        return self.teachers or self.unaugmented

    @property
    def for_donor(self) -> TaskData:
        """The data that a plainly fine-tuned donor of the student is made of."""
        return self.donors or self.for_teacher

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each split; see ``sizes_of``."""
        return sizes_of(self.splits)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split."""
        return {name: examples.fingerprint() for name, examples in self.splits.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all splits and of the choice of ``select_on``."""
        return fingerprint("data", self.fingerprints, self.select_on, self.spec.labels, self.spec.metrics)

    @property
    def training_fingerprint(self) -> str:
        """SHA-256 of what determines a trained model: train and the split that chooses checkpoints."""
        digests = [self.fingerprints[TRAIN], self.fingerprints[self.select_on]]
        return fingerprint("training data", digests, self.spec.labels, self.spec.monitor)

    @cached_property
    def sample(self) -> tuple[str, ...]:
        """Texts of every split, its first ``SAMPLE`` of each, second sentences too."""
        columns = [column for e in self.splits.values() for column in (e.text, e.text_pair) if column is not None]
        return tuple(dict.fromkeys(text for column in columns for text in column[:SAMPLE]))

    @property
    def reported_splits(self) -> list[str]:
        """The labelled splits that are reported: dev, or test where that is labelled."""
        reported = TEST if self.spec.labelled_test else DEV
        return [s for s in self.splits if s.startswith(reported)]

    @property
    def unlabelled_splits(self) -> list[str]:
        """The splits without labels, which are only predicted; none where test is labelled."""
        return [] if self.spec.labelled_test else [s for s in self.splits if s.startswith(TEST)]


def sizes_of(splits: Mapping[str, Examples]) -> dict[str, int]:
    """Rows of each split; under ``SOURCE_ROWS`` and ``AUGMENTED_ROWS`` how many of train's are such, where some are."""
    sizes = {name: len(examples) for name, examples in splits.items()}
    if TRAIN not in splits:
        return sizes
    parts = {SOURCE_ROWS: splits[TRAIN].from_source, AUGMENTED_ROWS: len(splits[TRAIN].own(augmented=True))}
    return sizes | {name: rows for name, rows in parts.items() if rows}


def load_data(
    spec: TaskSpec,
    source: Source,
    hub: Hub,
    limit_train: str | None,
    selection: str,
    holdout: float,
    seed: int,
    wishes: Mapping[str, SplitWish] = NO_WISHES,
    teachers: Mapping[str, SplitWish] = NO_WISHES,
    unlabelled: Unlabelled = ALL_LABELLED,
    loaded: Loaded | None = None,
) -> TaskData:
    """Reads, limits and splits a task's examples; one seed gives teacher and student the same splits.

    A fine-tuned teacher keeps the rows that the student's method carves out of train, so it is the teacher of every
    method. What the teacher's own method carves out is missing in both.

    Args:
        spec: The task.
        source: From ``choose_source``.
        hub: Whether it answers.
        limit_train: ``10%``, ``1%``, ``500`` or ``40 a class``; None takes all.
        selection: ``holdout`` carves the split that chooses checkpoints out of train; ``dev`` selects on dev.
        holdout: Fraction that is carved out; 0 carves nothing out, and dev is only watched.
        seed: The split seed.
        wishes: Further splits that the student's method asks for, by name.
        teachers: Those that the teacher's method asks for; what both ask for under one name must be alike.
        unlabelled: Which training rows have no label; a fine-tuned teacher is made of the others.
        loaded: What ``read_source`` gave, where it has been asked.

    Raises:
        KdlabError: A file, row, amount or wish is invalid.
    """
    loaded = loaded or read_source(spec, source, hub, seed)
    splits, notes = dict(loaded.splits), list(loaded.notes)
    leftover = splits[TRAIN].take([])
    if limit_train is not None:
        total = len(splits[TRAIN])
        with naming(file_of(spec, source)):
            splits[TRAIN], leftover = limit_and_rest(splits[TRAIN], limit_train, seed, spec.labels)
        notes.append(f"train limited to {len(splits[TRAIN])} of {total} examples (seed {seed})")
    select_on = next(s for s in splits if s.startswith(DEV))
    if selection == HOLDOUT and holdout:
        remedy = "set data.selection=dev, which holds nothing out, or add an example of it to the training data"
        with naming(file_of(spec, source)):
            train, held_out = carve(splits[TRAIN], holdout, seed, HOLDOUT_AT_MOST, spec.labels, remedy)
        splits = {TRAIN: train, HOLDOUT: held_out, **{k: v for k, v in splits.items() if k != TRAIN}}
        select_on = HOLDOUT
    parted = part_rows(unlabelled, splits[TRAIN], leftover, spec, source, seed)
    splits[TRAIN] = parted.train
    notes += [parted.note] if parted.note else []
    for name, wish in teachers.items():
        splits[name], origin = grant(name, wish, splits, leftover, spec, source, hub, seed)
        notes.append(f"{name}: {len(splits[name]):,} rows for the method, {origin}")
    whole = splits[TRAIN]
    for name, wish in wishes.items():
        if name not in teachers:
            before = splits[TRAIN]
            splits[name], origin = grant(name, wish, splits, leftover, spec, source, hub, seed)
            kept = "" if splits[TRAIN] is before else "; a teacher that is trained for this run is trained on them too"
            notes.append(f"{name}: {len(splits[name]):,} rows for the method, {origin}{kept}")
    plain = {**splits, TRAIN: whole}
    if len(parted.unlabelled) and unlabelled.taken:
        notes += seen_elsewhere(parted.unlabelled, splits)
        splits = {
            TRAIN: splits[TRAIN],
            UNLABELLED: parted.unlabelled,
            **{k: v for k, v in splits.items() if k != TRAIN},
        }
    elif len(parted.unlabelled):
        leftover = joined(replace(leftover, labels=None), parted.unlabelled)
    task = TaskData(spec, source, splits, select_on, tuple(notes), leftover=leftover)
    if splits[TRAIN] is whole and UNLABELLED not in splits:
        return task
    return replace(task, teachers=replace(task, splits=plain))


def with_teachers(task: TaskData, teachers: TaskData) -> TaskData:
    """The data with a teacher that is made of other labels, or of rows without labels besides.

    Args:
        task: The student's.
        teachers: The teacher's, read with what it is to have.
    """
    sizes = teachers.sizes
    besides = f" and {sizes[UNLABELLED]:,} without" if UNLABELLED in sizes else ""
    note = f"the teacher is made of {sizes[TRAIN]:,} training rows with labels{besides}"
    return replace(task, teachers=teachers, donors=task.for_teacher, notes=(*task.notes, note))


def with_augmented(task: TaskData, file: str) -> TaskData:
    """The data with the examples of a file of ``kdlab augment`` behind its own training rows.

    The file is made of the rows that a teacher is trained on. Examples of those that the student's method has carved
    out are left out with them.

    Raises:
        KdlabError: The file can't be read, or was made of other rows.
    """
    own, whole = task.splits[TRAIN], task.for_teacher
    more = read_augmented(Path(file).expanduser(), task.spec, whole.fingerprints[TRAIN])
    carved = Counter(whole.splits[TRAIN].ids) - Counter(own.ids)
    kept = [i for i, source in enumerate(more.sources) if source not in carved]
    left_out = len(more.examples) - len(kept)
    if left_out:
        more = replace(more, examples=more.examples.take(kept), sources=tuple(more.sources[i] for i in kept))
    train = joined(own, more.examples)
    makers = ", ".join(more.manifest.get("augmenters", ()))
    also = f", without {left_out:,} of rows that the method has carved out" if left_out else ""
    note = (
        f"train with {len(more.examples):,} examples of {file} besides (made by {makers}{more.part}{also}); the "
        "teacher's has none"
    )
    return replace(task, splits={**task.splits, TRAIN: train}, notes=(*task.notes, note), augmented=more, before=task)
