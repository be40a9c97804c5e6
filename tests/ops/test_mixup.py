"""Mixup on embeddings, by arithmetic."""

from __future__ import annotations

import pytest
import torch

from kdlab.ops.mixup import MixPlan, draw_mix, mix_embeddings, mix_mask

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) + 10  # far from zero, padding too
CPU = torch.device("cpu")


def plan(lam, partner) -> MixPlan:
    return MixPlan(torch.tensor(lam), torch.tensor(partner))


def test_at_one_the_input_is_unmixed_and_its_padding_zero():
    mixed = mix_embeddings(X, MASK, plan([1.0, 1.0, 1.0], [2, 0, 1]))
    assert torch.equal(mixed, X * MASK[..., None])


def test_at_zero_the_input_is_the_partner():
    partner = [2, 0, 1]
    mixed = mix_embeddings(X, MASK, plan([0.0, 0.0, 0.0], partner))
    assert torch.equal(mixed, (X * MASK[..., None])[partner])


def test_mixed_by_hand_where_both_one_and_neither_have_tokens():
    mixed = mix_embeddings(X, MASK, plan([0.3, 0.3, 0.3], [1, 2, 0]))
    torch.testing.assert_close(mixed[0, 0], 0.3 * X[0, 0] + 0.7 * X[1, 0])
    torch.testing.assert_close(mixed[0, 3], 0.3 * X[0, 3])  # the partner's padding is zero
    torch.testing.assert_close(mixed[1, 2], 0.7 * X[2, 2])  # its own padding is zero
    assert not mixed[1, 3].any()


def test_swapping_i_and_lambda_for_j_and_the_rest_gives_the_same_input():
    lam = torch.tensor([0.1, 0.45, 0.8])
    swap = [1, 0, 2]
    one = mix_embeddings(X, MASK, MixPlan(lam, torch.tensor(swap)))
    other = mix_embeddings(X[swap], MASK[swap], MixPlan(1 - lam, torch.tensor(swap)))
    torch.testing.assert_close(one, other)


def test_the_mask_is_the_union():
    expected = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]])
    assert torch.equal(mix_mask(MASK, plan([0.5, 0.5, 0.5], [1, 2, 0])), expected)


def test_mixing_keeps_the_precision_of_the_embeddings():
    assert mix_embeddings(X.bfloat16(), MASK, plan([0.3, 0.3, 0.3], [1, 2, 0])).dtype == torch.bfloat16


def test_lambda_has_the_moments_of_its_beta():
    torch.manual_seed(0)
    for alpha in (0.4, 1.0, 3.0):
        lam = draw_mix(200_000, alpha, CPU).lam.double()
        variance = 1 / (4 * (2 * alpha + 1))
        assert lam.min() >= 0
        assert lam.max() <= 1
        assert lam.mean().item() == pytest.approx(0.5, abs=5 * (variance / 200_000) ** 0.5)
        assert lam.var().item() == pytest.approx(variance, rel=0.02)


def test_lambda_is_each_samples_own_or_the_batchs():
    torch.manual_seed(0)
    assert draw_mix(50, 0.4, CPU).lam.unique().numel() == 50
    shared = draw_mix(50, 0.4, CPU, per_sample=False).lam
    assert shared.shape == (50,)
    assert shared.unique().numel() == 1


def test_partners_are_a_permutation_and_change_from_draw_to_draw():
    torch.manual_seed(0)
    first, second = draw_mix(50, 0.4, CPU).partner, draw_mix(50, 0.4, CPU).partner
    assert torch.equal(first.sort().values, torch.arange(50))
    assert not torch.equal(first, second)


def test_the_draw_is_a_function_of_the_seed():
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(draw_mix(8, 0.4, CPU))
    assert torch.equal(draws[0].lam, draws[1].lam)
    assert torch.equal(draws[0].partner, draws[1].partner)
