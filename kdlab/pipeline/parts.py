"""The parts of an augmented file: a block of examples each, made by processes, then read by the teacher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdlab.augmentation.base import Made, Source, Tools
from kdlab.augmentation.blocks import Job, block_size, blocks_of, make_blocks
from kdlab.data.augmented import Row, is_whole, read_table, table_of, write_tables
from kdlab.data.encoding import encode
from kdlab.data.examples import Examples
from kdlab.data.tasks import TRAIN
from kdlab.evaluation.predict import predict
from kdlab.pipeline.context import RunContext
from kdlab.pipeline.equipment import Equipment
from kdlab.pipeline.jobs import cores
from kdlab.planning.augment import AugmentPlan, Wish, describe
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter, duration
from kdlab.system.cost import Meter
from kdlab.system.files import fingerprint, scratch_folder
from kdlab.transformations.words import edited_share

_READ = 64  # blocks that the teacher reads at a time
_EVERY = 10.0  # seconds between two lines of progress
_FORMAT = 2  # raised when an augmenter makes other examples of the same


@dataclass(frozen=True)
class Asked:
    """How the user wants it done; nothing here changes what is made, but for the filter.

    Attributes:
        out: The file.
        resources: ``--resources``.
        workers: Processes; 0 takes one a core, or one for a model on a GPU.
        batch_size: Examples that a process takes at a time.
        with_teacher: Whether the teacher is asked.
        keep_above: Least probability that the teacher gives the label of a row that is kept; 0 keeps all.
        fresh: Whether finished blocks are made again.
    """

    out: Path
    resources: str | None
    workers: int
    batch_size: int
    with_teacher: bool = True
    keep_above: float = 0.0
    fresh: bool = False


def make_parts(
    name: str, plan: AugmentPlan, equipment: Equipment, asked: Asked, parts: Path, reporter: Reporter
) -> list[Path]:
    """The files of an augmenter's blocks; those are made that are not there.

    Args:
        name: The augmenter.
        plan: What is made.
        equipment: What it works with.
        asked: How it is done.
        parts: Where they lie.
        reporter: Shows progress.

    Raises:
        KdlabError: A process fails; the blocks that were finished are kept.
    """
    wish = plan.wishes[name]
    spec = plan.run.task.spec
    size = block_size(len(plan.sources))
    key = fingerprint(
        "augmented",
        _FORMAT,
        size,
        name,
        describe(wish.settings),
        wish.copies,
        plan.run.config.seed,
        plan.run.task.fingerprints[TRAIN],
        plan.side,
        [[origin.kind, origin.sha256] for origin in equipment.origins],
        {kind: key for kind, (_, key) in equipment.models.items()},
        *([] if plan.positions is None else [list(plan.positions)]),
    )
    blocks = dict(enumerate(blocks_of(plan.sources)))
    files = {i: parts / f"{name}-{i:06d}-{key[:16]}.parquet" for i in blocks}
    missing = {i: blocks[i] for i, file in files.items() if asked.fresh or not is_whole(file)}
    if len(missing) < len(blocks):
        reporter.say(f"{name}: {len(blocks) - len(missing)} of {len(blocks)} blocks were made before.")
    job = Job(name, wish.settings, wish.copies, plan.run.config.seed, equipment.kit)
    at_once = max(math.ceil(asked.batch_size / size), 1)
    on_gpu = equipment.kit.device != "cpu" and job.needs_torch
    workers = asked.workers or (1 if on_gpu else cores())
    progress = Progress(f"{name}:", len(missing), reporter)
    for i, made in make_blocks(job, missing, workers, at_once):
        rows, stats = _rows(name, missing[i], made, wish, plan)
        for scored in files[i].parent.glob(f"{files[i].stem}-*"):
            scored.unlink()  # by the teacher, of an older block
        write_tables(files[i], [table_of(rows, spec.text_pair is not None, spec.regression)], stats)
        progress.show(1)
    return list(files.values())


def _rows(
    name: str, sources: Sequence[Source], made: Sequence[Sequence[Made]], wish: Wish, plan: AugmentPlan
) -> tuple[list[Row], dict[str, Any]]:
    """Rows of a block, and what is to be summed up of it."""
    augmenter, labels = wish.kind(wish.settings, Tools()), plan.run.task.spec.labels
    rows, edited, short = [], 0.0, {}
    for source, copied in zip(sources, made, strict=True):
        label = labels[source.label] if isinstance(source.label, int) else source.label
        for one in copied:
            edits = tuple((edit.side, edit.position, edit.old, edit.new) for edit in one.edits)
            rows.append(Row(source.id, one.texts, label, name, plan.run.config.seed, edits, one.log_prob))
            edited += edited_share(source.texts, one.edits)
        if missing := augmenter.wanted(source, wish.copies) - len(copied):
            short[str(source.id)] = missing
    wanted = sum(augmenter.wanted(source, wish.copies) for source in sources)
    return rows, {"rows": len(rows), "wanted": wanted, "edited": edited, "short": short}


def score_parts(name: str, files: Sequence[Path], teacher: str, plan: AugmentPlan, context: RunContext) -> list[Path]:
    """The files with the teacher's probability of each row's label.

    Args:
        name: The augmenter.
        files: From ``make_parts``.
        teacher: The teacher's fingerprint.
        plan: What is made.
        context: Has the teacher.
    """
    spec = plan.run.task.spec
    scored = {file: file.with_name(f"{file.stem}-{teacher[:16]}.parquet") for file in files}
    missing = [file for file in files if not is_whole(scored[file])]
    progress = Progress(f"{name}: the teacher read", len(missing), context.reporter)
    for some in (missing[i : i + _READ] for i in range(0, len(missing), _READ)):
        tables = [read_table(file) for file in some]
        said = _ask([table for table, _ in tables], plan, context)
        for file, (table, stats), probabilities in zip(some, tables, said, strict=True):
            gold = np.array([spec.labels.index(label) for label in table["label"].to_pylist()], dtype=np.int64)
            of_label = probabilities[np.arange(len(gold)), gold]
            preserved = int((probabilities.argmax(1) == gold).sum())
            del stats["format"]
            write_tables(scored[file], [_with_probabilities(table, of_label)], {**stats, "preserved": preserved})
        progress.show(len(some))
    return list(scored.values())


def _ask(tables: Sequence[Any], plan: AugmentPlan, context: RunContext) -> list[Any]:
    """The teacher's probabilities ``(N, C)`` of the rows of each table."""
    run, paired = plan.run, plan.run.task.spec.text_pair is not None
    sizes = [table.num_rows for table in tables]
    if not sum(sizes):
        return [np.empty((0, run.task.spec.num_outputs)) for _ in tables]
    examples = Examples(
        ids=tuple(range(sum(sizes))),
        text=tuple(text for table in tables for text in table["text"].to_pylist()),
        text_pair=tuple(text for table in tables for text in table["text_pair"].to_pylist()) if paired else None,
        labels=None,
    )
    with scratch_folder() as folder:
        reader = (run.text.tokenizer, run.text.tokenizer_fingerprint, run.max_length)
        split = encode(examples, *reader, Cache(folder))
        size = run.hardware.eval_batch(run.config.teacher.eval_batch_size)
        logits = predict(context.answering_teacher, split, size, run.hardware.device).logits
    return np.split(logits.double().softmax(1).numpy(), np.cumsum(sizes)[:-1])


def _with_probabilities(table: Any, of_label: Any) -> Any:
    import pyarrow as pa

    column = pa.array(np.asarray(of_label, dtype=np.float32), pa.float32())
    return table.set_column(table.schema.get_field_index("label_prob"), "label_prob", column)


class Progress:
    """Says now and then how far a stage is.

    Args:
        what: In words, before ``12 of 40 blocks``.
        total: How many blocks there are.
        reporter: Who is told.
    """

    def __init__(self, what: str, total: int, reporter: Reporter) -> None:
        self.what, self.total, self.reporter = what, total, reporter
        self.meter, self.done, self.said = Meter(), 0, 0.0

    def show(self, more: int) -> None:
        """So many more blocks are done."""
        self.done += more
        seconds = self.meter.cost().seconds
        if seconds - self.said > _EVERY or self.done == self.total:
            self.said = seconds
            left = seconds / self.done * (self.total - self.done)
            rest = f", about {duration(left)} left" if self.done < self.total else ""
            self.reporter.say(f"  {self.what} {self.done} of {self.total} blocks in {duration(seconds)}{rest}")
