"""Batches: every example once, a function of (seed, epoch), little padding, and what the tokenizer says."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from helpers import PAIRS, SCORES, tiny_data, tiny_encoder, tiny_examples, tiny_tokenizer

from kdlab.data.batches import BucketSampler, SortedSampler
from kdlab.data.encoding import encode
from kdlab.data.examples import Examples
from kdlab.evaluation.predict import predict

LENGTHS = np.random.default_rng(0).integers(5, 128, 1003)


def epoch(seed: int, number: int, batch_size: int = 16) -> list[list[int]]:
    sampler = BucketSampler(LENGTHS, batch_size, seed)
    sampler.set_epoch(number)
    return list(sampler)


def waste(batches) -> float:
    padded = sum(len(b) * LENGTHS[b].max() for b in batches)
    return 1 - LENGTHS.sum() / padded


def encoded(examples, cache, max_length=32):
    return encode(examples, tiny_tokenizer(), "tiny", max_length, cache)


@pytest.mark.parametrize("batch_size", [1, 16, 64, 2000])
def test_every_example_comes_once_an_epoch(batch_size):
    for number in range(3):
        batches = epoch(0, number, batch_size)
        assert sorted(chain(*batches)) == list(range(1003))
        assert len(batches) == len(BucketSampler(LENGTHS, batch_size, 0)) == -(-1003 // batch_size)
        assert sorted({len(b) for b in batches})[-1] <= batch_size
        assert sum(len(b) < batch_size for b in batches) <= 1


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = epoch(3, 2)
    torch.manual_seed(2)
    sampler = BucketSampler(LENGTHS, 16, 3)
    list(sampler)  # epochs before do not matter, and iterating twice gives the same
    sampler.set_epoch(2)
    assert list(sampler) == list(sampler) == first


def test_epochs_and_seeds_differ():
    orders = [epoch(seed, number) for seed in (0, 1) for number in (0, 1, 2)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


def test_an_example_meets_other_company_in_another_epoch():
    company = [next(set(b) for b in epoch(0, number) if 17 in b) for number in (0, 1)]
    assert len(company[0] & company[1]) < 8


def test_padding_nearly_vanishes():
    shuffled = np.random.default_rng(1).permutation(1003)
    assert waste(np.array_split(shuffled, 63)) > 0.4
    assert waste(epoch(0, 0)) < 0.06
    assert waste(list(SortedSampler(LENGTHS, 16))) < 0.03


def test_batches_do_not_come_sorted_by_length():
    means = [LENGTHS[b].mean() for b in epoch(0, 0)]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5


def test_evaluation_takes_every_example_once_longest_first():
    batches = list(SortedSampler(LENGTHS, 16))
    assert sorted(chain(*batches)) == list(range(1003))
    assert len(batches) == len(SortedSampler(LENGTHS, 16))
    assert (np.diff(LENGTHS[list(chain(*batches))]) <= 0).all()


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("max_length", [32, 9])
def test_a_batch_is_what_the_tokenizer_gives(cache, pairs, max_length):
    examples = tiny_examples(20)
    if not pairs:
        examples = Examples(examples.ids, examples.text, None, examples.labels)
    split, positions = encoded(examples, cache, max_length), [3, 0, 11, 7]
    batch = split.collate(positions)
    expected = tiny_tokenizer()(
        [examples.text[i] for i in positions],
        [examples.text_pair[i] for i in positions] if pairs else None,
        truncation=True,
        max_length=max_length,
        padding=True,
        return_token_type_ids=True,
        return_tensors="pt",
    )
    assert torch.equal(batch.input_ids, expected["input_ids"])
    assert torch.equal(batch.attention_mask, expected["attention_mask"])
    assert torch.equal(batch.token_type_ids, expected["token_type_ids"])
    assert batch.token_type_ids.any() == pairs
    assert batch.index.tolist() == positions
    assert batch.labels.tolist() == [examples.labels[i] for i in positions]
    assert split.lengths[positions].tolist() == batch.attention_mask.sum(1).tolist()
    assert batch.teacher_logits is None


def test_labels_have_the_tasks_type(cache):
    assert encoded(tiny_examples(4), cache).collate([0]).labels.dtype == torch.int64
    assert encoded(tiny_examples(4, SCORES), cache).collate([0]).labels.dtype == torch.float32
    unlabelled = tiny_examples(4)
    unlabelled = Examples(unlabelled.ids, unlabelled.text, unlabelled.text_pair, None)
    batch = encoded(unlabelled, cache).collate([0, 1])
    assert batch.labels is None
    with pytest.raises(ValueError, match="unlabelled split"):
        batch.gold()


def test_the_second_time_nothing_is_tokenised(cache):
    examples = tiny_examples(6)
    first = encoded(examples, cache)

    def refuse(*_, **__):
        raise AssertionError("tokenised again")

    again = encode(examples, refuse, "tiny", 32, cache)
    assert torch.equal(first.collate(range(6)).input_ids, again.collate(range(6)).input_ids)
    assert first.fingerprint == again.fingerprint


def test_other_text_tokenizer_or_length_is_tokenised_anew(cache):
    examples = tiny_examples(6)
    prints = {
        encoded(examples, cache).fingerprint,
        encoded(examples, cache, 9).fingerprint,
        encoded(tiny_examples(6, seed=1), cache).fingerprint,
        encode(examples, tiny_tokenizer(), "another", 32, cache).fingerprint,
    }
    assert len(prints) == 4


def test_teacher_logits_come_by_index(cache):
    data = tiny_data(cache, batch_size=4)
    logits = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    data.hand_out_logits(lambda split: logits)
    seen = []
    for batch in data.train_dataloader():
        assert torch.equal(batch.soft_labels(), torch.from_numpy(logits)[batch.index])
        assert batch.soft_labels().dtype == torch.float32
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(16))
    assert all(batch.teacher_logits is None for batch in data.val_dataloader())


def test_logits_of_another_shape_are_refused(cache):
    data = tiny_data(cache)
    data.hand_out_logits(lambda split: np.zeros((16, 3), np.float32))
    with pytest.raises(ValueError, match=r"\(16, 3\), not \(16, 2\)"):
        data.train_dataloader()


def test_predictions_come_in_the_splits_order_whatever_the_batch(cache):
    encoder, data = tiny_encoder(dropout=0.5).train(), tiny_data(cache)
    split = data.split("train")
    direct = torch.cat([encoder.eval().classify(split.collate([i])) for i in range(16)]).detach()
    encoder.train()
    for size in (1, 5, 64):
        prediction = predict(encoder, split, size, torch.device("cpu"))
        torch.testing.assert_close(prediction.logits, direct, atol=1e-5, rtol=0)
        assert encoder.training
    assert PAIRS.num_outputs == prediction.logits.shape[1]
