"""The losses of GAN-BERT by arithmetic."""

from __future__ import annotations

import math

import pytest
import torch

from kdlab.losses.gan_bert import feature_matching, fooling, log_p_fake, log_p_real, told_fake, told_real


def of(*probabilities: float, scale: float = 0.0) -> torch.Tensor:
    """Logits of one row with these probabilities, FAKE the last, shifted by a constant, which changes nothing."""
    return torch.tensor([[math.log(p) + scale for p in probabilities]])


def test_equal_classes_cost_their_logarithms():
    zeros = torch.zeros(5, 4)  # two labels, UNK, FAKE
    assert float(told_real(zeros)) == pytest.approx(math.log(4 / 3))
    assert float(told_fake(zeros)) == pytest.approx(math.log(4))
    assert float(fooling(zeros, 0.0)) == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize("scale", [0.0, 7.0])
def test_the_fake_class_is_the_last_column(scale):
    logits = of(0.1, 0.2, 0.3, 0.4, scale=scale)
    assert float(log_p_fake(logits).exp()) == pytest.approx(0.4)
    assert float(log_p_real(logits).exp()) == pytest.approx(0.6)
    assert float(told_real(logits)) == pytest.approx(-math.log(0.6))
    assert float(told_fake(logits)) == pytest.approx(-math.log(0.4))
    assert float(fooling(logits, 0.1)) == pytest.approx(-math.log(0.7))


def test_they_are_means_over_the_batch():
    logits = torch.cat([of(0.5, 0.25, 0.25), of(0.25, 0.25, 0.5)])
    assert float(told_real(logits)) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert float(told_fake(logits)) == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert float(fooling(logits, 0.0)) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_a_sure_discriminator_costs_no_infinity_where_it_is_right():
    sure = torch.tensor([[100.0, 0.0, -100.0]])
    assert float(told_real(sure)) == pytest.approx(0, abs=1e-6)
    assert float(told_fake(sure)) == pytest.approx(200, rel=1e-3)  # and a finite sum where it is wrong
    found_out = -sure
    assert float(fooling(found_out, 1e-8)) == pytest.approx(-math.log(1e-8), rel=1e-3)  # epsilon bounds it


def test_in_half_precision_logarithms_are_taken_in_float32():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert told_real(logits).dtype == told_fake(logits).dtype == torch.float32
    torch.testing.assert_close(told_real(logits), told_real(logits.float()))


def test_features_match_by_their_means_by_hand():
    real, made = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0], [3.0, 2.0]])
    # means (2, 1) and (1, 2): squared gaps 1 and 1, their mean 1
    assert float(feature_matching(real, made)) == pytest.approx(1.0)
    assert float(feature_matching(real, real.flip(0))) == 0.0  # means alone count
    assert float(feature_matching(2 * real, torch.zeros(1, 2))) == pytest.approx((16 + 4) / 2)


def test_its_gradient_leads_to_the_real_mean():
    real, made = torch.tensor([[1.0, -1.0]]), torch.zeros(2, 2, requires_grad=True)
    feature_matching(real, made).backward()
    torch.testing.assert_close(made.grad, torch.tensor([[-0.5, 0.5], [-0.5, 0.5]]))  # 2/H · gap / M


def test_features_of_another_width_are_no_match():
    with pytest.raises(ValueError, match="differ in width"):
        feature_matching(torch.zeros(2, 3), torch.zeros(2, 4))
