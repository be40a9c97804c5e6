"""L2A's edit prior: its table of edited shares, and log-probabilities by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from augment_fixtures import augmenter, sources
from helpers import tiny_generator

from kdlab.augmentation.p_s import expected_share, log_edit_prior
from kdlab.transformations.words import Words

# mean edited share of 20 tokens with 30,522 words, by α = .6, .7, .8, .9, 1
SHARES = {
    "literal": (0.9998, 0.9999, 0.9999, 0.9999, 0.9999),
    "binomial": (0.1589, 0.1933, 0.2227, 0.2477, 0.2689),
    "araml": (0.000193, 0.00286, 0.0212, 0.0946, 0.2689),
}


@pytest.mark.parametrize(("prior", "shares"), SHARES.items())
def test_edited_shares(prior: str, shares: tuple[float, ...]):
    for alpha, share in zip((0.6, 0.7, 0.8, 0.9, 1.0), shares, strict=True):
        assert expected_share(0, alpha, prior, 30_522) == 0.0
        assert expected_share(20, alpha, prior, 30_522) == pytest.approx(share, rel=3e-3 if share < 0.99 else 1e-4)


def test_the_prior_is_a_distribution_and_binomial_is_binomial():
    for prior in SHARES:
        assert np.exp(log_edit_prior(12, 0.7, prior, 100)).sum() == pytest.approx(1)
    p = 1 / (1 + math.exp(1 / 0.7))
    by_hand = [math.comb(12, d) * p**d * (1 - p) ** (12 - d) for d in range(13)]
    np.testing.assert_allclose(np.exp(log_edit_prior(12, 0.7, "binomial", 100)), by_hand)


def test_the_prior_of_a_length_is_computed_once_and_cannot_be_spoiled():
    logs = log_edit_prior(12, 0.7, "binomial", 100)
    assert log_edit_prior(12, 0.7, "binomial", 100) is logs
    with pytest.raises(ValueError, match="read-only"):
        logs[0] = 0
    assert log_edit_prior(12, 0.8, "binomial", 100) is not logs


def test_the_log_probability_of_a_draw_is_that_of_its_parts():
    one = augmenter("p_s", alpha=1.0, temperature=2.0)
    model = tiny_generator().eval()
    text = "ba be bi bo bu"
    (copies,) = one.augment(sources(text), 6, seed=0)
    assert len(copies) == 6
    for made in copies:
        d = len(made.edits)
        expected = log_edit_prior(5, 1.0, "binomial", 60)[d] - math.log(math.comb(5, d))
        for edit in made.edits:
            ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
            masked = torch.zeros_like(ids, dtype=torch.bool)
            masked[0, 1 + edit.position] = True  # behind [CLS]
            logits = model(ids, torch.ones_like(ids), torch.zeros_like(ids), masked)[0].detach()
            allowed = [i for i in range(5, 60) if i != ids[0, 1 + edit.position]]
            logs = torch.log_softmax(logits[allowed] / 2.0, dim=0)
            expected += float(logs[allowed.index(model.tokenizer.convert_tokens_to_ids(edit.new))])
        assert made.log_prob == pytest.approx(expected, abs=1e-4)


def test_as_many_words_are_edited_as_the_prior_says():
    one = augmenter("p_s", alpha=0.6)
    text = " ".join(["ba", "be", "bi", "bo", "bu"] * 4)
    keys = [(source, {0: Words(text)}, one.draw(0, source, 0)) for source in sources(*[text] * 400)]
    made = one.drawn(keys)
    edited = sum(len(each.edits) for each in made if each is not None) / (400 * 20)
    assert edited == pytest.approx(0.1589, abs=0.012)  # 3 standard errors
    assert any(each is not None and not each.edits for each in made)


def test_a_place_is_asked_about_once_for_all_draws_of_it():
    one = augmenter("p_s", alpha=1.0)
    asked, right = [], one.tools.filler.drawn
    one.tools.filler.drawn = lambda blanks, chances, t: (
        asked.append((len(blanks), chances)) or right(blanks, chances, t)
    )
    (source,) = sources("ba be bi")
    drawn = one.drawn([(source, {0: Words("ba be bi")}, one.draw(0, source, copy)) for copy in range(50)])
    ((blanks, chances),) = asked
    assert blanks == 3
    assert sum(map(len, chances)) == sum(len(made.edits) for made in drawn)
    assert len({made.texts for made in drawn}) > 20  # each draw has words of its own
