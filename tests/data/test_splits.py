"""Tokenised splits put together, taken from and made of rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import PAIRS, SCORES, tiny_data, tiny_examples, tiny_tokenizer

from kdlab.data.encoding import encode
from kdlab.data.module import GLUEDataModule
from kdlab.data.splits import join_splits, split_of_rows
from kdlab.data.tasks import TASKS


def split(cache, size: int, seed: int = 0, task=PAIRS, labelled: bool = True):
    examples = tiny_examples(size, task, seed)
    examples = examples if labelled else dataclasses.replace(examples, labels=None)
    return encode(examples, tiny_tokenizer(), "tiny", 32, cache)


def rows(split, positions) -> list[list[int]]:
    batch = split.collate(positions)
    return [ids[: int(n)] for ids, n in zip(batch.input_ids.tolist(), batch.attention_mask.sum(1), strict=True)]


def test_rows_are_taken_in_any_order_and_more_than_once(cache):
    whole = split(cache, 9)
    taken = whole.take([4, 4, 0])
    assert rows(taken, [0, 1, 2]) == rows(whole, [4, 4, 0])
    assert taken.labels.tolist() == whole.labels[[4, 4, 0]].tolist()
    assert list(taken.names) == [4, 4, 0]
    assert taken.fingerprint != whole.fingerprint
    assert taken.fingerprint != whole.take([4, 0, 4]).fingerprint
    assert taken.collate([2]).index.tolist() == [2]  # a place in the new split
    assert rows(taken.take([2]), [0]) == rows(whole, [0])
    assert len(whole.take([])) == 0


def test_splits_are_joined_with_their_domains_and_names(cache):
    one, two, three = split(cache, 4), split(cache, 3, seed=1), split(cache, 2, seed=2, labelled=False)
    whole = join_splits({"train": one, "source": two, "unlabelled": three})
    assert len(whole) == 9
    assert rows(whole, range(9)) == rows(one, range(4)) + rows(two, range(3)) + rows(three, range(2))
    assert whole.domain.tolist() == [0] * 4 + [1] * 3 + [2] * 2
    assert whole.labelled.tolist() == [True] * 7 + [False] * 2
    assert whole.labels.tolist() == [*one.labels, *two.labels, 0, 0]
    assert whole.names[5] == "source:1"
    batch = whole.collate([8, 0])
    assert batch.labelled.tolist() == [False, True]
    assert batch.domain.tolist() == [2, 0]
    assert whole.collate([0, 1]).labelled is None  # all rows are alike
    nested = join_splits({"again": whole, "train": one})
    assert nested.labelled.tolist() == [True] * 7 + [False] * 2 + [True] * 4
    assert join_splits({"a": three}).labels is None
    assert join_splits({"a": split(cache, 3, task=SCORES), "b": three}).labels.dtype == np.float32


def test_names_and_order_are_part_of_a_joined_fingerprint(cache):
    one, two = split(cache, 4), split(cache, 3, seed=1)
    prints = [join_splits(p).fingerprint for p in ({"a": one, "b": two}, {"b": two, "a": one}, {"a": one, "c": two})]
    assert len(set(prints)) == 3
    assert join_splits({"a": one, "b": two}).fingerprint == prints[0]


def test_nothing_and_other_padding_cant_be_joined(cache):
    one = split(cache, 4)
    other = split_of_rows([[2, 7, 3]], [[0, 0, 0]], 1, [0])
    for parts in ({}, {"a": one, "b": other}):
        with pytest.raises(ValueError, match="all of one tokenizer"):
            join_splits(parts)


def test_rows_of_ids_are_a_split(cache):
    whole = split(cache, 5)
    types = [whole.types[a:b].tolist() for a, b in zip(whole.offsets[:-1], whole.offsets[1:], strict=True)]
    again = split_of_rows(rows(whole, range(5)), types, whole.pad_id, whole.labels.tolist(), list("abcde"))
    first, second = whole.collate([3, 1]), again.collate([3, 1])
    for name in ("input_ids", "attention_mask", "token_type_ids", "labels"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
    assert again.names[1] == "b"
    same = split_of_rows(rows(whole, range(5)), types, whole.pad_id, None)
    assert same.fingerprint == again.fingerprint  # the teacher's logits are those of the text
    assert split_of_rows(rows(whole, [1, 0, 2, 3, 4]), types, 0, None).fingerprint != same.fingerprint


def test_the_teacher_is_asked_for_the_rows_that_are_trained_on(cache):
    data, asked = tiny_data(cache), []

    def teacher(rows):
        asked.append(len(rows))
        return np.full((len(rows), 2), len(asked), np.float32)

    data.hand_out_logits(teacher)
    assert {float(b.soft_labels()[0, 0]) for b in data.train_dataloader()} == {1.0}
    data.train_dataloader()
    data.train_on(data.split("train").take([0, 1, 2, 3]))  # takes along what is known
    assert {float(b.soft_labels()[0, 0]) for b in data.train_dataloader()} == {1.0}
    pool = split_of_rows([[2, 7, 3], [2, 8, 3], [2, 9, 3]], [[0] * 3] * 3, 0, [0, 1, 0])
    data.train_on(pool)
    assert data.training_split is pool
    (batch,) = data.train_dataloader()
    assert sorted(batch.index.tolist()) == [0, 1, 2]
    assert float(batch.soft_labels()[0, 0]) == 2.0
    assert asked == [16, 3]
    assert data.sizes == {"train": 16, "dev": 10}


def test_a_task_is_read_as_a_run_reads_it(cache):
    data = GLUEDataModule.read("rte", profile="embedded", limit_train="10%", max_length=48, batch_size=16, cache=cache)
    assert data.task is TASKS["rte"]
    assert set(data.sizes) == {"train", "holdout", "dev", "test"}
    assert data.select_on == "holdout"
    batch = next(iter(data.train_dataloader()))
    assert batch.input_ids.shape[0] == 16
    assert sum(len(b) for b in data.val_dataloader()) == data.sizes["holdout"]
