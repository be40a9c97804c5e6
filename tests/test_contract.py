"""What every registered method must do, whatever its objective."""

from __future__ import annotations

import csv
import math

import pytest
import torch
from helpers import PAIRS, SCORES, tiny_batch, tiny_data, tiny_encoder, tiny_method, train

from kdlab.methods import METHODS, load_method
from kdlab.methods.base import DistillModule, MethodConfig, TrainingConfig
from kdlab.training import Hardware
from kdlab.types import Need

pytestmark = pytest.mark.parametrize("name", METHODS)


def weights(encoder) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in encoder.state_dict().items()}


def history(folder) -> list[dict[str, str]]:
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


def test_it_is_written_down(name):
    kind = load_method(name)
    assert issubclass(kind, DistillModule)
    assert kind.name == name
    assert kind.__doc__
    assert issubclass(kind.Config, MethodConfig)
    kind.Config().validate()
    assert all(isinstance(need, Need) for need in kind.needs)


def test_the_student_moves_and_the_teacher_does_not(name, cache, tmp_path):
    module = tiny_method(name, dropout=0.1)
    student = weights(module.student)
    teacher = weights(module.teacher) if module.teacher else {}
    train(module, tiny_data(cache), tmp_path)
    moved = [k for k, v in module.student.state_dict().items() if not torch.equal(v, student[k])]
    assert any("classifier" in k for k in moved)
    assert any("embeddings" in k for k in moved)
    assert {k.split(".")[4] for k in moved if "encoder.layer" in k} == {"0", "1"}
    if module.teacher:
        assert all(torch.equal(v, teacher[k]) for k, v in module.teacher.state_dict().items())
        assert all(p.grad is None and not p.requires_grad for p in module.teacher.parameters())


def test_modes_are_right_in_every_step(name, cache, tmp_path):
    module, seen = tiny_method(name, dropout=0.1), []

    def look(*_):
        assert all(part.training for part in module.student.modules()) == module.training
        if module.teacher:
            assert not any(part.training for part in module.teacher.modules())
        seen.append(module.training)

    module.student.register_forward_pre_hook(look)
    if module.teacher:
        module.teacher.register_forward_pre_hook(look)
    train(module, tiny_data(cache), tmp_path)
    assert seen.count(True) >= 4
    assert seen.count(False) >= 4  # validation, after which training goes on in the right mode
    assert seen.index(False) < len(seen) - 1 - seen[::-1].index(True)


def test_two_runs_of_a_seed_are_equal_to_the_bit(name, cache, tmp_path):
    ends = []
    for i, seed in enumerate((5, 5, 6)):
        torch.manual_seed(i)  # what was drawn before must not matter
        module = tiny_method(name, dropout=0.1)
        torch.rand(i + 1)
        train(module, tiny_data(cache, seed=seed), tmp_path / str(i), seed=seed)
        ends.append(weights(module.student))
    assert all(torch.equal(v, ends[1][k]) for k, v in ends[0].items())
    assert not all(torch.equal(v, ends[2][k]) for k, v in ends[0].items())


def test_the_checkpoint_holds_no_teacher_and_loads_strictly(name, cache, tmp_path):
    module = tiny_method(name)
    train(module, tiny_data(cache), tmp_path)
    *_, file = sorted((tmp_path / "checkpoints").glob("*-best-*.ckpt"))  # the last phase's
    checkpoint = torch.load(file, weights_only=True)
    held = checkpoint["state_dict"]
    assert not [k for k in held if k.startswith("teacher.")]
    assert {k for k in held if k.startswith("student.")} == {f"student.{k}" for k in module.student.state_dict()}
    other = tiny_method(name)
    other.student.load_state_dict(tiny_encoder(seed=9).state_dict())
    other.on_load_checkpoint(checkpoint)
    other.load_state_dict(checkpoint["state_dict"], strict=True)
    assert all(torch.equal(v, module.student.state_dict()[k]) for k, v in other.student.state_dict().items())


def test_autocast_to_bf16_stays_finite(name, cache, tmp_path):
    module = tiny_method(name)
    fitted = train(module, tiny_data(cache), tmp_path, hardware=Hardware("cpu", 1, "bf16-mixed"))
    assert math.isfinite(fitted.value)
    assert all(math.isfinite(value) for value in module.last_terms.values())
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in module.student.parameters())


@pytest.mark.parametrize("task", [PAIRS, SCORES], ids=["classification", "regression"])
def test_terms_and_metrics_are_in_the_history(name, task, cache, tmp_path):
    module = tiny_method(name, task=task)
    assert module.student.num_outputs == (1 if task is SCORES else 2)
    fitted = train(module, tiny_data(cache, task), tmp_path)
    rows = history(tmp_path)
    steps = [row for row in rows if row["train/loss"]]
    phases = module.phases()
    lengths = [phase.epochs or 2 for phase in phases]
    counts = [module.cycle.steps("student", 2 * epochs) for epochs in lengths]  # of two batches an epoch
    assert [int(row["step"]) for row in steps] == [n + 1 for count in counts for n in range(count)]
    for number, (phase, count) in enumerate(zip(phases, counts, strict=True)):
        probe = tiny_method(name)
        probe.begin_phase(phase, TrainingConfig(), count, 0)
        terms = {f"train/{term}" for term in probe.compute_loss(tiny_batch(logits=True)).terms}
        first = sum(counts[:number])
        for row in steps[first : first + count]:
            assert all(math.isfinite(float(row[term])) for term in (*terms, "train/loss", "lr"))
    epochs = [row for row in rows if row[f"val/{task.monitor}"]]
    assert len(epochs) == sum(lengths)
    assert fitted.metric == f"val/{task.monitor}"
    assert fitted.value == max(float(row[fitted.metric]) for row in epochs[-lengths[-1] :])
    assert fitted.steps == sum(counts)
