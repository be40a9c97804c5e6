"""Deliberately wrong copies of each objective: the check that holds the right one up must let each of them fall.

| wrong copy | check that rejects it | test that runs the check on the library |
|---|---|---|
| a sign turned (CE, KL, mixed CE, MSE) | check_finetune, check_kd, check_mixkd | test_finetune_is_cross_entropy, … |
| t² missing | check_kd, check_kd_scale | test_kd_is_its_formula, test_kd_keeps_the_gradients_size |
| teacher in train mode | check_teacher_mode | test_the_teacher_stays_in_eval_mode |
| partner's mask dropped | check_mask_union, check_mixkd | test_mixkd_attends_to_the_union, … |
| type embedding not mixed | check_token_types_mixed, check_mixkd | test_mixkd_mixes_token_types, … |
"""

from __future__ import annotations

import inspect

import pytest
import torch
from lightning import LightningModule
from objective_checks import (
    check_finetune,
    check_kd,
    check_kd_scale,
    check_mask_union,
    check_mixkd,
    check_teacher_mode,
    check_token_types_mixed,
)

import kdlab.methods.finetune
import kdlab.methods.kd
import kdlab.methods.mixkd
from kdlab.losses.soft_targets import logit_mse, mixed_supervised, soft_cross_entropy, supervised
from kdlab.methods.base import DistillModule
from kdlab.models.encoder import TextEncoder
from kdlab.ops.mixup import MixPlan, mix_embeddings, mix_mask


def negated(loss):
    return lambda *a: -loss(*a)


def without_t2(student, teacher, t, _scale, regression):
    return soft_cross_entropy(student, teacher, t, False, regression)


def turned_round(student, teacher, *rest):
    return soft_cross_entropy(teacher, student, *rest)


def once_t(student, teacher, t, scale, regression):
    return soft_cross_entropy(student, teacher, t, False, regression) * (t if scale else 1)


def own_mask(mask, _plan):
    return mask


def intersection(mask, plan):
    return torch.minimum(mask, mask[plan.partner])


def padding_mixed_in(embeddings, mask, plan):
    return mix_embeddings(embeddings, torch.ones_like(mask), plan)


def weights_turned_round(embeddings, mask, plan):
    return mix_embeddings(embeddings, mask, MixPlan(1 - plan.lam, plan.partner))


def labels_not_mixed(logits, labels, _partner, _lam, regression):
    return supervised(logits, labels, regression)


def no_types(encoder, batch, plan):
    """Mixes words alone, and gives no token types."""
    mixed = mix_embeddings(encoder.embed(batch.input_ids), batch.attention_mask, plan)
    return encoder(attention_mask=mix_mask(batch.attention_mask, plan), embeddings=mixed).logits


def own_types(encoder, batch, plan):
    """Mixes words alone, and keeps the token types of x_i."""
    words = mix_embeddings(encoder.embed(batch.input_ids), batch.attention_mask, plan)
    segments = encoder.embed(batch.input_ids, batch.token_type_ids) - encoder.embed(batch.input_ids)
    return encoder(attention_mask=mix_mask(batch.attention_mask, plan), embeddings=words + segments).logits


def first_row_not_subtracted(encoder, ids, types=None):
    """The embedding that Hugging Face adds the token-type row 0 to once more."""
    parts = getattr(encoder.model, encoder.family.backbone).embeddings
    return parts.word_embeddings(ids) + parts.token_type_embeddings(types)


def another_plan(encoder, batch, plan, right=kdlab.methods.mixkd.mixed_logits):
    """The teacher draws partners of its own."""
    wide = encoder.config.hidden_size == 24
    return right(encoder, batch, MixPlan(plan.lam, plan.partner.roll(1)) if wide else plan)


def unmixed_teacher(encoder, batch, plan, right=kdlab.methods.mixkd.mixed_logits):
    """The teacher reads the clean input."""
    return encoder.classify(batch) if encoder.config.hidden_size == 24 else right(encoder, batch, plan)


FINETUNE, KD, MIXKD = kdlab.methods.finetune, kdlab.methods.kd, kdlab.methods.mixkd
WRONG = {
    "finetune: sign": (FINETUNE, "supervised", negated(supervised), check_finetune),
    "kd: sign of the soft loss": (KD, "soft_cross_entropy", negated(soft_cross_entropy), check_kd),
    "kd: sign of the gold loss": (KD, "supervised", negated(supervised), check_kd),
    "kd: t² missing": (KD, "soft_cross_entropy", without_t2, check_kd),
    "kd: t² missing, by the gradient's size": (KD, "soft_cross_entropy", without_t2, check_kd_scale),
    "kd: t instead of t²": (KD, "soft_cross_entropy", once_t, check_kd_scale),
    "kd: KL of the student from the teacher": (KD, "soft_cross_entropy", turned_round, check_kd),
    "mixkd: sign of the gold loss": (MIXKD, "supervised", negated(supervised), check_mixkd),
    "mixkd: sign of the mixed loss": (MIXKD, "mixed_supervised", negated(mixed_supervised), check_mixkd),
    "mixkd: sign of the distance": (MIXKD, "logit_mse", negated(logit_mse), check_mixkd),
    "mixkd: labels not mixed": (MIXKD, "mixed_supervised", labels_not_mixed, check_mixkd),
    "mixkd: partner's mask dropped": (MIXKD, "mix_mask", own_mask, check_mask_union),
    "mixkd: partner's mask dropped, by the formula": (MIXKD, "mix_mask", own_mask, check_mixkd),
    "mixkd: intersection of masks": (MIXKD, "mix_mask", intersection, check_mask_union),
    "mixkd: padding mixed in": (MIXKD, "mix_embeddings", padding_mixed_in, check_mixkd),
    "mixkd: λ for 1-λ": (MIXKD, "mix_embeddings", weights_turned_round, check_mixkd),
    "mixkd: token types left out": (MIXKD, "mixed_logits", no_types, check_token_types_mixed),
    "mixkd: token types of x_i kept": (MIXKD, "mixed_logits", own_types, check_token_types_mixed),
    "mixkd: token types of x_i kept, by the formula": (MIXKD, "mixed_logits", own_types, check_mixkd),
    "mixkd: token-type row 0 added twice": (TextEncoder, "embed", first_row_not_subtracted, check_token_types_mixed),
    "mixkd: teacher with other partners": (MIXKD, "mixed_logits", another_plan, check_mixkd),
    "mixkd: teacher on the clean input": (MIXKD, "mixed_logits", unmixed_teacher, check_mixkd),
    "base: teacher in train mode": (DistillModule, "train", LightningModule.train, check_teacher_mode),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_copy_is_rejected(name, monkeypatch):
    where, attribute, wrong, check = WRONG[name]
    arguments = [monkeypatch] if inspect.signature(check).parameters else []
    check(*arguments)  # the right one stands
    monkeypatch.setattr(where, attribute, wrong)
    with pytest.raises(AssertionError):
        check(*arguments)
