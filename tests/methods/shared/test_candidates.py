"""L2A's candidates: what is kept of them, how little memory that takes, and that they are what was drawn."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from helpers import PAIRS, tiny_examples, tiny_generator, tiny_tokenizer

import kdlab.methods.shared.candidates
from kdlab.augmentation.base import Source, Tools
from kdlab.augmentation.p_s import EditPrior, EditPriorSettings
from kdlab.augmentation.pool import draw_pool
from kdlab.data.domains import DomainDataModule
from kdlab.methods.shared.candidates import Asked, Pool, obtain_pool
from kdlab.transformations.masked_lm import Filler
from kdlab.transformations.words import apply_edits, edited_share

PRIOR = EditPriorSettings(alpha=1.0)
ASKED = Asked(3, 2, PRIOR, keep_original=False, seed=5)


def data_of(cache, examples) -> DomainDataModule:
    splits = {"train": examples, "dev": tiny_examples(4, PAIRS, seed=1)}
    return DomainDataModule(PAIRS, splits, tiny_tokenizer(), "tiny", 32, 8, 8, "dev", 0, cache)


def obtain(cache, examples, asked=ASKED) -> Pool:
    lm = tiny_generator()
    return obtain_pool(data_of(cache, examples), asked, lm, lambda: Filler(lm, 32), lambda done, total: None)


def two_domains(texts=None, pairs=None):
    rows = tiny_examples(6, PAIRS)
    changes = {} if texts is None else {"text": texts, "text_pair": pairs}
    return dataclasses.replace(rows, domain=(0, 0, 0, 0, 1, 1), **changes)


@pytest.mark.parametrize("block", [4096, 2])
def test_a_pool_is_what_was_drawn(cache, monkeypatch, block):
    monkeypatch.setattr(kdlab.methods.shared.candidates, "_AT_ONCE", block)
    blank = ("ba be bi", "", "da ! de", "fa", "bo bu", "…"), ("", "", "fe fi", "ba", "be bi bo", "?")
    rows = two_domains(*blank)
    pool = obtain(cache, rows)
    sources = [Source(i, texts, (0, 1)) for i, texts in enumerate(zip(*blank, strict=True))]
    augmenter = EditPrior(PRIOR, Tools(filler=Filler(tiny_generator(), 32)))
    drawn = list(draw_pool(augmenter, sources, [3, 3, 3, 3, 2, 2], 5))
    assert pool.origin.tolist() == [i for i, _ in drawn]
    assert list(pool.texts) == [made.texts for _, made in drawn]
    assert list(pool.edits) == [made.edits for _, made in drawn]
    assert pool.log_prob == pytest.approx([made.log_prob for _, made in drawn])
    shares = [edited_share(sources[i].texts, made.edits) for i, made in drawn]
    np.testing.assert_array_equal(pool.edited, np.asarray(shares, np.float32))
    assert any(shares)
    assert [apply_edits(sources[i].texts, e) for i, e in zip(pool.origin, pool.edits, strict=True)] == [*pool.texts]
    assert pool.split.domain.tolist() == [0] * 12 + [1] * 4
    assert pool.split.labels.tolist() == [rows.labels[i] for i, _ in drawn]
    assert pool.origin.flags.writeable  # tensors are made of them, which are warned of otherwise
    assert pool.log_prob.flags.writeable
    again = obtain(cache, rows)  # of the cache
    assert again.texts == pool.texts
    assert again.texts != pool.edits


def test_rows_are_a_sequence(cache):
    texts = obtain(cache, two_domains()).texts
    whole = list(texts)
    assert len(texts) == len(whole) == 16
    assert texts[3] == whole[3]
    assert texts[-1] == whole[-1]
    assert texts[2:5] == whole[2:5]
    assert whole[3] in texts
    with pytest.raises(IndexError):
        _ = texts[16]


def test_a_candidate_takes_hundreds_of_bytes_and_not_thousands(cache, monkeypatch):
    rows = tiny_examples(50, PAIRS)
    asked = dataclasses.replace(ASKED, target=60)
    split = obtain(cache, rows, asked).split
    assert len(split) == 3000
    read = kdlab.methods.shared.candidates.read_table

    def watched(*words):
        table = read(*words)
        tracemalloc.start()
        return table

    monkeypatch.setattr(kdlab.methods.shared.candidates, "read_table", watched)
    monkeypatch.setattr(kdlab.methods.shared.candidates, "encode", lambda *_: split)
    try:
        pool = obtain(cache, rows, asked)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(pool) == 3000
    assert peak / 3000 < 400  # two texts for the tokenizer; with edits as objects it is thousands
    assert held / 3000 < 100
