"""What annealed logits and the objectives on generated text must satisfy, as functions; see objective_checks.

The references are written anew from the formulas, on Hugging Face modules, and call nothing of ``kdlab.losses`` or
``kdlab.ops``.
"""

from __future__ import annotations

import math

import torch
from helpers import tiny_batch, tiny_method
from objective_checks import _close, by_hand_ce, by_hand_kl

import kdlab.methods.adversarial_text
from kdlab.methods.base import PhaseContext, TrainingConfig

LENGTHS = (9, 4, 7, 5, 9, 6)
MASKED = torch.zeros(6, 9, dtype=torch.bool)
for _row, _columns in enumerate(([1, 4, 8], [0], [2, 3], [4], [0, 7], [5])):
    MASKED[_row, _columns] = True
UNIFORM = torch.rand(int(MASKED.sum()), 60, generator=torch.Generator().manual_seed(3))
NOISE = UNIFORM.log().neg().log().neg()


def fixed_draws(patch, alike=False):
    """The same positions and the same numbers in every step: one a word in max steps, one a position in min steps.

    Where ``alike``, min steps take the words that max steps take.
    """
    patch.setattr(kdlab.methods.adversarial_text, "draw_mask", lambda *_: MASKED)
    patch.setattr(
        kdlab.methods.adversarial_text,
        "draw_uniform",
        lambda counts, *words, **_: UNIFORM if words else UNIFORM[:, 0],
    )
    if alike:
        patch.setattr(kdlab.methods.adversarial_text, "sample_words", lambda logits, _: (logits + NOISE).argmax(-1))


def text_method(name, **settings):
    """A method whose projections are drawn."""
    module = tiny_method(name, **settings)
    module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 4, 0))
    return module


def by_hand_logits(module, batch):
    """The generator's full-sized logits, of which the masked rows count, special words never: ``(M, V)``."""
    ids = batch.input_ids.masked_fill(MASKED, 4)
    lm = module.generator.model
    whole = lm(input_ids=ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids).logits
    logits = whole[MASKED]
    return torch.cat([torch.full_like(logits[:, :5], -1e30), logits[:, 5:]], 1)


def by_hand_text(module, batch, attacks=False):
    """Ids with the generator's words at masked positions: Gumbel's in max steps, by summed probability in min steps."""
    logits = by_hand_logits(module, batch).detach()
    if attacks:
        words = (logits + NOISE).argmax(1).tolist()
    else:
        rows = zip(logits.double().softmax(1), UNIFORM[:, 0], strict=True)
        words = [next(k for k in range(60) if row[: k + 1].sum() > u) for row, u in rows]
    made = batch.input_ids.clone()
    made[MASKED] = torch.tensor(words)
    return made


def by_hand_pass(encoder, batch, ids=None, words=None):
    """A Hugging Face pass on ids, or on word vectors of the encoder's own."""
    inputs = {"attention_mask": batch.attention_mask, "token_type_ids": batch.token_type_ids}
    given = {"input_ids": ids} if words is None else {"inputs_embeds": words}
    return encoder.model(**given, **inputs, output_hidden_states=True, return_dict=True)


def by_hand_crd(module, ours, theirs, t=2.0):
    """``-log`` of the softmax over the batch of cosines between the teacher's features and the students'."""
    features = []
    for out, linear in ((theirs, module.project["theirs"]), (ours, module.project["ours"])):
        states = torch.cat([h[:, 0] for h in out.hidden_states[1:]], 1) @ linear.weight.T
        features.append([row / row.norm() for row in states])
    total = 0.0
    for k, anchor in enumerate(features[0]):
        scores = torch.stack([(anchor * other).sum() / t for other in features[1]])
        total = total - (scores.exp() / scores.exp().sum())[k].log()
    return total / len(features[0])


def check_annealing_kd():
    """Phase 1 is the squared error to Φ·z_T, Φ = 1/7, 2/7, …, 1 over equal stretches; phase 2 the gold label."""
    batch, module = tiny_batch(logits=True), tiny_method("annealing_kd", tau=7, epochs_each=2)
    first, second = module.phases()
    assert first.epochs == 14
    assert not first.choose
    logits = module.student.classify(batch)
    for a_stretch in (6, 1):  # two epochs of three steps; a phase that ``max_steps`` cut to one step a temperature
        module.begin_phase(PhaseContext(first, TrainingConfig(), 7 * a_stretch, 0))
        for step in range(7 * a_stretch):
            module.student_step = step
            losses, phi = module.compute_loss(batch), (step // a_stretch + 1) / 7
            _close(losses.total, (logits - phi * batch.teacher_logits).square().mean())
            _close(losses.terms["phi"], phi)
    module.begin_phase(PhaseContext(second, TrainingConfig(), 1, 0))
    losses = module.compute_loss(batch)
    _close(losses.total, by_hand_ce(logits, batch.labels))
    assert set(losses.terms) == {"ce"}


def check_min_step(patch, name="cilda"):
    """The student's loss is ``⅓ CE + ⅓ KD(x) + a KD(x') + b CRD(x')``, x' the generator's words at masked positions."""
    fixed_draws(patch)
    batch = tiny_batch(LENGTHS, logits=True)
    sharp = {"crd_temperature": 0.2} if name == "cilda" else {}  # at τ2 = 2 rows and columns hardly differ
    module = text_method(name, temperature=2.0, **sharp)
    losses = module.compute_loss(batch)
    made = by_hand_text(module, batch)
    ours, theirs = (by_hand_pass(e, batch, made) for e in (module.student, module.teacher))
    clean = by_hand_pass(module.student, batch, batch.input_ids).logits
    expected = {
        "ce": by_hand_ce(clean, batch.labels),
        "kd": 4 * by_hand_kl(batch.teacher_logits, clean, 2.0),
        "adv": 4 * by_hand_kl(theirs.logits, ours.logits, 2.0),
    }
    weights = {"ce": 1 / 3, "kd": 1 / 3, "adv": 1 / 3 if name == "mate_kd" else 2 / 9}
    measured = {"changed": ((made != batch.input_ids).sum(1) / torch.tensor(LENGTHS)).mean()}
    if name == "cilda":
        expected["crd"], weights["crd"] = by_hand_crd(module, ours, theirs, 0.2), 1 / 9
        measured |= {"crd_low": math.log(1 + 5 * math.exp(-10)), "crd_high": math.log(1 + 5 * math.exp(10))}
    assert losses.terms.keys() == expected.keys() | measured.keys()
    for term, value in {**expected, **measured}.items():
        _close(losses.terms[term], value)
    _close(losses.total, sum(weights[term] * value for term, value in expected.items()))
    assert set(losses.terms) >= {"changed"}
    assert float(losses.terms["changed"]) > 0


def check_max_step(patch, name="cilda"):
    """The generator's loss is ``-(KL + CRD)(x')``; its gradient is the softmax's, through both networks' tables."""
    fixed_draws(patch)
    batch, module = tiny_batch(LENGTHS, logits=True), text_method(name, gumbel_temperature=0.7, temperature=3.0)
    losses = module.attack(batch)
    made = by_hand_text(module, batch, attacks=True)
    soft = ((by_hand_logits(module, batch) + NOISE) / 0.7).softmax(1)
    words = {}
    for who in ("teacher", "student"):
        encoder = getattr(module, who)
        # token types go to Hugging Face as they are, so words alone are given
        words[who] = encoder.model.bert.embeddings.word_embeddings.weight[made].detach().requires_grad_()
    ours, theirs = (by_hand_pass(getattr(module, w), batch, words=words[w]) for w in ("student", "teacher"))
    expected = {"generator_kd": by_hand_kl(theirs.logits, ours.logits, 1.0)}
    if name == "cilda":
        expected["generator_crd"] = by_hand_crd(module, ours, theirs)
    assert losses.terms.keys() == expected.keys()
    for term, value in expected.items():
        _close(losses.terms[term], value)
    total = -sum(expected.values())
    _close(losses.total, total)
    slopes = torch.autograd.grad(total, [words["teacher"], words["student"]])
    tables = [getattr(module, w).model.bert.embeddings.word_embeddings.weight for w in ("teacher", "student")]
    per_word = sum(slope[MASKED] @ table.detach().T for slope, table in zip(slopes, tables, strict=True))  # (M, V)
    wanted = soft * (per_word - (soft * per_word).sum(1, keepdim=True)) / 0.7
    bias = module.generator.model.cls.predictions.bias
    (gradient,) = torch.autograd.grad(losses.total, bias, allow_unused=True)
    assert gradient is not None, "no gradient reaches the generator"
    _close(gradient, wanted.sum(0))
    assert float(gradient.abs().max()) > 1e-4, "the generator's gradient is zero"


def check_only_masked_positions_change(patch):
    """Padding, special tokens and unmasked positions stay; every example with a token to mask has one masked."""
    module = text_method("mate_kd", p=0.3)
    batch = tiny_batch((9, 4, 7, 1, 9, 6))
    batch.input_ids[:, 0] = 2  # [CLS]; the fourth example has nothing else
    for row, length in enumerate((9, 4, 7, 1, 9, 6)):
        batch.input_ids[row, length - 1] = 3 if length > 1 else 2
    seen, right = [], kdlab.methods.adversarial_text.sample_words
    patch.setattr(kdlab.methods.adversarial_text, "sample_words", lambda *a: seen.append(right(*a)) or seen[-1])
    moved = torch.zeros_like(batch.input_ids)
    for seed in range(20):
        module.shared_rng = torch.Generator().manual_seed(seed)
        made = module.augment(batch).input_ids
        moved += made != batch.input_ids
        assert len(seen[-1]) >= 5, "an example has no masked token"
        assert not torch.isin(seen[-1], torch.arange(5)).any(), "a special token is filled in"
    fixed = (batch.input_ids < 5) | (batch.attention_mask == 0)
    assert not moved[fixed].any(), "a special token or padding changed"
    assert (moved[~fixed] > 0).float().mean() > 0.9
    assert abs(float((moved[~fixed] / 20).mean()) - 0.34) < 0.08  # p, and the one that an example has at least
