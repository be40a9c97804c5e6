"""Data modules: the splits of one task, tokenised once and batched by length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from kdlab.data.batches import BucketSampler, EncodedSplit, ResumableLoader, SortedSampler
from kdlab.data.encoding import encode
from kdlab.data.examples import Examples
from kdlab.data.selection import BY_METRIC, SelectBy
from kdlab.data.sources import Hub, choose_source, find_task
from kdlab.data.splits import join_splits
from kdlab.data.task_data import HOLDOUT, TaskData, load_data, sizes_of
from kdlab.data.tasks import TRAIN, UNLABELLED, TaskSpec
from kdlab.models.checkpoint import EMBEDDED, cached_on_disk, resolve_checkpoint
from kdlab.system.cache import Cache

Made = TypeVar("Made", bound="GLUEDataModule")  # typing.Self is of Python 3.11
TeacherLogits = Callable[[EncodedSplit], NDArray[np.float32]]
"""The teacher's clean logits ``(N, C)`` on a split of N rows."""


class TextDataModule(LightningDataModule):
    """Train, validation, dev and test data of any sentence or sentence-pair task.

    Rows of a split ``train/unlabelled`` are trained on beside those of ``train``. A method may train on other rows: it
    hands them in by ``train_on``, before the first epoch or anew before each (``DistillModule.begin_epoch``).

    Args:
        task: What the columns and labels are.
        splits: Examples of each split; ``train`` and the split that ``select_on`` names among them.
        tokenizer: Fast Hugging Face tokenizer shared by teacher and student.
        tokenizer_fingerprint: Which tokenizer it is.
        max_length: Longest input in tokens.
        batch_size: Examples a training step.
        eval_batch_size: Examples a batch of evaluation.
        select_on: Split whose scores choose the checkpoint (``holdout`` or a dev split).
        seed: Draws the order of training batches together with the epoch.
        cache: Where tokenised data is kept.
        workers: Processes that make training batches; 0 makes them in this one.
        select_by: How the scores of an epoch choose it.
    """

    def __init__(
        self,
        task: TaskSpec,
        splits: dict[str, Examples],
        tokenizer: Any,
        tokenizer_fingerprint: str,
        max_length: int,
        batch_size: int,
        eval_batch_size: int,
        select_on: str,
        seed: int,
        cache: Cache,
        workers: int = 0,
        select_by: SelectBy = BY_METRIC,
    ) -> None:
        super().__init__()
        self.task = task
        self.examples = splits
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.select_on = select_on
        self.select_by = select_by
        self.seed = seed
        self.tokenizer = tokenizer
        self.tokenizer_fingerprint = tokenizer_fingerprint
        self.max_length = max_length
        self.cache = cache
        self.workers = workers
        self._encoded: dict[str, EncodedSplit] = {}
        self._training: EncodedSplit | None = None
        self._all_rows: EncodedSplit | None = None
        self._logits_of: TeacherLogits | None = None
        self._validates_against: TeacherLogits | None = None

    def split(self, name: str) -> EncodedSplit:
        """A tokenised split, made on first use."""
        if name not in self._encoded:
            self._encoded[name] = encode(
                self.examples[name], self.tokenizer, self.tokenizer_fingerprint, self.max_length, self.cache
            )
        return self._encoded[name]

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each split, as ``sizes_of`` counts them."""
        return sizes_of(self.examples)

    def hand_out_logits(self, logits_of: TeacherLogits) -> None:
        """Puts the teacher's clean logits into every training batch, whatever rows are trained on.

        Args:
            logits_of: Asked once for each split that is trained on.
        """
        self._logits_of = logits_of

    def validate_against(self, logits_of: TeacherLogits) -> None:
        """Puts the teacher's logits into every batch of the split that chooses the checkpoint."""
        self._validates_against = logits_of

    @property
    def rule(self) -> SelectBy:
        """What chooses the checkpoint: ``select_by``, as far as there are a teacher's answers for it."""
        return self.select_by.for_model(taught=self._validates_against is not None)

    def with_logits(self, split: EncodedSplit) -> EncodedSplit:
        """The split with the teacher's logits in its batches, where the method was promised them.

        Raises:
            ValueError: The teacher answers with another number of rows or outputs.
        """
        if self._logits_of is not None and split.teacher_logits is None:
            logits = self._logits_of(split)
            if logits.shape != (len(split), self.task.num_outputs):
                raise ValueError(f"the teacher's logits are {logits.shape}, not {(len(split), self.task.num_outputs)}")
            split.teacher_logits = logits
        return split

    def train_on(self, split: EncodedSplit) -> None:
        """Takes other rows to train on, from the next epoch on."""
        self._training = split

    @property
    def training_split(self) -> EncodedSplit:
        """The rows that are trained on: those of ``train_on``, else all of the task's own."""
        if self._training is not None:
            return self._training
        if self._all_rows is None:
            self._all_rows = self.all_rows()
        return self._all_rows

    def all_rows(self, repeat: int = 1) -> EncodedSplit:
        """The rows of ``train``, each so many times, and behind them those of ``train/unlabelled``, if there are any.

        The teacher's logits come with them where the method was promised them. A row without a label is of the task's
        own domain.
        """
        train = self.with_logits(self.split(TRAIN))
        if repeat > 1:
            train = train.take(list(range(len(train))) * repeat)
        if UNLABELLED not in self.examples:
            return train
        parts = {TRAIN: train, UNLABELLED: self.with_logits(self.split(UNLABELLED))}
        rows = join_splits(parts)
        domain = train.domain
        rows.domain = None if domain is None else np.concatenate([domain, np.zeros(len(rows) - len(train), np.int64)])
        logits = [part.teacher_logits for part in parts.values() if part.teacher_logits is not None]
        rows.teacher_logits = np.concatenate(logits) if len(logits) == len(parts) else None
        return rows

    def train_dataloader(self) -> DataLoader[int]:
        """Shuffled training batches of near-equal length; a method that draws its rows anew draws them first."""
        trainer: Any = self.trainer
        if trainer is not None and hasattr(trainer.lightning_module, "start_epoch"):
            trainer.lightning_module.start_epoch(trainer.fit_loop.epoch_progress.current.processed, self)
        split = self.with_logits(self.training_split)
        return ResumableLoader(split, BucketSampler(split.lengths, self.batch_size, self.seed), self.workers)

    def val_dataloader(self) -> DataLoader[int]:
        """The split that chooses the checkpoint, each example once."""
        split = self.split(self.select_on)
        if self._validates_against is not None and split.teacher_logits is None:
            split.teacher_logits = self._validates_against(split)
        return self.eval_dataloader(self.select_on)

    def eval_dataloader(self, name: str) -> DataLoader[int]:
        """Any split, each example once, longest first."""
        return eval_loader(self.split(name), self.eval_batch_size)


class GLUEDataModule(TextDataModule):
    """The data of a GLUE task, or of a user's own task file."""

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
    ) -> Made:
        """Reads a task's data and the tokenizer of a checkpoint, as ``kdlab run`` does.

        Args:
            task: A name in ``TASKS``, or a task file.
            text: Checkpoint whose tokenizer reads it: a folder, a name on the hub, or ``embedded``.
            data_dir: Folder in the GLUE layout; None leaves the choice to the profile.
            profile: ``auto``, ``paper`` or ``embedded``.
            limit_train: Part of the training data (``10%``, ``500``); None takes all.
            selection: ``holdout`` carves the selecting split out of train; ``dev`` selects on dev.
            max_length: Longest input in tokens.
            batch_size: Examples a training step.
            eval_batch_size: Examples a batch of evaluation.
            seed: Draws the order of training batches.
            split_seed: Draws the limited subset and the hold-out.
            cache: Where tokenised data is kept; the user's cache unless given.

        Raises:
            KdlabError: The task, its data or the checkpoint can't be had.
        """
        hub = Hub()
        spec, base = find_task(task, hub)
        source = choose_source(spec, base, profile, data_dir, hub)
        data = load_data(spec, source, hub, limit_train, selection, 0.1, split_seed)
        return cls.of(data, hub, text, max_length, batch_size, eval_batch_size, seed, cache)

    @classmethod
    def of(
        cls: type[Made],
        data: TaskData,
        hub: Hub,
        text: str,
        max_length: int,
        batch_size: int,
        eval_batch_size: int,
        seed: int,
        cache: Cache | None,
    ) -> Made:
        """A task's data as the tokenizer of a checkpoint reads it; the arguments are those of ``read``."""
        checkpoint = resolve_checkpoint(text, cached_on_disk(text) or not hub.online)
        return cls(
            task=data.spec,
            splits=data.splits,
            tokenizer=checkpoint.tokenizer,
            tokenizer_fingerprint=checkpoint.tokenizer_fingerprint,
            max_length=max_length,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            select_on=data.select_on,
            seed=seed,
            cache=cache or Cache(),
        )


def eval_loader(split: EncodedSplit, batch_size: int) -> DataLoader[int]:
    """Batches that hold each example of a split once; several processes share them out."""
    return DataLoader(split, batch_sampler=SortedSampler(split.lengths, batch_size), collate_fn=split.collate)
