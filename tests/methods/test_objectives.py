"""Every objective against its formula, and what must not happen beside it."""

from __future__ import annotations

import pytest
import torch
from helpers import PAIRS, SCORES, tiny_batch, tiny_encoder, tiny_method
from objective_checks import (
    check_finetune,
    check_kd,
    check_kd_scale,
    check_mask_union,
    check_mixkd,
    check_teacher_mode,
    check_token_types_mixed,
)

import kdlab.methods.mixkd
from kdlab.errors import KdlabError
from kdlab.methods import load_method
from kdlab.methods.kd import KD, KDConfig
from kdlab.methods.mixkd import MixKD, MixKDConfig
from kdlab.ops.mixup import MixPlan


def count_passes(module) -> dict[str, int]:
    """Counts forward passes from now on."""
    passes = {"student": 0, "teacher": 0}
    for name in passes:
        encoder = getattr(module, name)
        if encoder is not None:
            encoder.model.register_forward_pre_hook(lambda *_, n=name: passes.update({n: passes[n] + 1}))
    return passes


def test_finetune_is_cross_entropy():
    check_finetune()


def test_kd_is_its_formula():
    check_kd()


def test_kd_keeps_the_gradients_size():
    check_kd_scale()


def test_mixkd_is_its_formula(monkeypatch):
    check_mixkd(monkeypatch)


def test_mixkd_attends_to_the_union(monkeypatch):
    check_mask_union(monkeypatch)


def test_mixkd_mixes_token_types(monkeypatch):
    check_token_types_mixed(monkeypatch)


def test_the_teacher_stays_in_eval_mode():
    check_teacher_mode()


@pytest.mark.parametrize("name", ["finetune", "kd", "mixkd"])
def test_regression_terms_are_squared_errors(name, monkeypatch):
    plan = MixPlan(torch.full((6,), 0.25), torch.arange(6).roll(1))
    monkeypatch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *_: plan)
    module, batch = tiny_method(name, task=SCORES), tiny_batch(task=SCORES, logits=True)
    losses, scores = module.compute_loss(batch), module.student.classify(batch).squeeze(-1)
    expected = {"ce": (scores - batch.labels).square().mean()}
    if name == "kd":
        expected["kd"] = (scores - batch.teacher_logits.squeeze(-1)).square().mean()
    if name == "mixkd":
        mixed = kdlab.methods.mixkd.mixed_logits(module.student, batch, plan).squeeze(-1)
        theirs = kdlab.methods.mixkd.mixed_logits(module.teacher, batch, plan).squeeze(-1)
        expected["sm"] = (mixed - (0.25 * batch.labels + 0.75 * batch.labels.roll(1))).square().mean()
        expected["tmkd"] = (mixed - theirs).square().mean()
    assert losses.terms.keys() == expected.keys()
    for term, value in expected.items():
        torch.testing.assert_close(losses.terms[term], value)
    total = sum(expected.values()) / (2 if name == "kd" else 1)
    torch.testing.assert_close(losses.total, total)


@pytest.mark.parametrize(
    ("name", "settings", "student", "teacher"),
    [
        ("finetune", {}, 1, 0),
        ("kd", {}, 1, 0),
        ("mixkd", {}, 2, 1),
        ("mixkd", {"ratio": 3}, 4, 3),
        ("mixkd", {"alpha_tmkd": 0.0}, 2, 0),
        ("mixkd", {"alpha_sm": 0.0}, 2, 1),
        ("mixkd", {"alpha_sm": 0.0, "alpha_tmkd": 0.0}, 1, 0),
    ],
)
def test_no_pass_is_made_for_nothing(name, settings, student, teacher):
    module = tiny_method(name, **settings)
    passes = count_passes(module)
    module.compute_loss(tiny_batch(logits=True)).total.backward()
    assert passes == {"student": student, "teacher": teacher}


def test_mixkd_without_weights_is_cross_entropy():
    batch = tiny_batch()
    losses = tiny_method("mixkd", alpha_sm=0.0, alpha_tmkd=0.0).compute_loss(batch)
    assert set(losses.terms) == {"ce"}
    assert torch.equal(losses.total, tiny_method("finetune").compute_loss(batch).total)


def test_mixkd_at_one_is_the_unmixed_loss_for_partners_of_equal_length(monkeypatch):
    whole = MixPlan(torch.ones(4), torch.tensor([1, 0, 3, 2]))
    monkeypatch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *_: whole)
    module, batch = tiny_method("mixkd"), tiny_batch((8, 8, 5, 5))
    losses = module.compute_loss(batch)
    student, teacher = module.student.classify(batch), module.teacher.classify(batch)
    torch.testing.assert_close(losses.terms["sm"], losses.terms["ce"])
    torch.testing.assert_close(losses.terms["tmkd"], (student - teacher).square().mean())


def test_the_ratio_is_a_mean_over_draws(monkeypatch):
    plans = [MixPlan(torch.full((6,), lam), torch.arange(6).roll(by)) for lam, by in ((0.2, 1), (0.5, 2), (0.9, 3))]
    batch, terms = tiny_batch(), []
    for drawn in ([plans[0]], [plans[1]], [plans[2]], list(plans)):
        left = list(drawn)
        monkeypatch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *_, left=left: left.pop())
        terms.append(tiny_method("mixkd", ratio=len(drawn)).compute_loss(batch).terms)
    for name in ("sm", "tmkd"):
        torch.testing.assert_close(terms[3][name], sum(t[name] for t in terms[:3]) / 3)


def test_teacher_and_student_follow_one_plan_on_their_own_embeddings(monkeypatch):
    plans, inputs = [], {}
    draw, mix = kdlab.methods.mixkd.draw_mix, kdlab.methods.mixkd.mix_embeddings

    def remember(embeddings, mask, plan):
        plans.append(plan)
        inputs[embeddings.shape[-1]] = embeddings
        return mix(embeddings, mask, plan)

    drawn = []
    monkeypatch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *a: drawn.append(draw(*a)) or drawn[-1])
    monkeypatch.setattr(kdlab.methods.mixkd, "mix_embeddings", remember)
    module, batch = tiny_method("mixkd"), tiny_batch()
    module.compute_loss(batch)
    assert len(drawn) == 1
    assert [plan is drawn[0] for plan in plans] == [True, True]
    assert torch.equal(inputs[16], module.student.embed(batch.input_ids, batch.token_type_ids))
    assert torch.equal(inputs[24], module.teacher.embed(batch.input_ids, batch.token_type_ids))


@pytest.mark.parametrize(("per_sample", "different"), [(True, 6), (False, 1)])
def test_settings_reach_the_draw(monkeypatch, per_sample, different):
    drawn, draw = [], kdlab.methods.mixkd.draw_mix
    monkeypatch.setattr(kdlab.methods.mixkd, "draw_mix", lambda *a: drawn.append((a, draw(*a))) or drawn[-1][1])
    tiny_method("mixkd", per_sample=per_sample, beta=2.5).compute_loss(tiny_batch())
    (arguments, plan) = drawn[0]
    assert arguments[1] == 2.5
    assert plan.lam.unique().numel() == different


def test_no_gradient_enters_the_teacher():
    module = tiny_method("mixkd")
    module.compute_loss(tiny_batch()).total.backward()
    assert all(p.grad is None and not p.requires_grad for p in module.teacher.parameters())
    assert sum(float(p.grad.abs().sum()) for p in module.student.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (KDConfig(alpha=1.2), r"kd\.alpha is 1\.2"),
        (KDConfig(alpha=-0.1), r"kd\.alpha"),
        (KDConfig(temperature=0.0), r"kd\.temperature"),
        (MixKDConfig(alpha_sm=-1.0), r"mixkd\.alpha_sm"),
        (MixKDConfig(alpha_tmkd=-1.0), r"mixkd\.alpha_tmkd"),
        (MixKDConfig(beta=0.0), r"mixkd\.beta"),
        (MixKDConfig(ratio=0), r"mixkd\.ratio"),
    ],
)
def test_settings_that_make_no_sense_are_named(config, message):
    with pytest.raises(KdlabError, match=message):
        config.validate()


def test_a_method_without_what_it_needs_says_so():
    with pytest.raises(ValueError, match="needs the teacher itself"):
        MixKD(MixKDConfig(), tiny_encoder(), None, PAIRS)
    with pytest.raises(ValueError, match=r"Need\.LOGITS"):
        KD(KDConfig(), tiny_encoder(), None, PAIRS).compute_loss(tiny_batch())


def test_an_unknown_method_lists_the_nearest():
    with pytest.raises(KdlabError, match="did you mean mixkd"):
        load_method("mixdk")


def test_a_method_outside_the_package(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from kdlab.methods.finetune import FineTune\n\nclass Mine(FineTune):\n    pass\n\nclass Other:\n    pass\n"
    )
    assert load_method(f"{file}:Mine").name == "mine"
    with pytest.raises(KdlabError, match="no subclass"):
        load_method(f"{file}:Other")
    with pytest.raises(KdlabError, match="did you mean Mine"):
        load_method(f"{file}:Mien")
    with pytest.raises(KdlabError, match="There is no file"):
        load_method(f"{tmp_path}/none.py:Mine")
    file.write_text("import no_such_module\n")
    with pytest.raises(KdlabError, match="can't be imported: ModuleNotFoundError"):
        load_method(f"{file}:Mine")
