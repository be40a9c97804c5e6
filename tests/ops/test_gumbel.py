"""Masked positions and one-hot rows, by arithmetic."""

from __future__ import annotations

import pytest
import torch

from kdlab.ops.gumbel import draw_mask, draw_uniform, fill_embeddings, fill_ids, sample_words, straight_through

SPECIAL = torch.tensor([0, 2, 3])
CPU = torch.device("cpu")


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return draw_uniform([shape[0]], *shape[1:], device=CPU, generator=drawn(seed))


def test_special_tokens_and_padding_are_never_masked():
    ids = torch.randint(0, 12, (64, 20), generator=drawn(0))
    mask = (torch.arange(20) < torch.randint(1, 21, (64, 1), generator=drawn(1))).long()
    fixed = torch.isin(ids, SPECIAL) | (mask == 0)
    for p in (0.01, 0.3, 0.99):
        masked = draw_mask(ids, mask, SPECIAL, p, drawn(2))
        assert not masked[fixed].any()
        assert (masked.any(1) == (~fixed).any(1)).all()  # one at least, where there is one


def test_the_masked_part_is_p():
    ids = torch.full((100, 200), 7)
    masked = draw_mask(ids, torch.ones_like(ids), SPECIAL, 0.3, drawn(0))
    assert float(masked.float().mean()) == pytest.approx(0.3, abs=0.01)


def test_an_example_of_special_tokens_has_no_masked_one():
    ids = torch.tensor([[2, 3, 0], [2, 9, 3]])
    masked = draw_mask(ids, torch.tensor([[1, 1, 0], [1, 1, 1]]), SPECIAL, 0.3, drawn(0))
    assert masked.tolist() == [[False, False, False], [False, True, False]]


def test_rows_are_one_hot_to_the_bit_and_their_gradient_is_the_softmaxs():
    logits = torch.randn(5, 7, generator=drawn(0), dtype=torch.float32).requires_grad_()
    u, weights, t = uniform(5, 7, seed=1), torch.randn(5, 7, generator=drawn(2)), 0.5
    noise = -torch.log(-torch.log(u))
    rows = straight_through(logits, u, t)
    assert torch.equal(rows.sum(1), torch.ones(5))
    assert set(rows.detach().flatten().tolist()) == {0.0, 1.0}
    assert torch.equal(rows.argmax(1), (logits + noise).argmax(1))
    (gradient,) = torch.autograd.grad((rows * weights).sum(), logits)
    soft = ((logits + noise) / t).softmax(1)
    (expected,) = torch.autograd.grad((soft * weights).sum(), logits)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("t", [0.2, 1.0, 1e9])
def test_words_are_drawn_from_the_softmax_whatever_the_temperature(t):
    logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(20000, 3)
    parts = torch.bincount(straight_through(logits, uniform(20000, 3), t).argmax(1), minlength=3) / 20000
    torch.testing.assert_close(parts, torch.tensor([0.6, 0.3, 0.1]), atol=0.015, rtol=0)


def test_without_a_gradient_words_are_drawn_from_the_same_softmax():
    never = torch.finfo(torch.float32).min / 2
    logits = torch.tensor([0.6, 1.0, 0.3, 0.1, 1.0]).log() + torch.tensor([0, never, 0, 0, never])
    parts = torch.bincount(sample_words(logits.expand(20000, 5), uniform(20000)), minlength=5) / 20000
    torch.testing.assert_close(parts, torch.tensor([0.6, 0.0, 0.3, 0.1, 0.0]), atol=0.015, rtol=0)
    assert parts[[1, 4]].tolist() == [0.0, 0.0]


def test_the_word_is_the_first_whose_summed_probability_exceeds_the_number():
    logits = torch.tensor([0.25, 0.0, 0.5, 0.25, 0.0]).log().expand(7, 5)
    last = 1 - 2**-24  # the largest number that can be drawn
    words = sample_words(logits[:6], torch.tensor([0.0, 0.24, 0.25, 0.74, 0.76, last]))
    assert words.tolist() == [0, 0, 2, 2, 3, 3]


def test_a_vocabulary_of_many_words_is_drawn_to_its_end():
    """Sums of 30,522 small numbers are rounded; the last words must keep their probability."""
    logits = torch.randn(30522, generator=drawn(0))
    words = sample_words(logits.expand(2000, -1), uniform(2000))
    tenths = logits.softmax(0)[:30520].view(10, -1).sum(1)
    parts = torch.histc(words.float(), 10, 0, 30520) / 2000
    torch.testing.assert_close(parts, tenths, atol=0.03, rtol=0)


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 16, 17, 60, 1000])
def test_blocks_of_words_change_no_word(vocabulary):
    logits, u = 3 * torch.randn(500, vocabulary, generator=drawn(1)), uniform(500, seed=2)
    summed = logits.double().softmax(1).cumsum(1)
    expected = torch.tensor([[u_i < s for s in row].index(True) for u_i, row in zip(u, summed.tolist(), strict=True)])
    assert (sample_words(logits, u) != expected).sum() <= 1  # a number on the border of two words


def test_logits_of_nan_give_words_that_exist():
    words = sample_words(torch.full((3, 5), float("nan")), uniform(3))
    assert ((words >= 0) & (words < 5)).all()


@pytest.mark.parametrize("shape", [(), (50,)])
def test_each_example_has_its_own_numbers_whoever_keeps_them(shape):
    counts, ends = [3, 0, 5, 1], [0, 3, 3, 8, 9]
    all_numbers = draw_uniform(counts, *shape, device=CPU, generator=drawn(4))
    assert all_numbers.shape == (9, *shape)
    for rows in ({0, 2}, {1, 3}, {1}):
        numbers = draw_uniform(counts, *shape, rows=rows, device=CPU, generator=drawn(4))
        assert torch.equal(numbers, torch.cat([all_numbers[ends[row] : ends[row + 1]] for row in sorted(rows)]))


def test_numbers_are_of_their_own_seed_and_their_gumbel_is_finite():
    a, b = (uniform(1000, 50, seed=3) for _ in range(2))
    assert torch.equal(a, b)
    assert 0 <= float(a.min()) < float(a.max()) < 1
    ends = torch.tensor([[0.0, 0.5, 1 - 2**-24]]).expand(2, 3)
    assert straight_through(torch.zeros(2, 3), ends).tolist() == [[0.0, 0.0, 1.0]] * 2


def test_filling_in_changes_masked_positions_alone():
    ids = torch.arange(12).view(3, 4)
    masked = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]]).bool()
    filled = fill_ids(ids, masked, torch.tensor([100, 101, 102]))
    assert filled.tolist() == [[0, 100, 2, 3], [101, 5, 6, 102], [8, 9, 10, 11]]
    table = torch.randn(103, 6, generator=drawn(0))
    one_hot = torch.eye(103)[[100, 101, 102]].requires_grad_()
    words = fill_embeddings(table[ids], masked, one_hot, table)
    torch.testing.assert_close(words, table[filled])
    (gradient,) = torch.autograd.grad(words.sum(), one_hot)
    torch.testing.assert_close(gradient, table.sum(1).expand(3, -1))


def test_under_autocast_the_words_are_rows_of_the_table_all_the_same():
    table, ids = torch.randn(50, 16, generator=drawn(0)), torch.zeros(2, 3, dtype=torch.long)
    masked = torch.tensor([[0, 1, 1], [0, 0, 1]]).bool()
    one_hot = torch.eye(50)[[7, 8, 9]].requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        words = fill_embeddings(table[ids], masked, one_hot, table)
    assert torch.equal(words, table[fill_ids(ids, masked, torch.tensor([7, 8, 9]))])
    (gradient,) = torch.autograd.grad(words.sum(), one_hot)
    torch.testing.assert_close(gradient, table.sum(1).expand(3, -1), atol=0.1, rtol=0.02)


def test_nothing_masked_changes_nothing():
    ids, table = torch.arange(6).view(2, 3), torch.randn(6, 4, generator=drawn(0))
    none = torch.zeros(2, 3, dtype=torch.bool)
    rows = straight_through(torch.zeros(0, 6, requires_grad=True), uniform(0, 6))
    words = fill_embeddings(table[ids], none, rows, table)
    assert torch.equal(words, table[ids])
    assert sample_words(torch.zeros(0, 6), uniform(0)).tolist() == []
    assert torch.equal(fill_ids(ids, none, torch.zeros(0, dtype=torch.long)), ids)
    words.sum().backward()  # an empty graph, but a graph
