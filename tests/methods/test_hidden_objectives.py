"""``ad2``, ``pkd`` and ``tinybert_kd`` against their formulas, and what must not happen beside them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from helpers import SCORES, tiny_batch, tiny_data, tiny_encoder, tiny_method, train
from hidden_checks import (
    check_ad2,
    check_delta_at_padding,
    check_pkd,
    check_relations,
    check_same_dropout,
    check_tinybert_kd,
    equal_pair,
)
from test_objectives import count_passes

import kdlab.models.encoder
from kdlab.errors import KdlabError
from kdlab.methods.ad2 import AD2, AD2Config
from kdlab.methods.base import PhaseContext, TrainingConfig
from kdlab.methods.pkd import PKD, PKDConfig
from kdlab.methods.tinybert_kd import TinyBERTKD, TinyBERTKDConfig
from kdlab.ops.ascent import NORMS, norm_of
from kdlab.types import Need

BALL = {"steps": 1, "step_size": 0.4, "epsilon": 0.5}


def test_pkd_is_its_formula():
    check_pkd()


def test_tinybert_kd_is_its_formula():
    check_tinybert_kd()


def test_ad2_is_its_formula(monkeypatch):
    check_ad2(monkeypatch)


def test_relations_are_their_formula():
    check_relations()


def test_ad2_perturbs_no_padding():
    check_delta_at_padding()


def test_all_passes_of_a_step_draw_the_same_dropout():
    check_same_dropout()


@pytest.mark.parametrize("settings", [{"init_std": 1e-3}, {"steps": 2}, {"steps": 0, "init_std": 1e-3}])
def test_a_compiled_student_draws_no_other_dropout_in_the_clean_pass(settings):
    """Compiled code draws its own, so where a step's passes are compared none of them may be compiled."""
    module, batch = tiny_method("ad2", deep_kd=False, **settings), tiny_batch(logits=True)

    def refuse(**_):
        raise AssertionError("a pass was compiled")

    module.student.compiled = refuse
    module.compute_loss(batch)
    module = tiny_method("ad2", deep_kd=False, adversarial=False, **settings)
    module.student.compiled = refuse
    with pytest.raises(AssertionError, match="was compiled"):  # there is nothing to compare with
        module.compute_loss(batch)


def test_ad2_without_steps_and_start_is_kd_twice():
    module, batch = tiny_method("ad2", steps=0, init_std=0.0, deep_kd=False), tiny_batch(logits=True)
    passes = count_passes(module)
    terms = module.compute_loss(batch).terms
    assert torch.equal(terms["ada"], terms["kd"])
    assert terms["delta_norm"] == terms["gap"] == terms["gain"] == 0
    assert passes["student"] == 1
    kd = tiny_method("kd", alpha=0.5, temperature=1.0).compute_loss(batch)
    torch.testing.assert_close(terms["kd"], kd.terms["kd"])
    torch.testing.assert_close(terms["ce"], kd.terms["ce"])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("steps", "std"), [(1, 0.0), (1, 0.3), (3, 0.0), (0, 0.3)])
def test_the_perturbation_stays_in_its_ball(monkeypatch, norm, steps, std):
    module, batch, seen = tiny_method("ad2", norm=norm, **{**BALL, "steps": steps}, init_std=std), tiny_batch(), []
    monkeypatch.setattr(kdlab.models.encoder, "shifted_input", watching(seen))
    terms = module.compute_loss(batch).terms
    assert len(seen) >= 1
    assert all(norm_of(delta, norm).max() <= 0.5 * (1 + 1e-6) for delta in seen)
    torch.testing.assert_close(norm_of(seen[-1], norm).mean(), terms["delta_norm"])
    if steps:
        assert terms["gain"] > 0


def watching(seen):
    """``shifted_input`` that keeps every δ that is added."""
    right = kdlab.models.encoder.shifted_input

    def watched(module, delta):
        if delta is not None:
            seen.append(delta.detach().clone())
        return right(module, delta)

    return watched


@pytest.mark.parametrize("std", [0.0, 0.1], ids=["shared", "own pass"])
@pytest.mark.parametrize("how", ["fp32", "bf16", "scaler"])
def test_the_ascent_leaves_the_students_gradients_alone(how, std):
    module, batch = equal_pair("ad2", init_std=std, **BALL), tiny_batch(logits=True)
    held = list(module.student.parameters())
    marks = [torch.full_like(p, float(i)) for i, p in enumerate(held)]
    for p, mark in zip(held, marks, strict=True):
        p.grad = mark.clone()  # what accumulation left there
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "bf16"):
        losses = module.compute_loss(batch)
    assert all(torch.equal(p.grad, mark) for p, mark in zip(held, marks, strict=True))
    for p in held:
        p.grad = None
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=how == "scaler")
    optimizer = torch.optim.SGD(held, lr=0.0)
    scaler.scale(losses.total).backward()
    scaler.unscale_(optimizer)
    if how == "bf16":
        assert all(p.grad.isfinite().all() for p in held if p.grad is not None)
        return
    plain = equal_pair("ad2", init_std=std, **BALL)  # the gradient of the losses at this δ as a constant
    alone = gradient_at(plain, batch, std)
    for p, g in zip(held, alone, strict=True):
        torch.testing.assert_close(p.grad, g, atol=1e-5, rtol=1e-4)


def gradient_at(module, batch, std):
    """The weights' gradient where δ is first found and then held constant, in a fresh graph."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kdlab.models.encoder, "shifted_input", watching(found))
        torch.manual_seed(0)
        module.compute_loss(batch)
    theirs = module.frozen_teacher.read(batch, module.match.teacher_taps)
    clean = module.student.read(batch, module.match.student_taps)
    moved = module.student.read(batch, module.match.student_taps, found[-1])
    terms: dict = {}
    total = torch.nn.functional.cross_entropy(clean.logits, batch.labels)
    for out, name in ((clean, "a"), (moved, "b")):
        total = total + module._against(out.logits, batch, theirs.logits)
        total = total + module._deep(out, theirs, batch, terms, name)
    return torch.autograd.grad(total, list(module.student.parameters()))


@pytest.mark.parametrize(
    ("name", "settings", "student", "teacher"),
    [
        ("ad2", {"deep_kd": False}, 2, 0),
        ("ad2", {"deep_kd": False, "steps": 3}, 5, 0),
        ("ad2", {"deep_kd": False, "init_std": 0.1}, 3, 0),
        ("ad2", {"deep_kd": False, "measure_random": True}, 3, 0),
        ("ad2", {}, 2, 1),
        ("ad2", {"steps": 2}, 4, 1),
        ("ad2", {"adversarial": False}, 1, 1),
        ("ad2", {"alpha": 0.0, "deep_kd": False}, 1, 0),
        ("ad2", {"kd": False}, 2, 0),
        ("ad2", {"kd": False, "adversarial": False}, 1, 0),
        ("pkd", {}, 1, 1),
        ("pkd", {"beta": 0.0}, 1, 0),
        ("tinybert_kd", {}, 1, 0),
    ],
)
def test_no_pass_is_made_for_nothing(name, settings, student, teacher):
    module = tiny_method(name, **settings)
    passes = count_passes(module)
    module.compute_loss(tiny_batch(logits=True)).total.backward()
    assert passes == {"student": student, "teacher": teacher}
    assert (module.teacher is None) == (not module.needs_of(module.config) - {Need.LOGITS})


def test_only_mapped_layers_are_tapped():
    module = equal_pair("ad2", layer_map="4:2")
    seen: dict[str, list] = {"student": [], "teacher": []}
    for name, taps in seen.items():
        encoder = getattr(module, name)
        encoder.register_forward_pre_hook(lambda _, __, kw, t=taps: t.append(kw["taps"]), with_kwargs=True)
    module.compute_loss(tiny_batch())
    assert {(t.hidden, t.projections) for t in seen["teacher"]} == {((4,), (4,))}
    assert {(t.hidden, t.projections) for t in seen["student"]} == {((2,), (2,))}
    without = equal_pair("ad2", attention_weight=0.0).match
    assert without.teacher_taps.projections == without.student_taps.projections == ()


def test_the_ablations():
    batch = tiny_batch(logits=True)
    ce = tiny_method("finetune").compute_loss(batch).total
    minus_ad = tiny_method("ad2", kd=False, adversarial=False).compute_loss(batch)
    assert set(minus_ad.terms) == {"ce"}
    torch.testing.assert_close(minus_ad.total, ce)
    minus_kd = tiny_method("ad2", kd=False, **BALL).compute_loss(batch)
    assert set(minus_kd.terms) == {"ce", "ada", "gap", "delta_norm", "gain"}
    torch.testing.assert_close(minus_kd.terms["ada"] - minus_kd.terms["gain"], ce)
    assert minus_kd.terms["ada"] > ce
    minus_dkd = tiny_method("ad2", deep_kd=False).compute_loss(batch)
    assert set(minus_dkd.terms) == {"ce", "kd", "ada", "gap", "delta_norm", "gain"}
    only_deep = {"features", "attention", "features_adv", "attention_adv"}
    assert set(tiny_method("ad2").compute_loss(batch).terms) - set(minus_dkd.terms) == only_deep
    needs = {(): {Need.TEACHER}, ("deep_kd",): {Need.LOGITS}, ("kd",): set()}
    for off, wanted in needs.items():
        assert AD2.needs_of(AD2Config(**dict.fromkeys(off, False))) == wanted


@pytest.mark.parametrize("name", ["ad2", "pkd"])
def test_regression_terms_are_squared_errors(name):
    module, batch = tiny_method(name, task=SCORES), tiny_batch(task=SCORES)
    terms = module.compute_loss(batch).terms
    ours, theirs = module.student.classify(batch).squeeze(-1), module.teacher.classify(batch).squeeze(-1)
    torch.testing.assert_close(terms["ce"], (ours - batch.labels).square().mean())
    torch.testing.assert_close(terms["kd"], (ours - theirs).square().mean())
    if name == "ad2":
        assert terms["gain"] > 0
        assert terms["ada"] > terms["kd"]


def test_tinybert_kd_regression_is_a_squared_error():
    module, batch = tiny_method("tinybert_kd", task=SCORES), tiny_batch(task=SCORES, logits=True)
    found = module.compute_loss(batch).terms["kd"]
    torch.testing.assert_close(found, (module.student.classify(batch) - batch.teacher_logits).square().mean())


def test_a_student_that_equals_its_teacher_is_not_torn_apart():
    module, batch = tiny_method("ad2", deep_kd=False), tiny_batch()
    logits = module.student.classify(batch).detach()
    terms = module.compute_loss(dataclasses.replace(batch, teacher_logits=logits)).terms
    assert all(value.isfinite() for value in terms.values())
    assert terms["delta_norm"] <= 1.0 + 1e-6


def test_a_process_perturbs_its_rows_of_the_shared_start():
    module, whole = tiny_method("ad2", init_std=0.1, deep_kd=False), tiny_batch(logits=True)
    rows = torch.tensor([1, 3, 5])
    fields = {k: v[rows] for k, v in vars(whole).items() if isinstance(v, torch.Tensor)}
    part = dataclasses.replace(whole, **fields, whole=whole, rows=rows)
    starts = []
    for batch in (whole, part):
        module.shared_rng = torch.Generator().manual_seed(3)
        starts.append(module._start(batch))
    assert torch.equal(starts[0][rows], starts[1])


def test_a_projection_is_made_only_where_widths_differ_and_drawn_by_the_seed():
    assert equal_pair("pkd").match.project is None
    weights = []
    for seed in (0, 0, 1):
        module = tiny_method("pkd")
        assert module.match.project.weight.shape == (24, 16)
        module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 1, seed))
        weights.append(module.match.project.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert 0.2 < float(weights[0].std()) < 0.3  # 1/√16
    module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 1, 5))  # a later phase goes on with it
    assert torch.equal(module.match.project.weight, weights[2])


def test_the_predictions_of_tinybert_kd_start_from_the_last_layers_epoch(cache, tmp_path):
    module = tiny_method("tinybert_kd", layer_epochs=3, layer_learning_rate=2e-3)
    starts = {}
    whole = module.compute_loss

    def watched(batch):
        starts.setdefault(module.context.phase.name, module.student.model.bert.pooler.dense.weight.detach().clone())
        layer = module.student.model.bert.encoder.layer[0].output.dense.weight.detach().clone()
        starts.setdefault(f"{module.context.phase.name} layer", layer)
        return whole(batch)

    module.compute_loss = watched
    fitted = train(module, tiny_data(cache), tmp_path, epochs=2)
    assert fitted.steps == 3 * 2 + 2 * 2
    (last,) = (tmp_path / "checkpoints").glob("student-0-layers-last.ckpt")
    kept = torch.load(last, weights_only=True)["state_dict"]
    name = "student.model.bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(starts["prediction layer"], kept[name])
    assert torch.equal(starts["prediction"], starts["layers"])  # the pooler rests in the first phase
    assert not torch.equal(starts["prediction layer"], starts["layers layer"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AD2Config(steps=-1), r"ad2\.steps is -1"),
        (AD2Config(epsilon=0.0), r"ad2\.epsilon is 0\.0: the ball needs a positive radius"),
        (AD2Config(epsilon=-1.0, steps=2), r"ad2\.epsilon is -1\.0"),
        (AD2Config(steps=0, init_std=0.1, epsilon=0.0), r"ad2\.epsilon"),
        (AD2Config(step_size=0.0), r"ad2\.step_size"),
        (AD2Config(init_std=-0.1), r"ad2\.init_std"),
        (AD2Config(alpha=-1.0), r"ad2\.alpha"),
        (AD2Config(temperature=0.0), r"ad2\.temperature"),
        (AD2Config(feature_weight=-1.0), r"ad2\.feature_weight"),
        (AD2Config(relation_heads=0), r"ad2\.relation_heads"),
        (AD2Config(norm="l3"), r"no ad2\.norm of the name 'l3'"),
        (AD2Config(preset="papre"), r"'papre': did you mean paper"),
        (AD2Config(attention="map"), r"ad2\.attention of the name 'map'"),
        (AD2Config(attention_loss="l1"), r"ad2\.attention_loss"),
        (AD2Config(attention="relations", attention_loss="mse"), "relations take kl"),
        (PKDConfig(alpha=1.2), r"pkd\.alpha"),
        (PKDConfig(temperature=0.0), r"pkd\.temperature"),
        (PKDConfig(beta=-1.0), r"pkd\.beta"),
        (TinyBERTKDConfig(attention="maps"), r"tinybert_kd\.attention of the name 'maps'"),
        (TinyBERTKDConfig(hidden_weight=0.0, attention_weight=0.0), "are both 0"),
        (TinyBERTKDConfig(temperature=0.0), r"tinybert_kd\.temperature"),
        (TinyBERTKDConfig(layer_epochs=0), r"tinybert_kd\.layer_epochs"),
        (TinyBERTKDConfig(layer_learning_rate=-1.0), r"tinybert_kd\.layer_learning_rate"),
    ],
)
def test_settings_that_make_no_sense_are_named(config, message):
    with pytest.raises(KdlabError, match=message):
        config.validate()


def test_a_preset_fills_what_is_left_open():
    AD2Config(steps=0, epsilon=0.0).validate()  # nothing is perturbed, so no ball is needed
    paper = AD2Config(preset="paper")
    assert (paper.steps, paper.step_size, paper.epsilon, paper.norm, paper.init_std) == (1, 1e-3, 1e-5, "l2", 0.0)
    assert AD2Config(preset="paper", epsilon=0.5, steps=0).ball.epsilon == 0.5
    assert AD2Config(preset="paper", epsilon=0.5, steps=0).ball.steps == 0
    assert AD2Config().ball.epsilon > 1000 * paper.ball.epsilon


def narrow(**settings):
    """Hugging Face configurations of a teacher and a student whose heads differ."""
    teacher, student = tiny_encoder(layers=4, hidden=24).config, tiny_encoder().config
    teacher.num_attention_heads = settings.get("heads", 4)
    return teacher, student


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        (AD2, AD2Config(layer_map="5:1"), r"ad2\.layer_map names layer 5 of the teacher, which has 4"),
        (AD2, AD2Config(), r"\(4, T, T\) in the teacher and \(2, T, T\) in the student: set ad2\.attention=relations"),
        (AD2, AD2Config(attention="relations", relation_heads=3), "does not divide the student's width 16"),
        (AD2, AD2Config(layer_map="0:0"), "maps only embeddings, which have no attention"),
        (PKD, PKDConfig(layer_map="4:3"), r"pkd\.layer_map names layer 3 of the student, which has 2"),
        (TinyBERTKD, TinyBERTKDConfig(layer_map="9:1"), r"tinybert_kd\.layer_map names layer 9"),
        (TinyBERTKD, TinyBERTKDConfig(), r"set tinybert_kd\.attention=relations"),
    ],
)
def test_networks_that_do_not_fit_are_refused_before_training(kind, config, message):
    with pytest.raises(KdlabError, match=message):
        kind.check_pair(config, *narrow())


def test_relations_take_any_heads_and_widths():
    for config in (AD2Config(attention="relations"), AD2Config(attention="relations", relation_heads=8)):
        AD2.check_pair(config, *narrow())
        module = tiny_method("ad2", **dataclasses.asdict(config))
        module.compute_loss(tiny_batch()).total.backward()
    TinyBERTKD.check_pair(TinyBERTKDConfig(attention="relations"), *narrow())


def test_without_deep_kd_no_layer_is_asked_for():
    for config in (AD2Config(layer_map="9:9", deep_kd=False), AD2Config(layer_map="9:9", kd=False)):
        AD2.check_pair(config, *narrow())
    PKD.check_pair(PKDConfig(layer_map="9:9", beta=0.0), *narrow())
    AD2.check_pair(AD2Config(attention_weight=0.0), *narrow())


def test_pkd_needs_a_layer_besides_the_last():
    teacher, student = narrow()
    student.num_hidden_layers = 1
    with pytest.raises(KdlabError, match="leaves the student's last layer out, and it has no other"):
        PKD.check_pair(PKDConfig(), teacher, student)
    PKD.check_pair(PKDConfig(layer_map=[[4, 1]]), teacher, student)


def test_an_encoder_without_attention_maps_is_refused(monkeypatch):
    blind = dataclasses.replace(kdlab.models.encoder.FAMILIES["bert"], projections=None)
    monkeypatch.setitem(kdlab.models.encoder.FAMILIES, "bert", blind)
    with pytest.raises(KdlabError, match=r"of whose attention kdlab can get no maps: set ad2\.attention_weight=0"):
        AD2.check_pair(AD2Config(), *narrow(heads=2))
    AD2.check_pair(AD2Config(attention_weight=0.0), *narrow(heads=2))
