"""Tokenised splits on disk, and batches of near-equal length padded to their longest example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from kdlab.data.examples import Examples
from kdlab.system.cache import Cache
from kdlab.system.distributed import rank, world_size
from kdlab.system.files import fingerprint, writing
from kdlab.types import Batch

_FORMAT = 1  # raised when the layout of the arrays changes


class EncodedSplit(Dataset[int]):
    """One tokenised split: flat arrays with offsets, memory-mapped where they come from the cache.

    An item is only its position; ``collate`` makes a whole padded ``Batch`` from positions in one go.

    Args:
        ids: Token ids of all examples, one after the other, ``(tokens,)`` int32.
        types: Their segments, ``(tokens,)`` uint8.
        offsets: Where each example starts, and the end, ``(N + 1,)`` int64.
        pad_id: What stands at padding.
        labels: ``(N,)`` labels, or None.
        fingerprint: Of the tokenised content.
        names: How messages call each example; its position unless given.
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
        """This process's part of a global batch: every ``world_size``-th example of it, and the whole beside it."""
        whole = self.collate(positions)
        if world_size() == 1:
            return whole
        rows = torch.arange(rank(), len(whole), world_size())
        return replace(whole.take(rows), whole=whole, rows=rows)

    def collate(self, positions: Sequence[int]) -> Batch:
        """The batch of these positions, padded to the longest of them."""
        index = np.asarray(positions, dtype=np.int64)
        starts, ends = self.offsets[index], self.offsets[index + 1]
        columns = np.arange(int((ends - starts).max()))
        there = columns < (ends - starts)[:, None]  # (B, T)
        flat = (starts[:, None] + columns)[there]
        ids = np.full(there.shape, self.pad_id, dtype=np.int64)
        types = np.zeros(there.shape, dtype=np.int64)
        ids[there], types[there] = self.ids[flat], self.types[flat]
        known = self.labelled is None or self.labelled[index].all()
        return Batch(
            index=torch.from_numpy(index),
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(there.astype(np.int64)),
            token_type_ids=torch.from_numpy(types),
            labels=_picked(self.labels, index),
            teacher_logits=_picked(self.teacher_logits, index),
            labelled=None if known else _picked(self.labelled, index),
            domain=_picked(self.domain, index),
            pad_id=self.pad_id,
        )

    def take(self, positions: Sequence[int]) -> EncodedSplit:
        """The examples at these positions, in this order; one may stand in several places."""
        index = np.asarray(positions, dtype=np.int64)
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.repeat(self.offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        key = fingerprint("taken", self.fingerprint, index.tolist())
        names = [self.names[i] for i in index.tolist()]
        taken = EncodedSplit(self.ids[flat], self.types[flat], offsets, self.pad_id, None, key, names)
        for column in ("labels", "labelled", "domain", "teacher_logits"):
            values = getattr(self, column)
            setattr(taken, column, None if values is None else values[index])
        return taken


def _picked(values: NDArray[Any] | None, index: NDArray[np.int64]) -> torch.Tensor | None:
    return None if values is None else torch.from_numpy(np.array(values[index]))


def label_array(labels: Sequence[int] | Sequence[float] | None) -> NDArray[Any] | None:
    """Labels as int64, or as float32 where they are scores."""
    if labels is None:
        return None
    scores = any(isinstance(label, float) for label in labels)
    return np.asarray(labels, dtype=np.float32 if scores else np.int64)


def encode(
    examples: Examples,
    tokenizer: Any,
    tokenizer_fingerprint: str,
    max_length: int,
    cache: Cache,
) -> EncodedSplit:
    """Tokenises a split once; the same text, tokenizer and length are read back from the cache.

    Args:
        examples: N examples.
        tokenizer: A fast Hugging Face tokenizer; sentence pairs are cut longest first.
        tokenizer_fingerprint: Which tokenizer it is.
        max_length: Longest input in tokens.
        cache: Where the arrays are kept.
    """
    key = fingerprint("tokens", _FORMAT, examples.fingerprint(), tokenizer_fingerprint, max_length)

    def build(folder: Path) -> None:
        encoded = tokenizer(
            list(examples.text),
            None if examples.text_pair is None else list(examples.text_pair),
            truncation=True,
            max_length=max_length,
            return_token_type_ids=True,
            return_attention_mask=False,
            verbose=False,
        )
        lengths = [len(row) for row in encoded["input_ids"]]
        about = {"pad_id": tokenizer.pad_token_id, "examples": len(examples), "max_length": max_length}
        with writing(folder):
            np.save(folder / "offsets.npy", np.cumsum([0, *lengths], dtype=np.int64))
            np.save(folder / "ids.npy", np.concatenate([np.asarray(r, np.int32) for r in encoded["input_ids"]]))
            np.save(folder / "types.npy", np.concatenate([np.asarray(r, np.uint8) for r in encoded["token_type_ids"]]))
            (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")

    folder = cache.get_or_make("tokens", key, build, {"examples": len(examples), "max_length": max_length})
    return EncodedSplit(
        ids=np.asarray(np.load(folder / "ids.npy", mmap_mode="r")),
        types=np.asarray(np.load(folder / "types.npy", mmap_mode="r")),
        offsets=np.load(folder / "offsets.npy"),
        pad_id=int(json.loads((folder / "about.json").read_text(encoding="utf-8"))["pad_id"]),
        labels=label_array(examples.labels),
        fingerprint=key,
        names=examples.ids,
    )


def count_batches(examples: int, batch_size: int, processes: int) -> int:
    """Batches of an epoch; a last one too small for every process to have an example joins the one before.

    Args:
        examples: How many.
        batch_size: Of a global batch.
        processes: That share it.
    """
    whole, rest = divmod(examples, batch_size)
    return whole + (rest >= processes) if whole and rest else whole + (rest > 0)


class BucketSampler(Sampler[list[int]]):
    """Global batches of near-equal length, in an order that is a function of (seed, epoch) alone.

    Examples are shuffled, cut into windows of ``window`` batches, sorted by length inside each window, cut into
    batches, and the batches shuffled: padding nearly vanishes while every example keeps a random company.

    Args:
        lengths: Tokens of each example, ``(N,)``.
        batch_size: Examples a batch; the last may hold fewer.
        seed: Draws the order together with the epoch.
        window: Batches that are sorted together.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int, window: int = 50) -> None:
        self.lengths = torch.from_numpy(np.ascontiguousarray(lengths))
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self.epoch = 0
        self.start = 0  # batches to leave out, for an epoch that goes on
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
        if len(batches) > 1 and len(batches[-1]) < world_size():  # too few for every process to have one
            batches[-2:] = [batches[-2] + batches[-1]]
        for i in torch.randperm(len(batches), generator=draw).tolist()[self.start :]:
            yield batches[i]


class ResumableLoader(DataLoader[int]):
    """Training batches that can go on in the middle of an epoch; Lightning keeps ``state_dict`` in its checkpoints.

    The order of an epoch is drawn when its first batch is asked for, after ``set_epoch``; what workers have made ahead
    and nobody took is not counted.

    Args:
        split: Where examples are.
        sampler: Draws the order from (seed, epoch).
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
        """The next iteration starts behind these batches."""
        self._done = state_dict["done"]


class SortedSampler(Sampler[list[int]]):
    """Every example once, longest first, for evaluation: nothing is repeated or left out, whatever the processes.

    Args:
        lengths: Tokens of each example, ``(N,)``.
        batch_size: Examples a batch.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int) -> None:
        order = np.argsort(-lengths, kind="stable")
        share = order[rank() :: world_size()]
        # a process without examples would leave the others waiting; what it repeats is counted once
        self.order = share if len(share) else order[:1]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self.order), self.batch_size):
            yield self.order[start : start + self.batch_size].tolist()
