"""What the objectives on hidden layers and adversarial embeddings must satisfy, as functions; see objective_checks.

The references are written anew from the formulas, on eager Hugging Face modules, and call nothing of ``kdlab.losses``
or ``kdlab.ops``.
"""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace

import torch
from helpers import PAIRS, tiny_batch, tiny_encoder
from objective_checks import _close, by_hand_ce, by_hand_kl

from kdlab.methods import load_method
from kdlab.methods.base import PhaseContext, TrainingConfig
from kdlab.types import Need

DEEP = {"pairs": ((2, 1), (4, 2)), "layer_map": [[2, 1], [4, 2]]}


def equal_pair(name, task=PAIRS, dropout=0.0, hidden=16, **settings):
    """A method with a teacher of 4 layers; by default of the student's width, so that nothing is projected."""
    kind = load_method(name)
    config = kind.Config(**settings)
    teacher = tiny_encoder(layers=4, hidden=hidden, task=task, seed=1, dropout=dropout)
    needs = kind.needs_of(config) - {Need.LOGITS}
    return kind(config, tiny_encoder(task=task, dropout=dropout), teacher if needs else None, task)


def by_hand_pass(encoder, batch, delta=None):
    """Logits, hidden states and attention maps of eager Hugging Face, on ``word + segment + position + δ``."""
    eager = copy.deepcopy(encoder.model)
    eager.set_attn_implementation("eager")
    if delta is not None:
        eager.bert.embeddings.LayerNorm.register_forward_pre_hook(lambda _, inputs: (inputs[0] + delta,))
    inputs = {"input_ids": batch.input_ids, "token_type_ids": batch.token_type_ids}
    return eager(
        **inputs,
        attention_mask=batch.attention_mask,
        output_hidden_states=True,
        output_attentions=True,
        return_dict=True,
    )


def by_hand_cls(ours, theirs, pairs):
    """``Σ_layers`` mean over batch and width of ``(ĥ_S - ĥ_T)²`` on ``[CLS]``."""
    total = 0.0
    for n, m in pairs:
        a, b = ours.hidden_states[m][:, 0], theirs.hidden_states[n][:, 0]
        rows = [x / x.norm() - y / y.norm() for x, y in zip(a, b, strict=True)]
        total = total + sum(row.square().sum() for row in rows) / a.numel()
    return total


def by_hand_features(ours, theirs, pairs, batch, project=None):
    """``Σ_layers`` mean over examples, real tokens and width of ``(H_S·W - H_T)²``."""
    total = 0.0
    for n, m in pairs:
        rows = []
        for i, length in enumerate(batch.attention_mask.sum(1).tolist()):
            a, b = ours.hidden_states[m][i, :length], theirs.hidden_states[n][i, :length]
            rows.append((a if project is None else a @ project.T) - b)
        total = total + sum(row.square().mean() for row in rows) / len(rows)
    return total


def by_hand_map_kl(ours, theirs, pairs, batch):
    """``Σ_layers`` mean over examples, heads and real tokens of ``Σ_keys A_T log(A_T/A_S)``."""
    total = 0.0
    for n, m in pairs:
        rows = []
        for i, length in enumerate(batch.attention_mask.sum(1).tolist()):
            q, p = (x.attentions[k - 1][i, :, :length, :length] for x, k in ((theirs, n), (ours, m)))
            rows.append((q * (q / p).log()).sum(-1).flatten())
        total = total + sum(row.mean() for row in rows) / len(rows)
    return total


def by_hand_scores(encoder, states, layer):
    """``q·kᵀ/√d`` of a layer's heads from the states below it."""
    own = encoder.model.bert.encoder.layer[layer - 1].attention.self
    q, k = (part(states).unflatten(-1, (2, -1)).transpose(1, 2) for part in (own.query, own.key))
    return torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5


def check_pkd():
    """``pkd`` is ``(1-α)·CE + α·t²·KL + β·Σ MSE`` on normalised ``[CLS]`` states, the student's last layer left out."""
    batch = tiny_batch()
    for layer_map, pairs in (("skip", ((2, 1),)), ("last", ((3, 1),)), (DEEP["layer_map"], DEEP["pairs"])):
        module = equal_pair("pkd", alpha=0.3, temperature=2.0, beta=7.0, layer_map=layer_map)
        losses = module.compute_loss(batch)
        ours, theirs = (by_hand_pass(e, batch) for e in (module.student, module.teacher))
        expected = {
            "ce": by_hand_ce(ours.logits, batch.labels),
            "kd": 4 * by_hand_kl(theirs.logits, ours.logits, 2.0),
            "pt": by_hand_cls(ours, theirs, pairs),
        }
        _equal(losses, expected, {"ce": 0.7, "kd": 0.3, "pt": 7.0})


def check_tinybert_kd():
    """Scores before the softmax, hidden states with the embeddings through one projection, then soft CE."""
    batch = tiny_batch(logits=True)
    for hidden in (16, 24):
        module = equal_pair("tinybert_kd", hidden=hidden, hidden_weight=0.5, attention_weight=2.0, temperature=3.0)
        layers, prediction = module.phases()
        module.begin_phase(PhaseContext(layers, TrainingConfig(), 1, 0))
        losses = module.compute_loss(batch)
        ours, theirs = (by_hand_pass(e, batch) for e in (module.student, module.teacher))
        project = None if hidden == 16 else module.match.project.weight
        attention = 0.0
        for n, m in DEEP["pairs"]:
            a = by_hand_scores(module.student, ours.hidden_states[m - 1], m)
            b = by_hand_scores(module.teacher, theirs.hidden_states[n - 1], n)
            gaps = [(a - b)[i, :, :k, :k].flatten() for i, k in enumerate(batch.attention_mask.sum(1).tolist())]
            attention = attention + sum(gap.square().mean() for gap in gaps) / len(gaps)
        hidden_loss = by_hand_features(ours, theirs, ((0, 0), *DEEP["pairs"]), batch, project)
        _equal(losses, {"hidden": hidden_loss, "attention": attention}, {"hidden": 0.5, "attention": 2.0})
        module.begin_phase(PhaseContext(prediction, TrainingConfig(), 1, 0))
        soft = 9 * by_hand_kl(batch.teacher_logits, ours.logits, 3.0)
        _equal(module.compute_loss(batch), {"kd": soft}, {"kd": 1.0})


def check_ad2(patch):
    """``ad2`` is ``CE + t²·KL + α·t²·KL(x+δ)`` and deep KD on both inputs, δ one normalised step uphill."""
    import kdlab.methods.ad2

    batch, alpha, t = tiny_batch(logits=True), 0.7, 2.0
    for steps, std, deep in ((1, 0.0, True), (1, 0.0, False), (2, 0.0, False), (1, 0.02, False), (2, 0.02, True)):
        settings = {"steps": steps, "init_std": std, "step_size": 0.4, "epsilon": 0.5, "deep_kd": deep}
        weights = {"feature_weight": 0.3, "attention_weight": 0.6}
        module = equal_pair("ad2", alpha=alpha, temperature=t, **settings, **weights)
        start = torch.randn(6, 9, 16) * std * batch.attention_mask[..., None]
        patch.setattr(kdlab.methods.ad2, "random_start", lambda *_, start=start: start.clone())
        losses = module.compute_loss(batch)
        theirs = by_hand_pass(module.teacher, batch) if deep else None
        target = theirs.logits.detach() if deep else batch.teacher_logits
        delta, first = start, None
        for _ in range(steps):
            delta = delta.detach().requires_grad_()
            loss = t**2 * by_hand_kl(target, by_hand_pass(module.student, batch, delta).logits, t)
            (gradient,) = torch.autograd.grad(loss, delta)
            first = loss if first is None else first
            rows = []
            for d, g in zip(delta.detach(), gradient, strict=True):
                row = d + 0.4 * g / g.norm()
                rows.append(row * min(1.0, 0.5 / float(row.norm())))
            delta = torch.stack(rows)
        clean, moved = by_hand_pass(module.student, batch), by_hand_pass(module.student, batch, delta)
        expected = {"ce": by_hand_ce(clean.logits, batch.labels)}
        factors = {"ce": 1.0, "kd": 1.0, "ada": alpha}
        for out, name, term, factor in ((clean, "", "kd", 1.0), (moved, "_adv", "ada", alpha)):
            expected[term] = t**2 * by_hand_kl(target, out.logits, t)
            if deep:
                expected[f"features{name}"] = by_hand_features(out, theirs, DEEP["pairs"], batch) / 2
                expected[f"attention{name}"] = by_hand_map_kl(out, theirs, DEEP["pairs"], batch) / 2
                factors |= {f"features{name}": 0.3 * factor, f"attention{name}": 0.6 * factor}
        measured = {
            "gap": by_hand_kl(clean.logits, moved.logits, 1.0),
            "delta_norm": torch.stack([d.norm() for d in delta]).mean(),
            "gain": expected["ada"] - first,
        }
        _equal(losses, expected, factors, measured)
        assert measured["gain"] > 0


def check_relations():
    """Relations are ``Σ_{q,k,v} KL`` of ``softmax(xxᵀ/√d)``, in as many heads as are asked for, at any width."""
    batch = tiny_batch()
    module = equal_pair("ad2", hidden=24, attention="relations", relation_heads=4, adversarial=False, layer_map="4:2")
    ours, theirs = (by_hand_pass(e, batch) for e in (module.student, module.teacher))
    total = 0.0
    for name in ("query", "key", "value"):
        maps = []
        for encoder, out, n in ((module.student, ours, 2), (module.teacher, theirs, 4)):
            made = getattr(encoder.model.bert.encoder.layer[n - 1].attention.self, name)(out.hidden_states[n - 1])
            heads = made.unflatten(-1, (4, -1)).transpose(1, 2)  # (B, 4, T, d)
            maps.append(torch.einsum("bhid,bhjd->bhij", heads, heads) / heads.shape[-1] ** 0.5)
        rows = []
        for i, k in enumerate(batch.attention_mask.sum(1).tolist()):
            p, q = (m[i, :, :k, :k].softmax(-1) for m in maps)
            rows.append((q * (q / p).log()).sum(-1).flatten())
        total = total + sum(row.mean() for row in rows) / len(rows)
    _close(module.compute_loss(batch).terms["attention"], total)


def check_delta_at_padding():
    """No part of δ stands at padding, however the ascent starts."""
    for std in (0.0, 0.1):
        module, batch, seen = equal_pair("ad2", init_std=std, deep_kd=False), tiny_batch(logits=True), []
        norm = module.student.model.bert.embeddings.LayerNorm
        norm.register_forward_hook(lambda _, args, __, seen=seen: seen.append(args[0].detach()))
        module.compute_loss(batch)
        module.student.classify(batch)
        inputs = [x - seen[-1] for x in seen[:-1]]
        padding = batch.attention_mask == 0
        assert max(float(x.abs().max()) for x in inputs) > 0.01
        for x in inputs:
            assert float(x[padding].abs().max()) == 0, "the perturbation touches padding"


def check_same_dropout():
    """Every pass of a step draws the same dropout: without a perturbation two passes are equal."""
    module, batch = equal_pair("ad2", dropout=0.5, steps=1, step_size=1e-6, epsilon=1e-6, init_std=1e-7), tiny_batch()
    terms = module.compute_loss(batch).terms
    assert float(terms["gap"]) < 1e-6, "the gap holds dropout's noise"
    assert abs(float(terms["gain"])) < 1e-3
    assert not torch.equal(module.student.classify(batch), module.student.classify(batch))


def _equal(losses, expected, factors, measured=None):
    assert losses.terms.keys() == expected.keys() | (measured or {}).keys()
    for name, value in {**expected, **(measured or {})}.items():
        _close(losses.terms[name].float(), value)
    _close(losses.total, sum(factors[name] * value for name, value in expected.items()))


def by_hand_map_mse(ours, theirs, pair, rows, batch):
    """Mean over examples of the mean over heads and pairs of real tokens of ``(A_S - A_T)²``."""
    n, m = pair
    gaps = []
    for i in rows:
        k = int(batch.attention_mask[i].sum())
        gaps.append((ours.attentions[m - 1][i, :, :k, :k] - theirs.attentions[n - 1][i, :, :k, :k]).square().mean())
    return sum(gaps) / len(gaps)


def check_l2a(patch):
    """``l2a`` is ``L_att + L_hidden + L_dark`` of the last layers on what is kept, and no gold label."""
    import kdlab.methods.l2a

    batch, t = tiny_batch(logits=True), 2.0
    kept = torch.tensor([True, False, True, True, False, False])
    rows = kept.nonzero().squeeze(1).tolist()
    patch.setattr(kdlab.methods.l2a.L2A, "_keep", lambda *_: kept)
    for hidden, parts in ((16, {}), (24, {}), (16, {"attention_weight": 0.0}), (16, {"dark_weight": 0.0})):
        weights = {"attention_weight": 0.7, "hidden_weight": 0.3, "dark_weight": 2.0, **parts}
        module = equal_pair("l2a", hidden=hidden, temperature=t, selector="random", **weights)
        assert hidden != 16 or module.distance.match.project is None  # no W where widths agree
        module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 1, 0))
        losses = module.compute_loss(batch)
        ours, theirs = (by_hand_pass(e, batch) for e in (module.student, module.teacher))
        some = dataclasses.replace(batch, attention_mask=batch.attention_mask[kept])
        project = None if hidden == 16 else module.distance.match.project.weight
        states = [SimpleNamespace(hidden_states=[h[kept] for h in out.hidden_states]) for out in (ours, theirs)]
        expected = {
            "attention": by_hand_map_mse(ours, theirs, (4, 2), rows, batch),
            "hidden": by_hand_features(*states, ((4, 2),), some, project),
            "dark": t**2 * by_hand_kl(batch.teacher_logits[kept], ours.logits[kept], t),
        }
        expected = {name: value for name, value in expected.items() if weights[f"{name}_weight"]}
        _equal(losses, expected, {name: weights[f"{name}_weight"] for name in expected}, {"kept": torch.tensor(0.5)})
        batch.labels[:] = 1 - batch.labels
        _close(module.compute_loss(batch).total, losses.total)
