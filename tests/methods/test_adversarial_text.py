"""``annealing_kd``, ``mate_kd`` and ``cilda`` against their formulas, and what must not happen beside them."""

from __future__ import annotations

import csv
import itertools
import json

import pytest
import torch
from helpers import SCORES, tiny_batch, tiny_data, tiny_encoder, tiny_generator, tiny_method, train
from test_objectives import count_passes
from test_two_players import rates
from text_checks import (
    check_annealing_kd,
    check_max_step,
    check_min_step,
    check_only_masked_positions_change,
    fixed_draws,
    text_method,
)

import kdlab.methods.adversarial_text
from kdlab.errors import KdlabError
from kdlab.methods import load_method
from kdlab.methods.annealing_kd import AnnealingKDConfig
from kdlab.methods.base import PhaseContext, TrainingConfig
from kdlab.methods.cilda import CILDA, CILDAConfig
from kdlab.methods.mate_kd import MateKDConfig
from kdlab.methods.shared.players import Cycle
from kdlab.models.generator import MaskedLM
from kdlab.system.console import Reporter

BOTH = pytest.mark.parametrize("name", ["mate_kd", "cilda"])


def test_annealing_kd_is_its_formula(monkeypatch):
    check_annealing_kd()


@BOTH
def test_a_min_step_is_its_formula(monkeypatch, name):
    check_min_step(monkeypatch, name)


@BOTH
def test_a_max_step_is_its_formula(monkeypatch, name):
    check_max_step(monkeypatch, name)


def test_only_masked_positions_change(monkeypatch):
    check_only_masked_positions_change(monkeypatch)


@BOTH
@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_other_families_read_the_same_text_as_vectors_and_as_ids(monkeypatch, name, family):
    """A max step's one-hot rows and a min step's ids are one input, padding and segments included."""
    fixed_draws(monkeypatch, alike=True)
    kind = load_method(name)
    teacher = tiny_encoder(family, layers=3, hidden=24, seed=1)
    module = kind(kind.Config(), tiny_encoder(family), teacher, tiny_method("kd").task)
    module.take("generator", tiny_generator(family))
    module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 1, 0))
    batch = tiny_batch(logits=True)
    attack, learn = module.attack(batch), module.compute_loss(batch)
    torch.testing.assert_close(attack.terms["generator_kd"], learn.terms["adv"], atol=1e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(attack.total, [module.generator.model.get_input_embeddings().weight])
    assert gradient.abs().max() > 0


@BOTH
def test_regression_terms_are_squared_errors(monkeypatch, name):
    fixed_draws(monkeypatch, alike=True)
    module, batch = tiny_method(name, task=SCORES), tiny_batch(task=SCORES, logits=True)
    module.begin_phase(PhaseContext(module.phases()[0], TrainingConfig(), 1, 0))
    terms, made = module.compute_loss(batch).terms, module.augment(batch)
    clean, ours, theirs = module.student.classify(batch), module.student.classify(made), module.teacher.classify(made)
    torch.testing.assert_close(terms["ce"], (clean.squeeze(-1) - batch.labels).square().mean())
    torch.testing.assert_close(terms["kd"], (clean - batch.teacher_logits).square().mean())
    torch.testing.assert_close(terms["adv"], (ours - theirs).square().mean())
    reached = module.attack(batch).terms["generator_kd"]
    torch.testing.assert_close(reached, (ours - theirs).square().mean(), atol=1e-5, rtol=1e-4)


class Notes:
    """What a training does, step by step."""

    def __init__(self, module):
        self.module, self.order, self.gradients, self.rates = module, [], [], {"student": [], "generator": []}
        self.examples: list[list[int]] = []
        self.projections: list[torch.Tensor] = []
        loss_of, step = module.loss_of, module.step

        def watched_loss(player, batch):
            self.order.append(player)
            self.examples.append(batch.index.tolist())
            at = list(module.players()).index(player)
            self.rates[player].append(module.trainer.optimizers[at].param_groups[0]["lr"])
            self.before = {n: p.detach().clone() for n, p in module.named_parameters()}
            return loss_of(player, batch)

        def watched_step(player, losses):
            reach = {}
            for who, held in (("student", module.student), ("generator", module.generator)):
                inside = [p for p in held.parameters() if p.requires_grad]
                found = (
                    torch.autograd.grad(losses.total, inside, retain_graph=True, allow_unused=True) if inside else ()
                )
                reach[who] = any(g is not None and bool(g.any()) for g in found)
            self.gradients.append(reach)
            step(player, losses)
            left = [n for n, p in module.named_parameters() if p.grad is not None and p.grad.any()]
            assert not left, f"{left[0]} keeps a gradient"
            moved = {n.split(".")[0] for n, p in module.named_parameters() if not torch.equal(p, self.before[n])}
            self.projections.append("project" in moved)
            rest = moved - {"project"}
            wanted = {player} if self.rates[player][-1] else set()
            assert rest == wanted, f"{sorted(rest)} moved in a step of the {player}"

        module.loss_of, module.step = watched_loss, watched_step


@BOTH
def test_two_cycles_of_turns(name, cache, tmp_path):
    """2 + 3 batches a cycle, over epochs of 4: fresh batches throughout, each player moved in its own turns alone."""
    module = tiny_method(name, n_g=2, n_s=3, generator_learning_rate=5e-4)
    teacher = {n: v.clone() for n, v in module.teacher.state_dict().items()}
    notes = Notes(module)
    fitted = train(module, tiny_data(cache, train=32), tmp_path, epochs=3, warmup=0.2)  # 12 batches
    turns = ["generator"] * 2 + ["student"] * 3
    assert notes.order == [*turns, *turns, "generator", "generator"]
    assert [g["generator"] for g in notes.gradients] == [player == "generator" for player in notes.order]
    assert [g["student"] for g in notes.gradients] == [player == "student" for player in notes.order]
    for start in range(0, 12, 4):
        assert sorted(i for batch in notes.examples[start : start + 4] for i in batch) == list(range(32))
    assert fitted.steps == module.student_step == 6
    assert notes.rates["student"] == pytest.approx(rates(1e-3, total=6, warm=1))
    # the four that the student's six need; two more come behind its last step and move nothing
    assert notes.rates["generator"] == pytest.approx([*rates(5e-4, total=4, warm=1), 0.0, 0.0])
    if name == "cilda":
        assert notes.projections == [player == "student" for player in notes.order]
    assert all(torch.equal(v, teacher[n]) for n, v in module.teacher.state_dict().items())
    assert all(p.grad is None for p in module.teacher.parameters())


def test_history_counts_student_steps_and_holds_both_players_terms(cache, tmp_path):
    module = tiny_method("cilda", n_g=1, n_s=2)
    train(module, tiny_data(cache, train=48), tmp_path, epochs=1, log_every=2)  # G S S G S S
    with (tmp_path / "history" / "metrics.csv").open() as f:
        rows = [row for row in csv.DictReader(f) if row["train/loss"]]
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(float(row["train/generator_crd"]) > 0 and float(row["train/crd_low"]) > 0 for row in rows)
    assert all(float(row["train/crd_low"]) <= float(row["train/crd"]) <= float(row["train/crd_high"]) for row in rows)


def test_a_largest_number_of_steps_counts_the_students(cache, tmp_path):
    module = tiny_method("mate_kd", n_g=3, n_s=2)
    fitted = train(module, tiny_data(cache, train=32), tmp_path, epochs=5, max_steps=3)
    assert fitted.steps == module.student_step == 3
    assert module.batches_seen == 9


def test_a_student_that_never_moved_is_not_chosen(cache, tmp_path):
    module = tiny_method("mate_kd", n_g=4, n_s=4)  # the first epoch is the generator's
    fitted = train(module, tiny_data(cache, train=32), tmp_path, epochs=3, learning_rate=1e-12)
    assert fitted.epoch == 2  # of equal ones the first


class StoppedError(Exception):
    """What ends a training in the test below."""


@BOTH
@pytest.mark.parametrize("stop", [1, 2, 6, 7], ids=["max", "last max", "max of the second cycle", "min"])
def test_a_training_stopped_in_any_phase_ends_as_one_that_was_not(name, stop, cache, tmp_path):
    def made():
        return tiny_method(name, dropout=0.1, n_g=2, n_s=3)

    whole = made()
    train(whole, tiny_data(cache, train=32), tmp_path / "whole", epochs=2)
    stopped = made()

    def step_and_stop(batch, batch_idx):
        if stopped.batches_seen == stop:
            raise StoppedError
        type(stopped).on_train_batch_start(stopped, batch, batch_idx)

    stopped.on_train_batch_start = step_and_stop
    with pytest.raises(StoppedError):
        train(stopped, tiny_data(cache, train=32), tmp_path / "stopped", epochs=2, checkpoint_every=0.0)
    kept = torch.load(tmp_path / "stopped" / "checkpoints" / "student-0-train-last.ckpt", weights_only=True)
    assert kept["kdlab"]["batches_seen"] == stop
    assert len(kept["optimizer_states"]) == 2
    # as a kill behind the checkpoint would leave it
    with (tmp_path / "stopped" / "augmented.jsonl").open("a") as f:
        f.write(json.dumps({"phase": "train", "step": 99, "original": "a", "generated": "b"}) + "\n")
        f.write('{"phase": "train", "st')
    again = made()
    train(again, tiny_data(cache, train=32), tmp_path / "stopped", epochs=2, checkpoint_every=0.0)
    assert again.student_step == whole.student_step
    assert all(torch.equal(v, whole.state_dict()[n]) for n, v in again.state_dict().items())
    for file in ("history/metrics.csv", "augmented.jsonl"):
        assert (tmp_path / "stopped" / file).read_text() == (tmp_path / "whole" / file).read_text()


def test_generated_text_can_be_read(cache, tmp_path):
    module = tiny_method("mate_kd", n_g=1, n_s=7, show_every=2, show=2)
    train(module, tiny_data(cache, train=64), tmp_path, epochs=1)
    lines = [json.loads(line) for line in (tmp_path / "augmented.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 1, 2, 2, 4, 4, 6, 6]
    for line in lines:
        before, after = line["original"].split(), line["generated"].split()
        assert len(before) == len(after)
        for a, b in zip(before, after, strict=True):
            assert (a == b) == (not a.startswith("*")) == (not b.startswith("*"))
        assert not any("[" in word for word in before)
    assert any("*" in line["generated"] for line in lines)


def test_passes_of_each_step():
    """A min step costs two student passes and one of teacher and generator each, without a graph; clean logits come."""
    module, batch = text_method("cilda"), tiny_batch(logits=True)
    passes, generated = count_passes(module), []
    module.generator.register_forward_hook(lambda *a: generated.append(a[-1].requires_grad))
    module.compute_loss(batch)
    assert passes == {"student": 2, "teacher": 1}
    module.attack(batch)
    assert passes == {"student": 3, "teacher": 2}
    assert generated == [False, True]


def test_the_vocabularys_size_stands_at_masked_positions_only(monkeypatch):
    fixed_draws(monkeypatch)
    seen = []
    monkeypatch.setattr(
        MaskedLM, "all_words", lambda self, states, right=MaskedLM.all_words: seen.append(states) or right(self, states)
    )
    module = text_method("mate_kd")
    module.attack(tiny_batch())
    assert [states.shape for states in seen] == [(10, 16)]


@BOTH
def test_a_batch_without_a_token_to_mask_is_no_crash(name, cache):
    module, batch = text_method(name), tiny_batch((2, 2, 2), logits=True)
    batch.input_ids[:, 0], batch.input_ids[:, 1] = 2, 3
    losses = module.compute_loss(batch)
    assert losses.total.isfinite()
    assert losses.terms["changed"] == 0
    torch.testing.assert_close(losses.terms["adv"], module.attack(batch).terms["generator_kd"], atol=1e-6, rtol=1e-4)
    assert not module.attack(batch).total.requires_grad


def test_a_generator_without_a_token_to_mask_stays_as_it_is(cache, tmp_path, monkeypatch):
    """Not even momentum moves it; the student learns on, and one sentence says so."""
    right, calls = kdlab.methods.adversarial_text.draw_mask, itertools.count()
    monkeypatch.setattr(kdlab.methods.adversarial_text, "draw_mask", lambda *a: right(*a) & (next(calls) == 0))
    module, seen, said = tiny_method("mate_kd", n_g=2, n_s=2), [], []
    monkeypatch.setattr(Reporter, "warn", lambda self, text: said.append(text))
    right_step = type(module).step

    def step(self, player, losses):
        right_step(self, player, losses)
        if losses.total.requires_grad:
            seen.append((player, [p.detach().clone() for p in module.generator.parameters()]))

    monkeypatch.setattr(type(module), "step", step)
    train(module, tiny_data(cache, train=64), tmp_path, epochs=1)
    assert [player for player, _ in seen] == ["generator", "student", "student", "student", "student"]
    assert all(torch.equal(a, b) for a, b in zip(seen[0][1], module.generator.parameters(), strict=True))
    assert [text[:28] for text in said] == ["A batch has no token to mask"]
    assert (tmp_path / "augmented.jsonl").exists() is False


def test_a_generator_of_nan_is_found_in_the_students_steps(cache, tmp_path):
    module = tiny_method("mate_kd", n_g=1, n_s=3)
    for p in module.generator.parameters():
        p.data.fill_(float("nan"))
    module.cycle_of = lambda *_: Cycle((("student", 3), ("generator", 1)))
    with pytest.raises(KdlabError, match=r"The loss term 'changed' of mate_kd became nan in step 1"):
        train(module, tiny_data(cache), tmp_path)


def test_a_last_batch_of_one_has_no_negatives(cache, tmp_path):
    module = tiny_method("cilda")
    fitted = train(module, tiny_data(cache, train=25), tmp_path, epochs=3)
    assert fitted.steps == 8
    assert module.contrast(*_outputs(module, tiny_batch((5,)))) == 0


def _outputs(module, batch):
    ours = module.student.read(batch, module.student_taps)
    return batch, ours, module.teacher.read(batch, module.teacher_taps)


def test_batches_of_one_are_refused_where_there_is_a_contrast(cache, tmp_path):
    with pytest.raises(KdlabError, match=r"training\.batch_size=1 leaves cilda's contrastive loss no negatives"):
        train(tiny_method("cilda"), tiny_data(cache, batch_size=1), tmp_path, batch_size=1)
    plain = tiny_method("cilda", crd_weight=0.0, alpha2=0.0)
    assert plain.project is None
    assert train(plain, tiny_data(cache, batch_size=1, train=6), tmp_path, batch_size=1, epochs=1).steps == 4


def test_gradients_are_not_added_up(cache, tmp_path):
    with pytest.raises(KdlabError, match="mate_kd steps several players by hand"):
        train(tiny_method("mate_kd"), tiny_data(cache), tmp_path, accumulate=2)


def test_a_training_without_a_turn_of_the_student_is_refused(cache, tmp_path):
    with pytest.raises(
        KdlabError, match="student would get no step: the generator has 10 batches, then the student 2, and there are 4"
    ):
        train(tiny_method("mate_kd", n_g=10), tiny_data(cache), tmp_path)


def test_a_generator_of_another_vocabulary_is_refused():
    module = tiny_method("mate_kd")
    with pytest.raises(KdlabError, match=r"generator has 61 words and the teacher 60: set mate_kd\.generator"):
        module.take("generator", tiny_generator(vocabulary=61))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (MateKDConfig(n_g=0), "mate_kd.n_g is 0: it counts the generator's batches in a cycle, 1 or more"),
        (CILDAConfig(n_g=0), "cilda.n_g is 0"),
        (CILDAConfig(n_s=0), "cilda.n_s is 0: it counts the student's batches in a cycle"),
        (CILDAConfig(p=0.0), "cilda.p is 0.0: "),
        (MateKDConfig(p=1.0), "mate_kd.p is 1.0: it is the part of the tokens that is masked, between 0 and 1"),
        (MateKDConfig(gumbel_temperature=0.0), "mate_kd.gumbel_temperature is 0.0"),
        (MateKDConfig(generator_learning_rate=-1.0), "mate_kd.generator_learning_rate is -1.0"),
        (MateKDConfig(head_steps=0), "mate_kd.head_steps is 0"),
        (MateKDConfig(show_every=-1), "mate_kd.show_every is -1"),
        (MateKDConfig(adv_weight=-1.0), "mate_kd.adv_weight is -1.0"),
        (CILDAConfig(crd_weight=-1.0), "cilda.crd_weight is -1.0"),
        (CILDAConfig(alpha1=0.0, alpha2=0.0), "cilda.alpha1 and alpha2 are both 0"),
        (CILDAConfig(crd_weight=0.0), "cilda.crd_weight is 0, which leaves the projections untrained"),
        (CILDAConfig(crd_weight=0.0, alpha2=0.0, adv_weight=0.0), "cilda: generated text has no weight in the student"),
        (MateKDConfig(adv_weight=0.0), "mate_kd: generated text has no weight in the student's loss"),
        (CILDAConfig(crd_temperature=0.0), "cilda.crd_temperature is 0.0"),
        (CILDAConfig(width=0), "cilda.width is 0"),
        (AnnealingKDConfig(tau=0), "annealing_kd.tau is 0"),
        (AnnealingKDConfig(epochs_each=0), "annealing_kd.epochs_each is 0"),
        (AnnealingKDConfig(annealing_learning_rate=0.0), "annealing_kd.annealing_learning_rate is 0.0"),
    ],
)
def test_values_out_of_range_are_one_sentence(config, said):
    with pytest.raises(KdlabError) as e:
        config.validate()
    assert str(e.value).startswith(said)
    assert str(e.value).count(". ") == 0


def test_the_papers_numbers():
    tasks = {name: tiny_method("kd").task.__class__(name=name, text="a", labels=("0", "1")) for name in ("cola", "qqp")}
    assert CILDA.cycle_of(CILDAConfig(), tasks["cola"]).turns == (("generator", 20), ("student", 100))
    assert CILDA.cycle_of(CILDAConfig(), tasks["qqp"]).turns == (("generator", 10), ("student", 100))
    assert (CILDAConfig().p, CILDAConfig().gumbel_temperature, CILDAConfig().crd_temperature) == (0.3, 1.0, 2.0)
    c = CILDAConfig()
    assert (c.ce_weight, c.kd_weight, c.adv_weight, c.crd_weight) == pytest.approx((1 / 3, 1 / 3, 2 / 9, 1 / 9))
    assert CILDAConfig().width == 128
    first, _ = tiny_method("annealing_kd", tau=7, epochs_each=2).phases()
    assert first.epochs == 14
    assert load_method("annealing_kd").presets["*"] == {"training.epochs": 4, "training.learning_rate": 2e-5}


def test_draws_are_the_steps_own():
    """The same step draws the same text, whatever was drawn before; several processes draw it for the whole batch."""
    module, batch = text_method("mate_kd"), tiny_batch()
    made = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        module.shared_rng = torch.Generator().manual_seed(5)
        made.append(module.augment(batch).input_ids)
    assert torch.equal(made[0], made[1])
    rows = torch.tensor([1, 3, 5])
    part = {k: v[rows] for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}
    module.shared_rng = torch.Generator().manual_seed(5)
    assert torch.equal(module.augment(type(batch)(**part, whole=batch, rows=rows)).input_ids, made[0][rows])


def test_the_max_step_raises_what_it_maximises(cache, tmp_path):
    """With the student held, a few steps of the generator raise its mean over eight draws on one batch."""
    torch.manual_seed(0)
    module, batch = text_method("cilda"), tiny_batch()
    optimizer = torch.optim.AdamW(module.generator.parameters(), lr=1e-2)

    def reached():
        losses = []
        for draw in range(8):  # a single one is as rough as its words
            module.shared_rng = torch.Generator().manual_seed(draw)
            losses.append(module.attack(batch).total)
        return torch.stack(losses).mean()

    before = float(reached().detach())
    for _ in range(30):
        optimizer.zero_grad()
        reached().backward()
        optimizer.step()
    assert float(reached().detach()) < before - 0.02


def test_one_hot_rows_reach_both_networks(monkeypatch):
    module, rows = text_method("mate_kd"), []
    right = kdlab.methods.adversarial_text.fill_embeddings
    monkeypatch.setattr(
        kdlab.methods.adversarial_text, "fill_embeddings", lambda *a: rows.append((a[2], a[3])) or right(*a)
    )
    module.attack(tiny_batch())
    (first, teacher), (second, student) = rows
    assert first is second
    assert torch.equal(first.sum(1), torch.ones(len(first)))
    assert torch.equal(first.max(1).values, torch.ones(len(first)))
    assert teacher.shape == (60, 24)
    assert student.shape == (60, 16)
