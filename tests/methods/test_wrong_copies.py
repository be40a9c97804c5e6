"""Deliberately wrong copies of each objective: the check that holds the right one up must let each of them fall.

| wrong copy | check that rejects it | test that runs the check on the library |
|---|---|---|
| a sign turned (CE, KL, mixed CE, MSE) | check_finetune, check_kd, check_mixkd | test_finetune_is_cross_entropy, … |
| t² missing | check_kd, check_kd_scale | test_kd_is_its_formula, test_kd_keeps_the_gradients_size |
| teacher in train mode | check_teacher_mode | test_the_teacher_stays_in_eval_mode |
| hidden states of padding compared | check_tinybert_kd, check_ad2 | test_tinybert_kd_is_its_formula, … |
| states not normalised, layers shifted, a sign turned | check_pkd | test_pkd_is_its_formula |
| ascent turned round, not projected, not normalised | check_ad2 | test_ad2_is_its_formula |
| start with noise at padding | check_delta_at_padding | test_ad2_perturbs_no_padding |
| dropout drawn anew | check_same_dropout | test_all_passes_of_a_step_draw_the_same_dropout |
| annealing upside down or not at all | check_annealing_kd | test_annealing_kd_is_its_formula |
| signs, weights, clean text, likeliest words, other positions in min steps | check_min_step | test_a_min_step_… |
| sign turned, gradient cut, other temperature, softmax for one-hot in max steps | check_max_step | test_a_max_step_… |
| student as the anchor, no cosine, t left out, last layer alone | check_min_step | test_a_min_step_is_its_formula |
| special tokens or padding masked, examples without a mask | check_only_masked_… | test_only_masked_positions_change |
| L_KD turned round, on other layers, on padding, on other candidates | check_l2a | test_l2a_is_its_formula |
| reward turned round, of no difference, of another split; returns of the past | check_reward, check_selector_steps | \
test_l2a_is_rewarded_by_what_a_step_adds, … |
| partner's mask dropped | check_mask_union, check_mixkd | test_mixkd_attends_to_the_union, … |
| type embedding not mixed | check_token_types_mixed, check_mixkd | test_mixkd_mixes_token_types, … |
"""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch
from hidden_checks import (
    check_ad2,
    check_delta_at_padding,
    check_l2a,
    check_pkd,
    check_relations,
    check_same_dropout,
    check_tinybert_kd,
)
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
from selector_checks import check_reward, check_selector_steps
from text_checks import check_annealing_kd, check_max_step, check_min_step, check_only_masked_positions_change

import kdlab.methods.ad2
import kdlab.methods.adversarial_text
import kdlab.methods.annealing_kd
import kdlab.methods.cilda
import kdlab.methods.finetune
import kdlab.methods.kd
import kdlab.methods.l2a
import kdlab.methods.l2a_loss
import kdlab.methods.mixkd
import kdlab.methods.pkd
import kdlab.methods.shared.layer_match
import kdlab.methods.shared.selector
import kdlab.methods.tinybert_kd
import kdlab.ops.ascent
import kdlab.ops.policy
from kdlab.losses.attention import map_kl, map_mse, score_mse
from kdlab.losses.contrastive import info_nce
from kdlab.losses.hidden import hidden_mse, pkd_loss
from kdlab.losses.soft_targets import logit_mse, mixed_supervised, soft_cross_entropy, supervised
from kdlab.methods.adversarial_text import AdversarialText
from kdlab.methods.annealing_kd import AnnealingKD
from kdlab.methods.base import DistillModule
from kdlab.methods.shared.labelled import gold_loss
from kdlab.methods.shared.selector import state_of
from kdlab.models.encoder import TextEncoder
from kdlab.models.generator import MaskedLM
from kdlab.models.layer_maps import parse_layer_map
from kdlab.ops.ascent import ascend, random_start
from kdlab.ops.attention import attention_scores
from kdlab.ops.gumbel import draw_mask, fill_embeddings, straight_through
from kdlab.ops.mixup import MixPlan, mix_embeddings, mix_mask
from kdlab.ops.policy import discounted_returns, policy_loss


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


def states_as_they_are(student, teacher):
    """PKD without its normalisation."""
    return sum((s - t).square().mean() for s, t in zip(student, teacher, strict=True))


def with_padding(student, teacher, mask):
    return hidden_mse(student, teacher, torch.ones_like(mask))


def mean_over_layers(student, teacher, *mask):
    return (hidden_mse if mask else pkd_loss)(student, teacher, *mask) / len(student)


def one_layer_on(spec, teacher, student, key):
    """Every teacher's layer but the last is taken one too high."""
    return tuple((min(n + 1, teacher), m) for n, m in parse_layer_map(spec, teacher, student, key))


def attention_of_padding(student, teacher, mask):
    return map_kl(student, teacher, torch.ones_like(mask))


def attention_turned_round(student, teacher, mask):
    return map_kl(teacher, student, mask)


def scores_unscaled(query, key, heads):
    return attention_scores(query, key, heads) * (query.shape[-1] / heads) ** 0.5


def one_head(query, key, _heads):
    return attention_scores(query, key, 1)


def after_the_softmax(student, teacher, mask):
    return map_mse(student, teacher, mask)


def downhill(delta, loss, ball, retain_graph=False):
    return ascend(delta, -loss, ball, retain_graph)


def as_long_as_it_is(delta, loss, ball, retain_graph=False):
    return ascend(delta, loss, dataclasses.replace(ball, raw=True), retain_graph)


def unbounded(delta, _ball):
    return delta


def noise_everywhere(mask, *rest):
    return random_start(torch.ones_like(mask), *rest)


def full_size(module):
    """Φ = 1 from the first epoch on."""
    return 1.0


def shrinking(module):
    """Φ from the lowest temperature to the highest."""
    return 1 - (module.student_step * 7 // module.context.total_steps) / 7


def mixtures(embeddings, masked, one_hot, table):
    return embeddings.masked_scatter(masked.unsqueeze(-1), (5 * one_hot).softmax(-1) @ table)


def cut_by_a_cast(logits, noise, t):
    """Rows whose gradient an integer cast cuts."""
    hard = straight_through(logits, noise, t).long().float()
    return hard + 0 * logits


def at_temperature_one(logits, noise, _t):
    return straight_through(logits, noise, 1.0)


def likeliest(logits, _uniform):
    return logits.argmax(-1)


def words_shifted(ids, masked, words):
    """Words of other positions."""
    return ids.masked_scatter(masked, words.roll(1))


def one_table(embeddings, masked, one_hot, table):
    """The gradient reaches the generator through one network alone."""
    return fill_embeddings(embeddings, masked, one_hot.detach() if table.shape[1] == 24 else one_hot, table)


def student_as_anchor(teacher, student, _rows, t):
    return info_nce(student, teacher, None, t)


def without_t(teacher, student, rows, _t):
    return info_nce(teacher, student, rows, 1.0)


def dot_products(teacher, student, _rows, t):
    """InfoNCE without its normalisation."""
    return torch.nn.functional.cross_entropy(teacher @ student.T / t, torch.arange(len(teacher)))


_penalty = kdlab.methods.cilda.CILDA.penalty


def at_the_soft_loss_weight(module, batch, ours, theirs):
    """The contrastive loss weighted as the soft one on generated text."""
    weighted, terms = _penalty(module, batch, ours, theirs)
    return 2 * weighted, terms


def last_layer(out):
    """States of the last layer for all, others zero."""
    last = max(out.hidden)
    return torch.cat([h[:, 0] * float(n == last) for n, h in sorted(out.hidden.items())], -1)


def all_tokens(out):
    """Means over tokens, padding included, for the first token's states."""
    return torch.cat([out.hidden[n].mean(1) for n in sorted(out.hidden)], -1)


def special_masked(ids, mask, _special, *rest):
    return draw_mask(ids, mask, torch.tensor([]), *rest)


def padding_masked(ids, mask, _special, *rest):
    return draw_mask(ids, torch.ones_like(mask), torch.tensor([2, 3]), *rest)


def by_chance_alone(ids, mask, special, p, generator):
    """Examples without a masked token."""
    may = (mask == 1) & ~torch.isin(ids, special)
    return may & (torch.rand(ids.shape, generator=generator) < p)


def with_special_words(generator, ids, mask, types, masked, right=MaskedLM.forward):
    """Special tokens are filled in."""
    logits = right(generator, ids, mask, types, masked)
    return logits.index_fill(1, generator.special, 30.0)


def on_the_original(generator, ids, mask, types, masked, right=MaskedLM.forward):
    """The generator reads the text that it is to fill in."""
    generator.mask_id, kept = None, generator.mask_id
    fill = torch.Tensor.masked_fill
    try:
        torch.Tensor.masked_fill = lambda x, where, value: x if value is None else fill(x, where, value)
        return right(generator, ids, mask, types, masked)
    finally:
        torch.Tensor.masked_fill, generator.mask_id = fill, kept


def clean_text(module, batch):
    """The student sees no generated text."""
    return batch, torch.zeros(())


def other_rows(out, rows, right=kdlab.methods.l2a_loss._rows_of):
    """The student's answers to other candidates than the teacher's."""
    return right(out, rows.flip(0))


def punished(episode, value):
    """A rise of the score is punished."""
    episode.rewards.append(-value)


def lots_for_chances(episode, states, actions, drawn, index, right=kdlab.methods.shared.selector.Episode.add):
    """Random numbers are kept where the chances should be."""
    right(episode, states, actions, torch.rand(drawn.shape), index)


def on_policy(logits, actions, advantage, drawn):
    """As if the selector had not moved since it drew the actions."""
    now = torch.sigmoid(logits.detach())
    return policy_loss(logits, actions, advantage, now)


def score_as_reward(module, player, batch, right=kdlab.methods.l2a.L2A.loss_of):
    """The score before is left out."""
    losses = right(module, player, batch)
    if player == "selector":
        module.episode.rewards[-1] = module.last_score
    return losses


def of_the_past(rewards, discount):
    """Each step gets what came before it."""
    return discounted_returns(rewards[::-1], discount)[::-1]


L2A, L2A_LOSS, SELECTOR = kdlab.methods.l2a, kdlab.methods.l2a_loss, kdlab.methods.shared.selector
POLICY = kdlab.ops.policy
FINETUNE, KD, MIXKD = kdlab.methods.finetune, kdlab.methods.kd, kdlab.methods.mixkd
PKD, TINY, AD2, MATCH = (
    kdlab.methods.pkd,
    kdlab.methods.tinybert_kd,
    kdlab.methods.ad2,
    kdlab.methods.shared.layer_match,
)
ASCENT = kdlab.ops.ascent
TEXT, CILDA, ANNEALING = kdlab.methods.adversarial_text, kdlab.methods.cilda, kdlab.methods.annealing_kd
WRONG = {
    "finetune: sign": (FINETUNE, "supervised", negated(supervised), check_finetune),
    "kd: sign of the soft loss": (KD, "soft_cross_entropy", negated(soft_cross_entropy), check_kd),
    "kd: sign of the gold loss": (KD, "gold_loss", negated(gold_loss), check_kd),
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
    "pkd: sign of the gold loss": (PKD, "supervised", negated(supervised), check_pkd),
    "pkd: t² missing": (PKD, "soft_cross_entropy", without_t2, check_pkd),
    "pkd: sign of the states' loss": (MATCH, "pkd_loss", negated(pkd_loss), check_pkd),
    "pkd: states not normalised": (MATCH, "pkd_loss", states_as_they_are, check_pkd),
    "pkd: mean over layers": (MATCH, "pkd_loss", mean_over_layers, check_pkd),
    "pkd: teacher's layers shifted": (PKD, "parse_layer_map", one_layer_on, check_pkd),
    "tinybert_kd: padding compared": (MATCH, "hidden_mse", with_padding, check_tinybert_kd),
    "tinybert_kd: mean over layers": (MATCH, "hidden_mse", mean_over_layers, check_tinybert_kd),
    "tinybert_kd: teacher's layers shifted": (TINY, "parse_layer_map", one_layer_on, check_tinybert_kd),
    "tinybert_kd: scores not scaled": (MATCH, "attention_scores", scores_unscaled, check_tinybert_kd),
    "tinybert_kd: heads run together": (MATCH, "attention_scores", one_head, check_tinybert_kd),
    "tinybert_kd: maps for scores": (MATCH._DISTANCES, "scores", after_the_softmax, check_tinybert_kd),
    "tinybert_kd: sign of the soft loss": (TINY, "soft_cross_entropy", negated(soft_cross_entropy), check_tinybert_kd),
    "tinybert_kd: t² missing": (TINY, "soft_cross_entropy", without_t2, check_tinybert_kd),
    "ad2: sign of the gold loss": (AD2, "supervised", negated(supervised), check_ad2),
    "ad2: sign of the soft losses": (AD2, "soft_cross_entropy", negated(soft_cross_entropy), check_ad2),
    "ad2: t² missing": (AD2, "soft_cross_entropy", without_t2, check_ad2),
    "ad2: KL of the student from the teacher": (AD2, "soft_cross_entropy", turned_round, check_ad2),
    "ad2: padding compared": (MATCH, "hidden_mse", with_padding, check_ad2),
    "ad2: attention of padding compared": (MATCH._DISTANCES, "kl", attention_of_padding, check_ad2),
    "ad2: KL of the student's attention": (MATCH._DISTANCES, "kl", attention_turned_round, check_ad2),
    "ad2: teacher's layers shifted": (AD2, "parse_layer_map", one_layer_on, check_ad2),
    "ad2: relations run the wrong way": (MATCH, "map_kl", attention_turned_round, check_relations),
    "ad2: relations of padding": (MATCH, "map_kl", attention_of_padding, check_relations),
    "ad2: relations in one head": (MATCH, "attention_scores", one_head, check_relations),
    "ad2: downhill in the shared pass": (AD2, "ascend", downhill, check_ad2),
    "ad2: downhill in passes of its own": (ASCENT, "ascend", downhill, check_ad2),
    "ad2: gradient as long as it is": (AD2, "ascend", as_long_as_it_is, check_ad2),
    "ad2: not projected": (ASCENT, "project", unbounded, check_ad2),
    "ad2: noise at padding": (AD2, "random_start", noise_everywhere, check_delta_at_padding),
    "ad2: dropout drawn anew": (AD2, "set_random_state", lambda *_: None, check_same_dropout),
    "annealing_kd: logits at full size": (AnnealingKD, "phi", property(full_size), check_annealing_kd),
    "annealing_kd: logits shrink": (AnnealingKD, "phi", property(shrinking), check_annealing_kd),
    "annealing_kd: sign": (ANNEALING, "logit_mse", negated(logit_mse), check_annealing_kd),
    "annealing_kd: sign of the gold loss": (ANNEALING, "supervised", negated(supervised), check_annealing_kd),
    "cilda: sign of the gold loss": (TEXT, "supervised", negated(supervised), check_min_step),
    "cilda: sign of the soft losses": (TEXT, "soft_cross_entropy", negated(soft_cross_entropy), check_min_step),
    "cilda: t² missing": (TEXT, "soft_cross_entropy", without_t2, check_min_step),
    "cilda: KL of the student from the teacher": (TEXT, "soft_cross_entropy", turned_round, check_min_step),
    "cilda: KL of the student in max steps": (TEXT, "soft_cross_entropy", turned_round, check_max_step),
    "cilda: the generator helps": (TEXT, "soft_cross_entropy", negated(soft_cross_entropy), check_max_step),
    "cilda: the generator brings layers together": (CILDA, "info_nce", negated(info_nce), check_max_step),
    "cilda: sign of the contrast": (CILDA, "info_nce", negated(info_nce), check_min_step),
    "cilda: the contrast's weight": (kdlab.methods.cilda.CILDA, "penalty", at_the_soft_loss_weight, check_min_step),
    "cilda: student as the anchor": (CILDA, "info_nce", student_as_anchor, check_min_step),
    "cilda: τ2 left out": (CILDA, "info_nce", without_t, check_min_step),
    "cilda: no cosine": (CILDA, "info_nce", dot_products, check_min_step),
    "cilda: last layer alone": (CILDA, "_cls_of_all", last_layer, check_min_step),
    "cilda: mean of tokens": (CILDA, "_cls_of_all", all_tokens, check_min_step),
    "cilda: clean text in min steps": (AdversarialText, "_write", clean_text, check_min_step),
    "cilda: likeliest words": (TEXT, "sample_words", likeliest, check_min_step),
    "cilda: words at other positions": (TEXT, "fill_ids", words_shifted, check_min_step),
    "cilda: the generator reads the original": (MaskedLM, "forward", on_the_original, check_min_step),
    "cilda: mixtures of words": (TEXT, "fill_embeddings", mixtures, check_max_step),
    "cilda: gradient cut by a cast": (TEXT, "straight_through", cut_by_a_cast, check_max_step),
    "cilda: Gumbel's τ left out": (TEXT, "straight_through", at_temperature_one, check_max_step),
    "cilda: no gradient through the teacher": (TEXT, "fill_embeddings", one_table, check_max_step),
    "mate_kd: special tokens masked": (TEXT, "draw_mask", special_masked, check_only_masked_positions_change),
    "mate_kd: padding masked": (TEXT, "draw_mask", padding_masked, check_only_masked_positions_change),
    "mate_kd: examples left as they are": (TEXT, "draw_mask", by_chance_alone, check_only_masked_positions_change),
    "mate_kd: special words": (MaskedLM, "forward", with_special_words, check_only_masked_positions_change),
    "l2a: sign of the soft loss": (L2A_LOSS, "soft_cross_entropy", negated(soft_cross_entropy), check_l2a),
    "l2a: t² missing": (L2A_LOSS, "soft_cross_entropy", without_t2, check_l2a),
    "l2a: KL of the student from the teacher": (L2A_LOSS, "soft_cross_entropy", turned_round, check_l2a),
    "l2a: padding compared": (MATCH, "hidden_mse", with_padding, check_l2a),
    "l2a: scores for maps": (MATCH._DISTANCES, "mse", score_mse, check_l2a),
    "l2a: first layers": (L2A_LOSS, "_last_layers", lambda *_: ((1, 1),), check_l2a),
    "l2a: candidates that are dropped": (L2A_LOSS, "_rows_of", other_rows, check_l2a),
    "l2a: sign of the reward": (SELECTOR.Episode, "reward", punished, check_reward),
    "l2a: the score itself as the reward": (L2A.L2A, "loss_of", score_as_reward, check_reward),
    "l2a: reward of the split that selects": (L2A, "REWARD", "dev", check_reward),
    "l2a: states without the teacher": (L2A, "state_of", lambda t, s, r: state_of(s, s, r), check_reward),
    "l2a: sign of the policy's loss": (L2A, "policy_loss", negated(policy_loss), check_selector_steps),
    "l2a: rewards of the past": (POLICY, "discounted_returns", of_the_past, check_selector_steps),
    "l2a: no discount": (POLICY, "discounted_returns", lambda r, _: discounted_returns(r, 1.0), check_selector_steps),
    "l2a: chances that were never drawn": (SELECTOR.Episode, "add", lots_for_chances, check_reward),
    "l2a: actions of another policy as its own": (L2A, "policy_loss", on_policy, check_selector_steps),
    "base: teacher in train mode": (DistillModule, "train", LightningModule.train, check_teacher_mode),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_copy_is_rejected(name, monkeypatch):
    where, attribute, wrong, check = WRONG[name]
    arguments = [monkeypatch] if inspect.signature(check).parameters else []
    check(*arguments)  # the right one stands
    (monkeypatch.setitem if isinstance(where, dict) else monkeypatch.setattr)(where, attribute, wrong)
    with pytest.raises(AssertionError):
        check(*arguments)
