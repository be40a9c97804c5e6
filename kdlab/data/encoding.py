"""Splits are tokenised once, and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.data.batches import EncodedSplit
from kdlab.data.examples import Examples
from kdlab.errors import KdlabError
from kdlab.system.cache import Cache
from kdlab.system.files import fingerprint, write_array, write_atomic
from kdlab.system.foreign import door, read_fields
from kdlab.system.shown import clipped, shown

_FORMAT = 1  # raised when the layout of the arrays changes


def label_array(labels: Sequence[int] | Sequence[float] | None) -> NDArray[Any] | None:
    """Labels as int64, or as float32 where they are scores."""
    if labels is None:
        return None
    scores = any(isinstance(label, float) for label in labels)
    return np.asarray(labels, dtype=np.float32 if scores else np.int64)


def tokens_key(examples: Examples, tokenizer_fingerprint: str, max_length: int) -> str:
    """Fingerprint of a split as it is tokenised, known before it is.

    Args:
        examples: N examples.
        tokenizer_fingerprint: Which tokenizer reads them.
        max_length: Longest input in tokens.
    """
    return fingerprint("tokens", _FORMAT, examples.fingerprint(), tokenizer_fingerprint, max_length)


def tokenise(examples: Examples, tokenizer: Any, max_length: int) -> Any:
    """Ids and segments of each example (``input_ids``, ``token_type_ids``), special tokens included.

    Args:
        examples: N examples.
        tokenizer: A fast Hugging Face tokenizer; sentence pairs are cut longest first.
        max_length: Longest input in tokens.

    Raises:
        KdlabError: The tokenizer can't read a text, or makes nothing of it.
    """
    with door("A text", "give a checkpoint whose tokenizer reads it", "can't be tokenised"):
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
    if 0 in lengths:
        raise KdlabError(
            f"The tokenizer makes nothing of example {examples.ids[lengths.index(0)]}, "
            f"{clipped(shown(repr(examples.text[lengths.index(0)])), 60)}, and adds no special tokens: take the "
            "example out, or give a tokenizer that marks beginning and end."
        )
    return encoded


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
        cache: Where the arrays are stored.
    """
    key = tokens_key(examples, tokenizer_fingerprint, max_length)

    def build(folder: Path) -> None:
        encoded = tokenise(examples, tokenizer, max_length)
        lengths = [len(row) for row in encoded["input_ids"]]
        about = {"pad_id": tokenizer.pad_token_id, "examples": len(examples), "max_length": max_length}
        write_array(folder / "offsets.npy", np.cumsum([0, *lengths], dtype=np.int64))
        write_array(folder / "ids.npy", np.concatenate([np.asarray(r, np.int32) for r in encoded["input_ids"]]))
        write_array(folder / "types.npy", np.concatenate([np.asarray(r, np.uint8) for r in encoded["token_type_ids"]]))
        write_atomic(folder / "about.json", json.dumps(about))

    def load(folder: Path) -> EncodedSplit:
        about = read_fields(folder / "about.json", "it is made again")
        split = EncodedSplit(
            ids=np.asarray(np.load(folder / "ids.npy", mmap_mode="r")),
            types=np.asarray(np.load(folder / "types.npy", mmap_mode="r")),
            offsets=np.load(folder / "offsets.npy"),
            pad_id=int(about["pad_id"]),
            labels=label_array(examples.labels),
            fingerprint=key,
            names=examples.ids,
        )
        split.domain = None if examples.domain is None else np.asarray(examples.domain, dtype=np.int64)
        if len(split) != len(examples) or len(split.ids) != len(split.types) or len(split.ids) != split.offsets[-1]:
            raise ValueError("its arrays do not fit each other")
        return split

    about = {"examples": len(examples), "max_length": max_length}
    return cache.get_or_make("tokens", key, build, about, load=load)
