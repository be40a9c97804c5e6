"""Batches: rows taken, batches put together, and which rows have a label."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from helpers import tiny_batch

from kdlab.types import Batch

LONG, SHORT = tiny_batch((9, 4, 7), logits=True), tiny_batch((5, 3), seed=1, logits=True)


def same(one: Batch, other: Batch) -> bool:
    both = zip(vars(one).items(), vars(other).values(), strict=True)
    return all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else name == "pad_id" or a == b for (name, a), b in both
    )


def part(batch: Batch, rows: list[int]) -> Batch:
    """A process's part of a global batch."""
    index = torch.tensor(rows)
    return dataclasses.replace(batch.take(index), whole=batch, rows=index)


def test_rows_are_taken_in_their_order():
    taken = LONG.take(torch.tensor([2, 0]))
    assert taken.index.tolist() == [2, 0]
    for name in ("input_ids", "attention_mask", "token_type_ids", "labels", "teacher_logits"):
        assert torch.equal(getattr(taken, name), getattr(LONG, name)[[2, 0]])
    assert same(LONG.take(torch.tensor([True, False, True])), LONG.take(torch.tensor([0, 2])))
    assert part(LONG, [1]).take(torch.tensor([0])).whole is None


def test_batches_are_padded_to_the_longest():
    short = dataclasses.replace(SHORT, pad_id=1)
    both = Batch.cat([LONG, short])
    assert both.input_ids.shape == (5, 9)
    assert torch.equal(both.input_ids[3:, :5], short.input_ids)
    assert both.input_ids[3:, 5:].eq(1).all()  # the padding's own id: RoBERTa counts positions by it
    assert both.attention_mask[3:].sum(1).tolist() == [5, 3]
    assert torch.equal(both.labels, torch.cat([LONG.labels, short.labels]))
    assert torch.equal(both.teacher_logits, torch.cat([LONG.teacher_logits, short.teacher_logits]))
    assert (both.labelled, both.domain, both.whole) == (None, None, None)
    assert same(Batch.cat([LONG]), LONG)


def test_rows_without_a_label_are_known():
    unlabelled = dataclasses.replace(SHORT, labels=None)
    both = Batch.cat([LONG, unlabelled])
    assert both.labelled.tolist() == [True] * 3 + [False] * 2
    with pytest.raises(ValueError, match="some rows of this batch have no label"):
        both.gold()
    assert torch.equal(both.labelled_rows().gold(), LONG.labels)
    assert torch.equal(Batch.cat([both, LONG]).labelled_rows().index, torch.tensor([0, 1, 2, 0, 1, 2]))
    assert Batch.cat([unlabelled, unlabelled]).labels is None
    assert LONG.labelled_rows() is LONG
    assert len(unlabelled.labelled_rows()) == len(unlabelled.labelled_rows().gold()) == 0
    with pytest.raises(ValueError, match="unlabelled split"):
        unlabelled.gold()


def test_domains_are_kept():
    far = dataclasses.replace(SHORT, domain=torch.tensor([1, 1]))
    assert Batch.cat([LONG, far]).domain.tolist() == [0, 0, 0, 1, 1]


def test_parts_of_global_batches_stay_parts():
    both = Batch.cat([part(LONG, [0, 2]), part(SHORT, [1])])
    assert both.rows.tolist() == [0, 2, 4]
    assert same(both.whole, Batch.cat([LONG, SHORT]))
    assert torch.equal(both.whole.input_ids[both.rows], both.input_ids)
    assert both.fraction == 3 / 5


def test_what_cant_be_put_together_is_refused():
    bare = dataclasses.replace(SHORT, teacher_logits=None)
    for batches, said in (
        ([], "there is no batch"),
        ([LONG, bare], "some of the batches have teacher logits"),
        ([part(LONG, [0]), SHORT], "parts of global batches and whole batches"),
    ):
        with pytest.raises(ValueError, match=said):
            Batch.cat(batches)


def test_a_mean_over_labelled_rows_is_that_of_the_whole_batch():
    whole = Batch.cat([LONG, dataclasses.replace(SHORT, labels=None)])  # 3 of 5 rows have a label
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert whole.labelled_mean(losses) == 3.0
    parts, sums = [part(whole, [0, 3]), part(whole, [1, 2, 4])], [losses[:1], losses[1:]]
    shares = [one.fraction * 2 for one in parts]  # what the base multiplies a process's loss by
    values = [one.labelled_mean(mine) * share for one, mine, share in zip(parts, sums, shares, strict=True)]
    assert torch.isclose(torch.stack(values).mean(), torch.tensor(3.0))
    none = part(whole, [3, 4])
    empty = torch.zeros(0, requires_grad=True)
    assert none.labelled_mean(empty) == 0.0
    assert none.labelled_mean(empty).requires_grad
    assert LONG.labelled_mean(losses) == 3.0
