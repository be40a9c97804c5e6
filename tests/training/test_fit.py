"""Training: hardware, steps, accumulation, early ends, and which weights are left at the end."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tiny_batch, tiny_data, tiny_method, train

import kdlab.training.fit
from kdlab.data.batches import BucketSampler
from kdlab.data.selection import SelectBy
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import evaluate
from kdlab.methods import METHODS
from kdlab.methods.base import DistillModule, TrainingConfig
from kdlab.system.hardware import Hardware, resolve_hardware
from kdlab.training.fit import seed_all
from kdlab.training.steps import count_steps


@pytest.mark.parametrize(
    ("examples", "settings", "steps"),
    [
        (100, {"batch_size": 32, "epochs": 3}, 12),
        (96, {"batch_size": 32, "epochs": 3}, 9),
        (100, {"batch_size": 32, "epochs": 3, "accumulate": 2}, 12),
        (100, {"batch_size": 32, "epochs": 3, "max_steps": 5}, 5),
        (1, {"batch_size": 32, "epochs": 2}, 2),
    ],
)
def test_steps_are_counted_as_they_are_made(examples, settings, steps):
    training = TrainingConfig(**settings)
    assert count_steps(examples, training, training.epochs) == steps


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("examples", [1, 5, 32, 33, 34, 65, 71])
def test_steps_are_counted_as_several_processes_make_them(monkeypatch, examples, processes):
    monkeypatch.setattr("kdlab.data.batches.world_size", lambda: processes)
    sampler = BucketSampler(np.arange(examples), 32, 0)
    made = list(sampler)
    assert sorted(i for batch in made for i in batch) == list(range(examples))
    assert len(made) == len(sampler) == count_steps(examples, TrainingConfig(batch_size=32), 1, processes=processes)
    assert all(len(batch) >= processes for batch in made) or len(made) == 1


@pytest.mark.parametrize(("examples", "accumulate"), [(16, 1), (15, 2), (17, 2), (12, 4)])
def test_as_many_steps_are_made_as_were_counted(cache, tmp_path, examples, accumulate):
    module, data = tiny_method("finetune"), tiny_data(cache, train=examples, batch_size=8 // accumulate)
    fitted = train(module, data, tmp_path, accumulate=accumulate)
    assert module.student_step == fitted.steps


def test_accumulated_halves_equal_the_whole_batch(cache, tmp_path):
    """No dropout, and every example in one step, so that the order inside it is all that differs."""
    answers, batch = {}, tiny_batch(seed=4)
    for accumulate in (1, 2):
        module = tiny_method("finetune")
        data = tiny_data(cache, train=8, batch_size=8 // accumulate)
        train(module, data, tmp_path / str(accumulate), epochs=3, accumulate=accumulate)
        assert module.student_step == 3
        answers[accumulate] = module.student.eval().classify(batch)
    torch.testing.assert_close(answers[1], answers[2], atol=1e-4, rtol=0)
    module = tiny_method("finetune")
    assert (module.student.classify(batch) - answers[1]).abs().max() > 1e-2
    train(module, tiny_data(cache, train=8, batch_size=4), tmp_path / "small", epochs=3)
    assert (module.student.eval().classify(batch) - answers[1]).abs().max() > 1e-3  # six small steps are another thing


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_an_early_end_is_validated_and_recorded(cache, tmp_path, steps):
    module = tiny_method("finetune")
    fitted = train(module, tiny_data(cache), tmp_path, epochs=5, max_steps=steps)
    assert module.student_step == fitted.steps == steps
    lines = (tmp_path / "history" / "metrics.csv").read_text().splitlines()
    validated = [line for line in lines[1:] if line.split(",")[-1]]
    assert len(validated) == (steps + 1) // 2
    assert fitted.epoch <= (steps + 1) // 2


def test_the_best_weights_are_left_not_the_last(cache, tmp_path):
    module, data = tiny_method("finetune"), tiny_data(cache)
    seen, right = [], module.on_validation_epoch_end

    def remember():
        right()
        value = float(module.trainer.callback_metrics["val/accuracy"])
        seen.append((value, {k: v.clone() for k, v in module.student.state_dict().items()}))

    module.on_validation_epoch_end = remember
    fitted = train(module, data, tmp_path, epochs=8, learning_rate=2e-2)
    values = [value for value, _ in seen]
    best = values.index(max(values))  # the earliest of equals
    assert len(values) == 8
    assert fitted.epoch == best + 1
    assert fitted.value == pytest.approx(values[best])
    assert all(torch.equal(v, seen[best][1][k]) for k, v in module.student.state_dict().items())
    batch = data.split("dev").collate(range(10))
    found = evaluate(module.student.eval().classify(batch), batch.labels, ["accuracy"], regression=False)
    assert found["accuracy"] == pytest.approx(fitted.value)


def test_validation_scores_the_whole_split_at_once(cache, tmp_path):
    """Ten examples in batches of eight: a mean over batches would be another number."""
    module, data = tiny_method("finetune"), tiny_data(cache)
    train(module, data, tmp_path, epochs=1)
    batch = data.split("dev").collate(range(10))
    loss = torch.nn.functional.cross_entropy(module.student.eval().classify(batch), batch.labels).item()
    line = (tmp_path / "history" / "metrics.csv").read_text().splitlines()[-1]
    assert float(line.split(",")[-1]) == pytest.approx(loss, rel=1e-5)


def test_validation_leaves_out_what_no_head_reads(cache, tmp_path):
    module, data, widths = tiny_method("finetune"), tiny_data(cache), {True: set(), False: set()}

    def look(layer, inputs, out):
        widths[layer.training].add(out.shape[1])

    module.student.encoder_layers()[-1].register_forward_hook(look)
    train(module, data, tmp_path, epochs=2)
    assert widths[False] == {1}
    assert min(widths[True]) > 1
    assert not any("forward" in vars(part) for part in module.modules())


def test_biases_and_layer_norms_do_not_decay(cache, tmp_path):
    module, groups = tiny_method("finetune"), []
    module.on_train_start = lambda: groups.extend(module.trainer.optimizers[0].param_groups)
    train(module, tiny_data(cache), tmp_path, epochs=1, weight_decay=0.3)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, p in module.student.named_parameters():
        plain = name.endswith("bias") or "LayerNorm" in name
        assert decays[id(p)] == (0.0 if plain else 0.3), name


def test_the_only_player_is_clipped(cache, tmp_path):
    norms = []
    for clip in (1e-3, 0.0):
        module = tiny_method("finetune")

        def look(optimizer, *_):
            held = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            norms.append(float(torch.stack([g.norm() for g in held]).norm()))

        module.on_train_start = lambda m=module, hook=look: m.trainer.optimizers[0].register_step_post_hook(hook)
        train(module, tiny_data(cache), tmp_path / str(clip), clip=clip)
    assert norms[:4] == pytest.approx([1e-3] * 4, rel=1e-2)
    assert min(norms[4:]) > 2e-3


def test_a_step_draws_the_same_whatever_was_drawn_before():
    module, drawn = tiny_method("finetune"), []
    for _ in range(2):
        torch.rand(7)
        module.on_train_batch_start(tiny_batch(), 0)
        drawn.append(torch.rand(3))
    module.on_train_batch_start(tiny_batch(), 1)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], torch.rand(3))


def test_seeds_reach_every_source_of_chance():
    import random

    import numpy as np

    draws = []
    for _ in range(2):
        seed_all(7)
        draws.append((random.random(), np.random.rand(), float(torch.rand(1))))
    assert draws[0] == draws[1]


def test_workers_change_nothing(cache, tmp_path):
    ends = []
    for workers in (0, 2):
        module, data = tiny_method("kd", dropout=0.1), tiny_data(cache)
        data.workers = workers
        train(module, data, tmp_path / str(workers))
        ends.append(module.student.state_dict())
    assert all(torch.equal(weight, ends[1][name]) for name, weight in ends[0].items())


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(KdlabError, match="--compile needs a C\\+\\+ compiler"):
        resolve_hardware("cpu", 1, "32", compiled=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile calls a C++ compiler")
@pytest.mark.parametrize("name", METHODS)
def test_compiled_encoders_learn_the_same(name, cache, tmp_path):
    ends = {}
    for compiled in (False, True):
        module = tiny_method(name)
        train(module, tiny_data(cache), tmp_path / str(compiled), hardware=Hardware("cpu", 1, "32-true", compiled))
        assert compiled == (module.student.compiled is not None)
        ends[compiled] = module.student.state_dict()
    for key, weight in ends[False].items():
        assert torch.allclose(weight, ends[True][key], atol=2e-3), (
            key
        )  # Adam makes steps of noise where gradients are 0


def test_hardware_that_is_there():
    assert resolve_hardware("cpu", 1, "auto").precision == "32-true"
    assert resolve_hardware("cpu", 1, "bf16").precision == "bf16-mixed"
    assert resolve_hardware("cpu", 1, "32").device == torch.device("cpu")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("tpu", 1, "32"), "no accelerator 'tpu'"),
        (("cpu", 1, "bf61"), "did you mean bf16"),
        (("cpu", 1, "16"), "--precision 16 needs a GPU"),
        (("cpu", 0, "32"), "--devices 0"),
        (("cpu", 4096, "32"), "--devices 4096"),
    ],
)
def test_hardware_that_is_not_there_is_named(asked, message):
    with pytest.raises(KdlabError, match=message):
        resolve_hardware(*asked)


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(KdlabError, match="--accelerator gpu asks for CUDA"):
        resolve_hardware("gpu", 1, "auto")
    assert resolve_hardware("auto", 1, "auto").accelerator == "cpu"


def test_an_interruption_is_an_interruption(cache, tmp_path, monkeypatch):
    """Lightning turns Ctrl-C into ``sys.exit(1)``."""
    module = tiny_method("finetune")

    def interrupt(*_):
        raise KeyboardInterrupt

    module.training_step = interrupt
    with pytest.raises(KeyboardInterrupt):
        train(module, tiny_data(cache), tmp_path)


def test_only_training_builds_a_trainer():
    root = Path(kdlab.__file__).parent
    holders = [p.relative_to(root) for p in root.rglob("*.py") if "Trainer(" in p.read_text(encoding="utf-8")]
    assert holders == [Path("training/fit.py")]


def test_the_history_has_a_line_every_so_many_optimiser_steps(cache, tmp_path):
    module, data = tiny_method("finetune"), tiny_data(cache, train=48, batch_size=2)
    train(module, data, tmp_path, epochs=1, batch_size=4, accumulate=2, log_every=3)
    rows = list(csv.DictReader((tmp_path / "history" / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows if row["train/loss"]] == [3, 6, 9, 12]
    assert [float(row["step"]) for row in rows if row["val/loss"]] == [12]


SCORES = (0.5, 0.7, 0.6, 0.7, 0.65, 0.9, 0.9, 0.9)


@pytest.fixture
def scripted(monkeypatch):
    """Each epoch scores what SCORES says."""

    def end(self):
        self.validation.close(self.task)
        self.log_dict({"val/accuracy": SCORES[self.trainer.current_epoch], "val/loss": 0.0})

    monkeypatch.setattr(DistillModule, "on_validation_epoch_end", end)


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("patience", "epochs", "best", "made"),
    [(0, 5, 2, 5), (1, 8, 2, 3), (2, 8, 2, 4), (3, 8, 2, 5), (4, 8, 6, 8), (9, 3, 2, 3)],
)
def test_patience_ends_a_phase_that_gets_no_better(cache, tmp_path, patience, epochs, best, made):
    module = tiny_method("finetune")
    fitted = train(module, tiny_data(cache), tmp_path, epochs=epochs, patience=patience)
    assert (fitted.epoch, fitted.value) == (best, pytest.approx(SCORES[best - 1]))
    assert fitted.steps == module.student_step == 2 * made


def stopping(module: DistillModule, stop_at: int | None) -> DistillModule:
    """A module whose training stops before a batch, counted from 1."""
    batches = []

    def begin(batch, batch_idx):
        batches.append(batch_idx)
        if len(batches) == stop_at:
            raise RuntimeError("stop")
        DistillModule.on_train_batch_start(module, batch, batch_idx)

    module.on_train_batch_start = begin
    return module


@pytest.mark.usefixtures("scripted")
def test_an_interrupted_training_has_the_same_patience(cache, tmp_path):
    def weights(folder, stop_at=None):
        module = stopping(tiny_method("finetune"), stop_at)
        fitted = train(module, tiny_data(cache), folder, epochs=8, patience=2, checkpoint_every=0.0)
        return fitted, module.student.state_dict()

    whole, ends = weights(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="stop"):
        weights(tmp_path / "stopped", stop_at=6)  # in the epoch behind the best one
    again, found = weights(tmp_path / "stopped")
    assert (again.epoch, again.steps, again.value) == (whole.epoch, whole.steps, whole.value) == (2, 8, whole.value)
    assert all(torch.equal(found[name], weight) for name, weight in ends.items())


@pytest.mark.parametrize(
    ("every", "epochs", "validated"),
    [(1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (3, 6, [3, 6]), (9, 4, [4])],
)
def test_every_so_many_epochs_are_validated_and_the_last(cache, tmp_path, every, epochs, validated):
    module = tiny_method("finetune")
    fitted = train(module, tiny_data(cache), tmp_path, epochs=epochs, validate_every=every)
    rows = list(csv.DictReader((tmp_path / "history" / "metrics.csv").open()))
    assert [float(row["step"]) / 2 for row in rows if row.get("val/accuracy")] == validated
    assert fitted.epoch in validated
    assert fitted.steps == 2 * epochs


def test_validations_leave_the_training_as_it_is_also_where_it_goes_on(cache, tmp_path):
    def weights(folder, every, stop_at=None):
        module = stopping(tiny_method("finetune", dropout=0.1), stop_at)
        data = tiny_data(cache)
        data.select_by = SelectBy("last")
        train(module, data, folder, epochs=5, validate_every=every, checkpoint_every=0.0)
        rows = list(csv.DictReader((folder / "history" / "metrics.csv").open()))
        return module.student.state_dict(), [row["step"] for row in rows if row.get("val/accuracy")]

    each, _ = weights(tmp_path / "each", 1)
    some, validated = weights(tmp_path / "some", 3)
    for stop_at in (4, 6, 8):  # amid the second, third and fourth epoch
        folder = tmp_path / f"stopped-{stop_at}"
        with pytest.raises(RuntimeError, match="stop"):
            weights(folder, 3, stop_at)
        again, found = weights(folder, 3)
        assert found == validated
        assert all(torch.equal(again[name], weight) for name, weight in each.items())
    assert all(torch.equal(some[name], weight) for name, weight in each.items())


@pytest.mark.usefixtures("scripted")
def test_patience_counts_epochs_and_not_validations(cache, tmp_path):
    module = tiny_method("finetune")
    fitted = train(module, tiny_data(cache), tmp_path, epochs=8, patience=2, validate_every=2)
    assert (fitted.epoch, fitted.steps) == (2, 8)


@pytest.mark.usefixtures("scripted")
def test_a_phase_that_chooses_nothing_knows_no_patience(cache, tmp_path):
    module = tiny_method("annealing_kd", tau=1, epochs_each=6)
    fitted = train(module, tiny_data(cache), tmp_path, epochs=4, patience=1)
    assert fitted.steps == 2 * (6 + 3)
    steps = [float(row["step"]) for row in csv.DictReader((tmp_path / "history" / "metrics.csv").open())]
    assert max(steps) == fitted.steps
