"""Tokenised splits, and batches of near-equal length padded to their longest example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from kdlab.system.distributed import rank, world_size
from kdlab.system.files import fingerprint
from kdlab.types import Batch


class EncodedSplit(Dataset[int]):
    """One tokenised split: flat arrays with offsets, memory-mapped where they come from the cache.

    An item is only its position; ``collate`` makes a padded ``Batch`` from a list of positions.

    Args:
        ids: Token ids of all examples, one after the other, ``(tokens,)`` int32.
        types: Their segments, ``(tokens,)`` uint8.
        offsets: Where each example starts, and the end, ``(N + 1,)`` int64.
        pad_id: Token id at padding.
        labels: ``(N,)`` labels, or None.
        fingerprint: Of the tokenised content.
        names: Name of each example in messages; its position by default.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        types: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        pad_id: int,
        labels: NDArray[Any] | None,
        fingerprint: str,
        names: Sequence[int | str] | None = None,
    ) -> None:
        self.ids, self.types, self.offsets, self.pad_id = ids, types, offsets, pad_id
        self.labels = labels
        self.fingerprint = fingerprint
        self.names: Sequence[int | str] = range(len(offsets) - 1) if names is None else names
        self.labelled: NDArray[np.bool_] | None = None  # which rows have a label, where some have none
        self.domain: NDArray[np.int64] | None = None  # which of several joined splits a row comes from
        self.teacher_logits: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, position: int) -> int:
        return position

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, ``(N,)``."""
        return np.diff(self.offsets)

    def collate_share(self, positions: Sequence[int]) -> Batch:
        """This process's part of a global batch: every ``world_size``-th example, the global one in ``whole``."""
        batch = self.collate(positions)
        if world_size() == 1:
            return batch
        rows = torch.arange(rank(), len(batch), world_size())
        return replace(batch.take(rows), whole=batch, rows=rows)

    def collate(self, positions: Sequence[int]) -> Batch:
        """The batch of these positions, padded to the longest of them."""
        index = np.asarray(positions, dtype=np.int64)
        starts, ends = self.offsets[index], self.offsets[index + 1]
        columns = np.arange(int((ends - starts).max()))
        is_token = columns < (ends - starts)[:, None]  # (B, T)
        flat = (starts[:, None] + columns)[is_token]
        ids = np.full(is_token.shape, self.pad_id, dtype=np.int64)
        types = np.zeros(is_token.shape, dtype=np.int64)
        ids[is_token], types[is_token] = self.ids[flat], self.types[flat]
        all_labelled = self.labelled is None or self.labelled[index].all()
        return Batch(
            index=torch.from_numpy(index),
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(is_token.astype(np.int64)),
            token_type_ids=torch.from_numpy(types),
            labels=_rows_of(self.labels, index),
            teacher_logits=_rows_of(self.teacher_logits, index),
            labelled=None if all_labelled else _rows_of(self.labelled, index),
            domain=_rows_of(self.domain, index),
            pad_id=self.pad_id,
        )

    def take(self, positions: Sequence[int]) -> EncodedSplit:
        """The examples at these positions, in this order; positions may repeat."""
        index = np.asarray(positions, dtype=np.int64)
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.repeat(self.offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        key = fingerprint("taken", self.fingerprint, index.tolist())
        names = [self.names[i] for i in index.tolist()]
        subset = EncodedSplit(self.ids[flat], self.types[flat], offsets, self.pad_id, None, key, names)
        for column in ("labels", "labelled", "domain", "teacher_logits"):
            values = getattr(self, column)
            setattr(subset, column, None if values is None else values[index])
        return subset


def _rows_of(values: NDArray[Any] | None, index: NDArray[np.int64]) -> torch.Tensor | None:
    return None if values is None else torch.from_numpy(np.array(values[index]))


def count_batches(examples: int, batch_size: int, processes: int) -> int:
    """Batches of an epoch; a last batch with fewer examples than processes is joined to the one before.

    Args:
        examples: Number of examples.
        batch_size: Examples in a global batch.
        processes: Number of processes that share a batch.
    """
    full, rest = divmod(examples, batch_size)
    return full + (rest >= processes) if full and rest else full + (rest > 0)


class BucketSampler(Sampler[list[int]]):
    """Global batches of near-equal length, in an order that is a function of (seed, epoch) alone.

    Examples are shuffled, cut into windows of ``window`` batches, sorted by length inside each window, cut into
    batches, and the batches shuffled: there is little padding, and batches still mix examples at random.

    Args:
        lengths: Tokens of each example, ``(N,)``.
        batch_size: Examples per batch; the last may hold fewer.
        seed: Determines the order together with the epoch.
        window: Number of batches that are sorted together.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int, window: int = 50) -> None:
        self.lengths = torch.from_numpy(np.ascontiguousarray(lengths))
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self.epoch = 0
        self.start = 0  # batches to skip in an epoch that resumes
        self.sampler = self  # Lightning looks for set_epoch on the batch sampler's sampler

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return count_batches(len(self.lengths), self.batch_size, world_size())

    def __iter__(self) -> Iterator[list[int]]:
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=draw)
        batches: list[list[int]] = []
        for part in torch.split(order, self.window * self.batch_size):
            by_length = part[self.lengths[part].argsort(stable=True)]
            batches += [chunk.tolist() for chunk in torch.split(by_length, self.batch_size)]
        if len(batches) > 1 and len(batches[-1]) < world_size():  # fewer examples than processes
            batches[-2:] = [batches[-2] + batches[-1]]
        for i in torch.randperm(len(batches), generator=draw).tolist()[self.start :]:
            yield batches[i]


class ResumableLoader(DataLoader[int]):
    """Training batches that can resume in the middle of an epoch; Lightning keeps ``state_dict`` in its checkpoints.

    The order of an epoch is drawn when its first batch is requested, after ``set_epoch``; batches that workers have
    prefetched but not delivered are not counted.

    Args:
        split: The examples.
        sampler: Determines the order from (seed, epoch).
        workers: Processes that make batches; 0 makes them in this one.
    """

    def __init__(self, split: EncodedSplit, sampler: BucketSampler, workers: int = 0) -> None:
        super().__init__(
            split,
            batch_sampler=sampler,
            collate_fn=split.collate_share,
            num_workers=workers,
            pin_memory=torch.cuda.is_initialized(),  # type: ignore[no-untyped-call]
        )
        self._order = sampler
        self._done = 0

    def __iter__(self) -> Any:
        self._order.start, self._done = self._done % max(len(self), 1), 0
        self._done = self._order.start
        for batch in super().__iter__():
            self._done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """How many batches of the epoch have been handed out."""
        return {"done": self._done}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """The next iteration starts after these batches."""
        self._done = state_dict["done"]


class SortedSampler(Sampler[list[int]]):
    """Every example once, longest first, for evaluation: none is repeated or left out, for any number of processes.

    Args:
        lengths: Tokens of each example, ``(N,)``.
        batch_size: Examples per batch.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int) -> None:
        order = np.argsort(-lengths, kind="stable")
        share = order[rank() :: world_size()]
        # a process without examples would block the others, so it repeats one, which is counted once
        self.order = share if len(share) else order[:1]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self.order), self.batch_size):
            yield self.order[start : start + self.batch_size].tolist()
