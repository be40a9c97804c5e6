"""Pools of candidates: so many draws of each example, independent, whoever else is drawn of."""

from __future__ import annotations

import pytest
from augment_fixtures import ODD, augmenter, sources

import kdlab.augmentation.pool
from kdlab.augmentation.p_s import log_edit_prior
from kdlab.augmentation.pool import draw_pool
from kdlab.transformations.words import apply_edits

TEXTS = ("ba be bi bo bu", "da de", "fa fe fi")


def test_each_example_has_as_many_draws_as_asked():
    several = sources(*TEXTS)
    pool = list(draw_pool(augmenter("p_s", alpha=1.0), several, [4, 0, 2], seed=0))
    assert [i for i, _ in pool] == [0, 0, 0, 0, 2, 2]
    for i, made in pool:
        assert apply_edits(several[i].texts, made.edits) == made.texts


def test_draws_do_not_depend_on_their_company(monkeypatch):
    one, several = augmenter("p_s", alpha=1.0), sources(*TEXTS)
    whole = list(draw_pool(one, several, [5, 5, 5], seed=3))
    alone = list(draw_pool(one, several, [0, 3, 0], seed=3))
    assert [made.texts for _, made in alone] == [made.texts for i, made in whole if i == 1][:3]
    monkeypatch.setattr(kdlab.augmentation.pool, "_AT_ONCE", 2)
    told = []
    parts = list(draw_pool(one, several, [5, 5, 5], seed=3, progress=lambda *done: told.append(done)))
    assert [(i, made.texts) for i, made in parts] == [(i, made.texts) for i, made in whole]
    assert [made.log_prob for _, made in parts] == pytest.approx([made.log_prob for _, made in whole], rel=1e-5)
    assert told == [(min(2 * n, 15), 15) for n in range(1, 9)]
    other = list(draw_pool(one, several, [5, 5, 5], seed=4))
    assert [made.texts for _, made in other] != [made.texts for _, made in whole]


def test_the_example_itself_may_be_the_first_draw():
    one, several = augmenter("p_s", alpha=1.0), sources(*TEXTS)
    pool = list(draw_pool(one, several, [3, 3, 3], seed=0, keep_original=True))
    for i in range(3):
        first = next(made for at, made in pool if at == i)
        assert first.texts == several[i].texts
        words = len(TEXTS[i].split())
        assert first.log_prob == pytest.approx(log_edit_prior(words, 1.0, "binomial", 60)[0])


def test_nobody_is_asked_for_a_draw_that_the_example_stands_in_for(monkeypatch):
    one, several, asked = augmenter("p_s", alpha=1.0), sources(*TEXTS), []
    drawn = type(one).drawn
    monkeypatch.setattr(type(one), "drawn", lambda self, keys: asked.extend(keys) or drawn(self, keys))
    whole = list(draw_pool(one, several, [3, 3, 3], seed=0))
    assert len(asked) == 9
    asked.clear()
    with_original = list(draw_pool(one, several, [3, 1, 3], seed=0, keep_original=True))
    assert len(asked) == 4
    assert [m.texts for _, m in with_original[1:3]] == [m.texts for _, m in whole[1:3]]
    assert with_original[3][1].texts == several[1].texts


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.parametrize("pair", [None, "be bi"], ids=["single", "pair"])
def test_odd_texts_get_their_draws(text, pair):
    several = sources(text, pair=pair)
    pool = list(draw_pool(augmenter("p_s", alpha=1.0), several, [6], seed=0))
    assert len(pool) == 6
    assert all(made.log_prob <= 1e-9 for _, made in pool)
