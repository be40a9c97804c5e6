"""A target domain with little data and a source domain with much, joined into one stream of training rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kdlab.data.examples import Examples, joined
from kdlab.data.module import GLUEDataModule, Made
from kdlab.data.overlap import without_shared
from kdlab.data.sources import Hub, choose_source, find_task
from kdlab.data.subset import carve, limit
from kdlab.data.task_data import HOLDOUT, HOLDOUT_AT_MOST, TaskData, load_data
from kdlab.data.tasks import TRAIN
from kdlab.data.wishes import rows_of_other
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import EMBEDDED
from kdlab.system.cache import Cache
from kdlab.types import OtherTaskRows

TARGET, SOURCE, BOTH = "target", "source", "both"
DOMAINS = (TARGET, SOURCE, BOTH)
"""Words for the rows of the task itself, of the source domain, and of the two together."""
SETTING, DIR_SETTING, LIMIT_SETTING = "data.source", "data.source_dir", "data.limit_source"


@dataclass(frozen=True)
class SourceDomain:
    """What is asked of a source domain.

    Attributes:
        task: The task whose training rows it has.
        data_dir: Folder with that task's files; None is looked for as the target's are.
        limit: Part of its rows, as ``--limit-train`` says it; None takes all.
        student: Which domains the student's training rows are of.
        teacher: Which domains a fine-tuned teacher is made of.
        holdout: Fraction of the source's rows that chooses the epoch of a teacher made of them alone; 0 for none, and
            then the split that chooses the student's only watches.
    """

    task: str
    data_dir: str | None = None
    limit: str | None = None
    student: str = BOTH
    teacher: str = TARGET
    holdout: float = 0.1


def with_source(task: TaskData, asked: SourceDomain, hub: Hub, seed: int) -> TaskData:
    """The task's data with the rows of a source domain, as they are asked for.

    The source's rows have the task's labels, by name and aliases. Those whose text stands in a split of the task are
    left out, whatever part of the task's rows is trained on: SST-2 has sentences of RT, and with them a scarce target
    would not be scarce, nor a student judged on what it has not read. Where neither student nor teacher is made of the
    source's rows, they are not read.

    Args:
        task: The target domain: limited, carved and augmented.
        asked: What is asked of the source domain.
        hub: Whether it answers.
        seed: Chooses part of the rows, and those that are held out.

    Raises:
        KdlabError: The rows can't be had, their labels are not the task's, or no row is left.
    """
    if (asked.student, asked.teacher) == (TARGET, TARGET):
        name = find_task(asked.task, hub)[0].name
        return replace(task, notes=(*task.notes, f"source domain: {name} is not read, for nobody is made of its rows"))
    wish = OtherTaskRows(asked.task, asked.data_dir, SETTING, DIR_SETTING)
    rows, origin = rows_of_other(wish, task.spec, task.source, hub)
    own = task.unaugmented.splits
    rows, shared = without_shared(rows, own if task.leftover is None else {**own, "left over": task.leftover})
    total = len(rows)
    if not total:
        raise KdlabError(
            f"{SETTING}={asked.task}: none of its {shared:,} training rows is left, for the texts of all of them stand "
            f"in {task.spec.name} as well: name another task."
        )
    if asked.limit is not None:
        rows = limit(rows, asked.limit, seed, task.spec.labels, LIMIT_SETTING)
    also = f", without {shared:,} whose text the target has" if shared else ""
    part = f"{len(rows):,} of {total:,}" if len(rows) < total else f"{total:,}"
    notes = (*task.notes, f"source domain: {part} rows {origin}{also}")
    joint = _of(asked.student, task.splits[TRAIN], rows)
    splits = {**task.splits, TRAIN: joint}
    return replace(
        task,
        splits=splits,
        notes=notes,
        before=task.unaugmented,
        donors=task.for_donor,
        teachers=task.teachers if asked.teacher == TARGET else _for_teacher(task.for_teacher, asked, rows, seed),
    )


def _of(domains: str, target: Examples, source: Examples) -> Examples:
    """Training rows of the domains, marked."""
    own = replace(target, domain=(0,) * len(target))
    other = replace(source, domain=(1,) * len(source))
    return {TARGET: target, SOURCE: other, BOTH: joined(own, other)}[domains]


def _for_teacher(own: TaskData, asked: SourceDomain, rows: Examples, seed: int) -> TaskData:
    """What a teacher is made of that has rows of the source; ``own`` is what one of the target alone would have.

    The epoch of a teacher of the source alone is chosen on rows of the source, whatever chooses the student's: with the
    target's dev it would know labels of the target.
    """
    if asked.teacher == BOTH:
        return replace(own, splits={**own.splits, TRAIN: _of(BOTH, own.splits[TRAIN], rows)})
    if not asked.holdout:
        return replace(own, splits={**own.splits, TRAIN: rows})
    train, held_out = carve(rows, asked.holdout, seed, HOLDOUT_AT_MOST, own.spec.labels)
    return replace(own, splits={**own.splits, TRAIN: train, HOLDOUT: held_out}, select_on=HOLDOUT)


class DomainDataModule(GLUEDataModule):
    """Source and target in one training stream; a batch's ``domain`` is 0 for rows of the target and 1 of the source.

    Where the data has no source domain, all of it is the target's.
    """

    @classmethod
    def read(
        cls: type[Made],
        task: str,
        text: str = EMBEDDED,
        data_dir: str | None = None,
        profile: str = "auto",
        limit_train: str | None = None,
        selection: str = HOLDOUT,
        max_length: int = 128,
        batch_size: int = 32,
        eval_batch_size: int = 128,
        seed: int = 0,
        split_seed: int = 0,
        cache: Cache | None = None,
        source: SourceDomain | None = None,
    ) -> Made:
        """Reads a target and a source domain, as ``kdlab run --source`` does.

        Args:
            task: The target: a name in ``TASKS``, or a task file.
            text: As for ``GLUEDataModule.read``, like all that is not said here.
            data_dir: Folder of the target's files.
            profile: ``auto``, ``paper`` or ``embedded``.
            limit_train: Part of the target's training rows: ``1%``, ``500``, or ``40 a class``.
            selection: ``holdout`` or ``dev``.
            max_length: Longest input in tokens.
            batch_size: Examples a training step.
            eval_batch_size: Examples a batch of evaluation.
            seed: Draws the order of training batches.
            split_seed: Draws the limited subsets and the hold-out.
            cache: Where tokenised data is kept.
            source: The source domain; None reads the target alone.

        Raises:
            KdlabError: A task, its data or the checkpoint can't be had, or the labels can't be joined.
        """
        hub = Hub()
        spec, base = find_task(task, hub)
        origin = choose_source(spec, base, profile, data_dir, hub)
        data = load_data(spec, origin, hub, limit_train, selection, 0.1, split_seed)
        if source is not None:
            data = with_source(data, source, hub, split_seed)
        return cls.of(data, hub, text, max_length, batch_size, eval_batch_size, seed, cache)
