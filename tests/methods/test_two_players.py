"""Methods of two players and of two phases, through the same ``fit`` as every other."""

from __future__ import annotations

import functools
from itertools import chain

import pytest
import torch
from helpers import tiny_data, tiny_method, train
from lightning.pytorch.plugins import MixedPrecision

import kdlab.training.fit
from kdlab.errors import KdlabError
from kdlab.losses.soft_targets import supervised
from kdlab.methods.base import DistillModule, Phase
from kdlab.methods.finetune import FineTune
from kdlab.types import Batch, LossTerms


class Duel(DistillModule):
    """A generator shifts embeddings to raise the student's loss; the student lowers it, one step each a batch."""

    def __init__(self, config, student, teacher, task):
        super().__init__(config, student, teacher, task)
        self.generator = torch.nn.Linear(16, 16)
        self.seen: dict[str, list[tuple[float, float]]] = {"student": [], "generator": []}
        self.crossed: list[str] = []

    @classmethod
    def players_of(cls, config):
        return ("student", "generator")

    def players(self):
        return {"student": self.student.parameters(), "generator": self.generator.parameters()}

    def on_train_start(self):
        for name, optimizer in zip(self.players(), self.trainer.optimizers, strict=True):
            optimizer.register_step_post_hook(lambda o, *_, n=name: self._note(n, o))

    def _note(self, name, optimizer):
        held = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.stack([p.grad.norm() for p in held if p.grad is not None]).norm()
        self.seen[name].append((float(norm), optimizer.param_groups[0]["lr"]))
        other = self.generator if name == "student" else self.student
        if any(p.grad is not None and p.grad.any() for p in other.parameters()):
            self.crossed.append(name)

    def _attacked(self, batch: Batch):
        embeddings = self.student.embed(batch.input_ids, batch.token_type_ids)  # (B, T, D)
        shifted = embeddings + self.generator(embeddings)
        logits = self.student(attention_mask=batch.attention_mask, embeddings=shifted).logits
        return supervised(logits, batch.gold())

    def loss_of(self, player, batch: Batch) -> LossTerms:
        loss = self._attacked(batch)
        return LossTerms(loss if player == "student" else -loss)


class TwoPhases(FineTune):
    """Fine-tuning with a slow start of its own schedule."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.rates: list[tuple[str, int, float]] = []

    @classmethod
    def phases_of(cls, config):
        return [Phase("warm", epochs=1, learning_rate=1e-4), Phase("main", learning_rate=2e-3)]

    def compute_loss(self, batch: Batch) -> LossTerms:
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.rates.append((self.context.phase.name, self.student_step, rate))
        return super().compute_loss(batch)


class Breaks(FineTune):
    """Its loss is no number from the third step on."""

    def compute_loss(self, batch: Batch) -> LossTerms:
        loss = super().compute_loss(batch).total
        wrong = loss * float("nan") if self.student_step >= 2 else loss
        return LossTerms(loss, {"ce": loss, "odd": wrong})


class Watches(FineTune):
    """Remembers which examples came in which order."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.order: list[list[list[int]]] = []

    def on_train_epoch_start(self):
        self.order.append([])

    def compute_loss(self, batch: Batch) -> LossTerms:
        self.order[-1].append(batch.index.tolist())
        return super().compute_loss(batch)


def rates(peak: float, total: int, warm: int) -> list[float]:
    """Linear warm-up to the peak after ``warm`` steps, then linearly to zero after the last."""
    return [peak * ((s + 1) / (warm + 1) if s < warm else (total - s) / (total - warm)) for s in range(total)]


def test_both_players_move_each_in_its_own_step(cache, tmp_path):
    module = tiny_method(Duel)
    student, generator = module.student.model.classifier.weight.clone(), module.generator.weight.clone()
    fitted = train(module, tiny_data(cache), tmp_path, epochs=3)
    assert not module.automatic_optimization
    assert not torch.equal(module.student.model.classifier.weight, student)
    assert not torch.equal(module.generator.weight, generator)
    assert module.crossed == []
    assert fitted.steps == module.student_step == len(module.seen["student"]) == len(module.seen["generator"]) == 6


def test_each_player_is_clipped_and_follows_its_schedule(cache, tmp_path):
    module = tiny_method(Duel)
    train(module, tiny_data(cache), tmp_path, epochs=5, clip=1e-3, learning_rate=1e-3, warmup=0.2)
    for steps in module.seen.values():
        assert [norm for norm, _ in steps] == pytest.approx([1e-3] * 10, rel=1e-2)
        assert [rate for _, rate in steps] == pytest.approx(rates(1e-3, total=10, warm=2))
    free = tiny_method(Duel)
    train(free, tiny_data(cache), tmp_path / "free", clip=0.0)
    assert all(norm > 2e-3 for steps in free.seen.values() for norm, _ in steps)


def test_the_second_player_pulls_the_other_way(cache, tmp_path):
    alone, batch = tiny_method(Duel), tiny_data(cache).split("train").collate(range(16))
    before = float(alone._attacked(batch).detach())
    alone.loss_of = lambda player, batch: None if player == "student" else LossTerms(-alone._attacked(batch))
    with pytest.raises(KdlabError, match="duel's student made no step in phase 'train'"):  # a training of nobody's use
        train(alone, tiny_data(cache), tmp_path, epochs=10, learning_rate=1e-2)
    assert float(alone._attacked(batch).detach()) > before


def test_both_players_are_in_the_checkpoint(cache, tmp_path):
    train(tiny_method(Duel), tiny_data(cache), tmp_path, checkpoint_every=0.0)
    (file,) = (tmp_path / "checkpoints").glob("*-best-*.ckpt")
    assert "generator.weight" in torch.load(file, weights_only=True)["state_dict"]


def test_a_gradient_scaler_unscales_each_player_once_and_before_clipping(cache, tmp_path, monkeypatch):
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    monkeypatch.setattr(plugin, "forward_context", lambda: torch.autocast("cpu", enabled=False))

    def with_scaler(right, **settings):
        settings.pop("precision")
        return right(plugins=[plugin, *settings.pop("plugins")], **settings)

    monkeypatch.setattr(kdlab.training.fit, "Trainer", functools.partial(with_scaler, kdlab.training.fit.Trainer))
    module = tiny_method(Duel)
    train(module, tiny_data(cache), tmp_path, clip=1e-3)
    for steps in module.seen.values():
        assert [norm for norm, _ in steps] == pytest.approx([1e-3] * 4, rel=1e-2)


def test_steps_of_two_players_are_counted_in_the_students(cache, tmp_path):
    module = tiny_method(Duel)
    fitted = train(module, tiny_data(cache), tmp_path, epochs=5, max_steps=3)
    assert fitted.steps == module.student_step == len(module.seen["generator"]) == 3
    assert fitted.epoch <= 2


def test_every_phase_has_a_schedule_of_its_own(cache, tmp_path):
    module = tiny_method(TwoPhases)
    fitted = train(module, tiny_data(cache), tmp_path, epochs=3, warmup=0.0, checkpoint_every=0.0)
    assert [(p, s) for p, s, _ in module.rates] == [("warm", s) for s in range(2)] + [("main", s) for s in range(6)]
    expected = rates(1e-4, total=2, warm=0) + rates(2e-3, total=6, warm=0)
    assert [rate for *_, rate in module.rates] == pytest.approx(expected)
    assert fitted.steps == 8
    assert {file.name.split("-best")[0] for file in (tmp_path / "checkpoints").glob("*-best-*")} == {
        "student-0-warm",
        "student-1-main",
    }


def test_a_term_that_is_no_number_is_named_with_its_step(cache, tmp_path):
    with pytest.raises(KdlabError, match=r"term 'odd' of breaks became nan in step 3 of phase 'train'.*learning_rate"):
        train(tiny_method(Breaks), tiny_data(cache), tmp_path, epochs=4)


def test_every_epoch_sees_every_example_once_in_another_order(cache, tmp_path):
    orders = []
    for i, seed in enumerate((0, 0, 1)):
        module = tiny_method(Watches)
        train(module, tiny_data(cache, seed=seed), tmp_path / str(i), epochs=3)
        orders.append(module.order)
        assert len(module.order) == 3
        for epoch in module.order:
            assert sorted(chain(*epoch)) == list(range(16))
        assert module.order[0] != module.order[1] != module.order[2]
    assert orders[0] == orders[1] != orders[2]
