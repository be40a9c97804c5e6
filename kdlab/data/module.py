"""GLUEDataModule: the splits of one task, tokenised once and batched by length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from kdlab.data.batches import BucketSampler, EncodedSplit, ResumableLoader, SortedSampler, encode
from kdlab.data.examples import Examples
from kdlab.data.tasks import TRAIN, TaskSpec
from kdlab.system.cache import Cache


class GLUEDataModule(LightningDataModule):
    """Train, validation, dev and test data of a sentence or sentence-pair task (GLUE's or a user's own).

    Args:
        task: What the columns and labels are.
        splits: Examples of each split; ``train`` and the split that ``select_on`` names among them.
        tokenizer: Fast Hugging Face tokenizer shared by teacher and student.
        tokenizer_fingerprint: Which tokenizer it is.
        max_length: Longest input in tokens.
        batch_size: Examples a training step.
        eval_batch_size: Examples a batch of evaluation.
        select_on: Split whose metric chooses the checkpoint (``holdout`` or a dev split).
        seed: Draws the order of training batches together with the epoch.
        cache: Where tokenised data is kept.
        workers: Processes that make training batches; 0 makes them in this one.
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
    ) -> None:
        super().__init__()
        self.task = task
        self.examples = splits
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.select_on = select_on
        self.seed = seed
        self.tokenizer = tokenizer
        self.tokenizer_fingerprint = tokenizer_fingerprint
        self.max_length = max_length
        self.cache = cache
        self.workers = workers
        self._encoded: dict[str, EncodedSplit] = {}

    def split(self, name: str) -> EncodedSplit:
        """A tokenised split, made on first use."""
        if name not in self._encoded:
            self._encoded[name] = encode(
                self.examples[name], self.tokenizer, self.tokenizer_fingerprint, self.max_length, self.cache
            )
        return self._encoded[name]

    def hand_out_logits(self, file: Path) -> None:
        """Puts the teacher's clean logits of the training split, an ``(N, C)`` array file, into every batch."""
        logits = np.load(file, mmap_mode="r")
        train = self.split(TRAIN)
        if logits.shape != (len(train), self.task.num_outputs):
            raise ValueError(f"{file} holds logits {logits.shape}, not {(len(train), self.task.num_outputs)}")
        train.teacher_logits = logits

    def train_dataloader(self) -> DataLoader[int]:
        """Shuffled training batches of near-equal length."""
        split = self.split(TRAIN)
        return ResumableLoader(split, BucketSampler(split.lengths, self.batch_size, self.seed), self.workers)

    def val_dataloader(self) -> DataLoader[int]:
        """The split that chooses the checkpoint, each example once."""
        return self.eval_dataloader(self.select_on)

    def eval_dataloader(self, name: str) -> DataLoader[int]:
        """Any split, each example once, longest first."""
        return eval_loader(self.split(name), self.eval_batch_size)


def eval_loader(split: EncodedSplit, batch_size: int) -> DataLoader[int]:
    """Batches that hold each example of a split once; several processes share them out."""
    return DataLoader(split, batch_sampler=SortedSampler(split.lengths, batch_size), collate_fn=split.collate)
