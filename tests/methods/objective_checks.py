"""What each objective must satisfy, as functions: the proper tests call them, and wrong copies must fail them.

The references are written anew from the formulas, on the Hugging Face modules, and call nothing of ``kdlab.losses``,
``kdlab.ops`` or ``TextEncoder.embed``.
"""

from __future__ import annotations

import torch
from helpers import PAIRS, tiny_batch, tiny_encoder, tiny_method

import kdlab.methods.mixkd
from kdlab.ops.mixup import MixPlan

LENGTHS = (9, 4, 7, 5, 9, 6)
PLAN = MixPlan(torch.tensor([0.3, 0.8, 0.5, 1.0, 0.0, 0.6]), torch.tensor([1, 0, 4, 2, 3, 5]))


def by_hand_ce(logits, labels):
    """``-log softmax(z)_y``, mean over the batch."""
    return -sum((z.exp() / z.exp().sum()).log()[y] for z, y in zip(logits, labels, strict=True)) / len(logits)


def by_hand_kl(teacher, student, t):
    """``Σ_c p log(p/q)`` at temperature t, mean over the batch."""
    total = 0.0
    for a, b in zip(teacher / t, student / t, strict=True):
        p, q = a.exp() / a.exp().sum(), b.exp() / b.exp().sum()
        total = total + (p * (p / q).log()).sum()
    return total / len(teacher)


def by_hand_mixed_logits(encoder, batch, plan):
    """A BERT's logits on ``λ(w_i + s_i) + (1-λ)(w_j + s_j)`` plus positions, attending where either has a token."""
    bert = encoder.model.bert
    parts = bert.embeddings
    size, longest = batch.input_ids.shape
    rows = []
    for i in range(size):
        j, lam = int(plan.partner[i]), plan.lam[i]
        tokens = []
        for at in range(longest):
            x = torch.zeros(parts.word_embeddings.weight.shape[1])
            for who, weight in ((i, lam), (j, 1 - lam)):
                if batch.attention_mask[who, at]:
                    word = parts.word_embeddings.weight[batch.input_ids[who, at]]
                    segment = parts.token_type_embeddings.weight[batch.token_type_ids[who, at]]
                    x = x + weight * (word + segment - parts.token_type_embeddings.weight[0])
            tokens.append(x + parts.token_type_embeddings.weight[0] + parts.position_embeddings.weight[at])
        rows.append(torch.stack(tokens))
    hidden = parts.LayerNorm(torch.stack(rows))  # (B, T, D)
    attend = torch.stack(
        [batch.attention_mask[i].bool() | batch.attention_mask[plan.partner[i]].bool() for i in range(size)]
    )
    bias = torch.zeros(size, 1, longest, longest).masked_fill(~attend[:, None, None, :], torch.finfo().min)
    for layer in bert.encoder.layer:
        out = layer(hidden, bias)
        hidden = out[0] if isinstance(out, tuple) else out
    return encoder.model.classifier(bert.pooler(hidden))


def check_finetune():
    """``finetune`` is the cross-entropy, and its gradient leads to the gold label."""
    module, batch = tiny_method("finetune"), tiny_batch()
    losses = module.compute_loss(batch)
    _close(losses.total, by_hand_ce(module.student.classify(batch), batch.labels))
    assert set(losses.terms) == {"ce"}
    _falls(module, batch)


def check_kd():
    """``kd`` is ``(1-α)·CE + α·t²·KL(T‖S)``, with and without t²."""
    batch = tiny_batch(logits=True)
    for alpha, t, scale in ((0.3, 2.0, True), (0.5, 4.0, True), (0.5, 4.0, False), (1.0, 1.0, True), (0.0, 3.0, True)):
        module = tiny_method("kd", alpha=alpha, temperature=t, scale_t2=scale)
        losses, logits = module.compute_loss(batch), module.student.classify(batch)
        ce, kl = by_hand_ce(logits, batch.labels), by_hand_kl(batch.teacher_logits, logits, t)
        soft = t**2 * kl if scale else kl
        _close(losses.terms["ce"], ce)
        _close(losses.terms["kd"], soft)
        _close(losses.total, (1 - alpha) * ce + alpha * soft)
    _falls(tiny_method("kd", alpha=1.0), batch)


def check_kd_scale():
    """The soft loss's gradient keeps its size from t=1 to t=100, and loses t² where it is told to."""
    batch, sizes = tiny_batch(logits=True), {}
    for t, scale in ((1.0, True), (100.0, True), (100.0, False)):
        module = tiny_method("kd", alpha=1.0, temperature=t, scale_t2=scale)
        module.compute_loss(batch).total.backward()
        sizes[t, scale] = torch.cat([p.grad.flatten() for p in module.student.parameters()]).norm()
    ratio = sizes[100.0, True] / sizes[1.0, True]
    assert 0.3 < ratio < 3, f"the gradient at t=100 is {ratio:.2e} of that at t=1"
    _close(sizes[100.0, True] / sizes[100.0, False], torch.tensor(1e4), rtol=1e-2)


def check_mixkd(patch):
    """``mixkd`` is ``CE + α_SM·CE(S(x'), y') + α_TMKD·MSE(T(x'), S(x'))`` on each network's own mixed embeddings."""
    batch = tiny_batch(LENGTHS)
    patch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *_: PLAN)
    for sm, tmkd in ((1.0, 1.0), (0.7, 0.2), (0.0, 1.0), (1.0, 0.0)):
        module = tiny_method("mixkd", alpha_sm=sm, alpha_tmkd=tmkd)
        losses = module.compute_loss(batch)
        student = by_hand_mixed_logits(module.student, batch, PLAN)
        teacher = by_hand_mixed_logits(module.teacher, batch, PLAN)
        parts = zip(student, batch.labels, batch.labels[PLAN.partner], PLAN.lam, strict=True)
        mixed = sum(lam * by_hand_ce(z[None], [a]) + (1 - lam) * by_hand_ce(z[None], [b]) for z, a, b, lam in parts)
        expected = {"ce": by_hand_ce(module.student.classify(batch), batch.labels)}
        expected |= {"sm": mixed / len(batch)} if sm else {}
        expected |= {"tmkd": (student - teacher).square().mean()} if tmkd else {}
        assert losses.terms.keys() == expected.keys()
        for name, value in expected.items():
            _close(losses.terms[name], value)
        weights = {"ce": 1.0, "sm": sm, "tmkd": tmkd}
        _close(losses.total, sum(weights[name] * value for name, value in expected.items()))
        _falls(module, batch)


def check_mask_union(patch):
    """Both networks attend wherever either of the two mixed examples has a token."""
    batch = tiny_batch(LENGTHS)
    patch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *_: PLAN)
    module, seen = tiny_method("mixkd"), []
    for encoder in (module.student, module.teacher):
        encoder.model.register_forward_pre_hook(lambda _, args, kw: seen.append(kw), with_kwargs=True)
    module.compute_loss(batch)
    mixed = [kw["attention_mask"] for kw in seen if "inputs_embeds" in kw]
    assert len(mixed) == 2
    longest = torch.tensor([max(LENGTHS[i], LENGTHS[int(j)]) for i, j in enumerate(PLAN.partner)])
    for mask in mixed:
        assert torch.equal(mask.sum(1), longest), "a partner's tokens are not attended to"


def check_token_types_mixed(patch):
    """Two pairs of the same words, cut at different places, mix to an input with half of each one's segments."""
    batch = tiny_batch((8, 8))
    batch = type(batch)(**{**vars(batch), "input_ids": batch.input_ids[[0, 0]]})
    batch.token_type_ids[:] = (torch.arange(8) >= torch.tensor([[2], [6]])).long()
    halves = MixPlan(torch.tensor([0.5, 0.5]), torch.tensor([1, 0]))
    patch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *_: halves)
    encoder = tiny_encoder()
    found = kdlab.methods.mixkd.mixed_logits(encoder, batch, halves)
    _close(found, by_hand_mixed_logits(encoder, batch, halves))
    assert torch.allclose(found[0], found[1], atol=1e-5), "half of each is the same whoever comes first"
    assert not torch.allclose(found[0], encoder.classify(batch)[0], atol=1e-2), "the segments were not mixed"


def check_teacher_mode():
    """Whatever mode is set, no part of the teacher leaves eval mode, and its dropout never acts."""
    module, batch = tiny_method("mixkd", dropout=0.5), tiny_batch()
    for mode in (None, True, False, True):
        if mode is not None:
            module.train(mode)
        assert not any(part.training for part in module.teacher.modules()), "the teacher is in train mode"
        assert torch.equal(module.teacher.classify(batch), module.teacher.classify(batch))
    assert all(part.training for part in module.student.modules())
    assert not torch.equal(module.student.classify(batch), module.student.classify(batch))


def _close(found, expected, rtol=1e-4):
    torch.testing.assert_close(found, torch.as_tensor(expected), atol=2e-5, rtol=rtol)


def _falls(module, batch):
    """A small step against the gradient lowers the terms as they are by hand: no part has the wrong sign."""
    held = list(module.student.parameters())
    before = module.compute_loss(batch)
    gradient = torch.autograd.grad(before.total, held, allow_unused=True)
    with torch.no_grad():
        for p, g in zip(held, gradient, strict=True):
            if g is not None:
                p -= 1e-3 * g
        after = module.compute_loss(batch)
    assert before.total >= 0
    assert after.total < before.total
    assert PAIRS.regression or all(value >= 0 for value in before.terms.values())
