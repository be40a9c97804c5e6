"""Tokenised splits that are joined from others, or made from rows of ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.data.batches import EncodedSplit
from kdlab.data.encoding import label_array
from kdlab.system.files import fingerprint


def join_splits(parts: Mapping[str, EncodedSplit]) -> EncodedSplit:
    """Joins splits into one to train on; ``domain`` holds the number of the part that a row comes from.

    Rows of a part without labels are marked unlabelled and have label 0. The parts' teacher logits are dropped: a data
    module computes those of the joined split.

    Args:
        parts: Splits of one tokenizer by name; messages show the names.

    Raises:
        ValueError: There are none, or their padding differs.
    """
    splits = list(parts.values())
    if not splits or len({split.pad_id for split in splits}) > 1:
        raise ValueError("splits can be joined where there are some, all of one tokenizer")
    lengths = np.concatenate([split.lengths for split in splits])
    dtype = next((split.labels.dtype for split in splits if split.labels is not None), None)
    joined = EncodedSplit(
        ids=np.concatenate([split.ids for split in splits]),
        types=np.concatenate([split.types for split in splits]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pad_id=splits[0].pad_id,
        labels=None if dtype is None else np.concatenate([_labels(split, dtype) for split in splits]),
        fingerprint=fingerprint("joined", [[name, split.fingerprint] for name, split in parts.items()]),
        names=[f"{name}:{example}" for name, split in parts.items() for example in split.names],
    )
    labelled = np.concatenate([_labelled(split) for split in splits])
    joined.labelled = None if dtype is None or labelled.all() else labelled
    joined.domain = np.repeat(np.arange(len(splits), dtype=np.int64), [len(split) for split in splits])
    return joined


def _labels(split: EncodedSplit, dtype: Any) -> NDArray[Any]:
    return np.zeros(len(split), dtype) if split.labels is None else split.labels


def _labelled(split: EncodedSplit) -> NDArray[np.bool_]:
    if split.labelled is not None:
        return split.labelled
    return np.full(len(split), split.labels is not None)


def split_of_rows(
    ids: Sequence[Sequence[int]],
    types: Sequence[Sequence[int]],
    pad_id: int,
    labels: Sequence[int] | Sequence[float] | None,
    names: Sequence[int | str] | None = None,
) -> EncodedSplit:
    """A split from rows of ids, such as the candidates of a masked LM; its fingerprint is that of its content.

    Args:
        ids: Token ids of each row, special tokens included.
        types: Their segments.
        pad_id: Token id at padding.
        labels: One per row, or None.
        names: Name of each row in messages; its position by default.
    """
    lengths = [len(row) for row in ids]
    flat_ids = np.concatenate([np.asarray(row, np.int32) for row in ids])
    flat_types = np.concatenate([np.asarray(row, np.uint8) for row in types])
    digest = hashlib.sha256(flat_ids.tobytes() + flat_types.tobytes()).hexdigest()
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    array = label_array(labels)
    return EncodedSplit(flat_ids, flat_types, offsets, pad_id, array, fingerprint("rows", digest, lengths), names)
