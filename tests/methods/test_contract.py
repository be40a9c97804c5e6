"""What every registered method must do, whatever its objective."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch
from cli_fixtures import Lab, metrics, predictions, write_checkpoint, write_rte
from helpers import CPU, PAIRS, SCORES, TOYS, brief_words, tiny_batch, tiny_data, tiny_encoder, tiny_method, train

from kdlab.errors import KdlabError
from kdlab.evaluation.predict import predict
from kdlab.methods import METHODS, load_method
from kdlab.methods.base import DistillModule, MethodConfig, PhaseContext, TrainingConfig
from kdlab.system.hardware import Hardware
from kdlab.types import Need

pytestmark = pytest.mark.parametrize("name", [*METHODS, *TOYS])


def data_of(module, cache, task=PAIRS, seed: int = 0):
    """Tiny data with the splits that the method wants."""
    return tiny_data(cache, task, seed=seed, module=module)


def weights(encoder) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in encoder.state_dict().items()}


def history(folder) -> list[dict[str, str]]:
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


def test_it_is_written_down(name):
    kind = load_method(TOYS.get(name, name))
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
    start, end = {}, {}
    module.on_train_start = lambda: start or start.update(weights(module))
    module.on_train_end = lambda: end.update(weights(module))  # of the last epoch; the best one's are left
    train(module, data_of(module, cache), tmp_path, weight_decay=0.0)  # which moves weights by itself
    names = {id(p): name for name, p in module.named_parameters()}
    for player, own in module.players().items():
        assert any(not torch.equal(end[k], start[k]) for k in (names[id(p)] for p in own)), f"the {player} stays"
    moved = [k for k, v in module.finished_student().state_dict().items() if not torch.equal(v, student[k])]
    assert any("classifier" in k for k in moved)
    assert any("embeddings" in k for k in moved)
    assert {k.split(".")[4] for k in moved if "encoder.layer" in k} == {"0", "1"}
    if module.teacher:
        assert all(torch.equal(v, teacher[k]) for k, v in module.teacher.state_dict().items())
        assert all(p.grad is None and not p.requires_grad for p in module.teacher.parameters())


def test_validation_gives_the_answers_that_are_predicted(name, cache, tmp_path):
    module = tiny_method(name, dropout=0.1)
    data = data_of(module, cache)
    fitted = train(module, data, tmp_path)
    predicted = predict(module.finished_student(), data.split(data.select_on), data.eval_batch_size, CPU.device)
    if type(module).answer is DistillModule.answer:
        assert torch.equal(fitted.answers.logits, predicted.logits)
    else:  # its own may read what predictions leave out
        torch.testing.assert_close(fitted.answers.logits, predicted.logits, atol=1e-6, rtol=0)
    assert 0 < fitted.answers.cost.seconds < fitted.cost.seconds


def test_modes_are_right_in_every_step(name, cache, tmp_path):
    module, seen = tiny_method(name, dropout=0.1), []

    def look(*_):
        assert all(part.training for part in module.student.modules()) == module.training
        if module.teacher:
            assert not any(part.training for part in module.teacher.modules())
        seen.append(module.training)

    for encoder in (module.student, module.teacher):
        if encoder:
            encoder.encoder_layers()[0].register_forward_pre_hook(look)  # whoever calls the encoder, and how
    train(module, data_of(module, cache), tmp_path)
    assert seen.count(True) >= 4
    assert seen.count(False) >= 4  # validation, after which training goes on in the right mode
    assert seen.index(False) < len(seen) - 1 - seen[::-1].index(True)


def test_two_runs_of_a_seed_are_equal_to_the_bit(name, cache, tmp_path):
    ends = []
    for i, seed in enumerate((5, 5, 6)):
        torch.manual_seed(i)  # what was drawn before must not matter
        module = tiny_method(name, dropout=0.1)
        torch.rand(i + 1)
        train(module, data_of(module, cache, seed=seed), tmp_path / str(i), seed=seed)
        ends.append(weights(module))
    assert all(torch.equal(v, ends[1][k]) for k, v in ends[0].items())
    assert not all(torch.equal(v, ends[2][k]) for k, v in ends[0].items())


def test_the_checkpoint_holds_no_teacher_and_loads_strictly(name, cache, tmp_path):
    module = tiny_method(name)
    train(module, data_of(module, cache), tmp_path, checkpoint_every=0.0)
    *_, file = sorted((tmp_path / "checkpoints").glob("*-last.ckpt"))  # the last phase's
    checkpoint = torch.load(file, weights_only=True)
    held = checkpoint["state_dict"]
    assert not [k for k in held if k.startswith("teacher.")]
    assert {k for k in held if k.startswith("student.")} == {f"student.{k}" for k in module.student.state_dict()}
    other = tiny_method(name)
    other.student.load_state_dict(tiny_encoder(seed=9).state_dict())
    other.on_load_checkpoint(checkpoint)
    other.load_state_dict(checkpoint["state_dict"], strict=True)
    assert all(torch.equal(v, held[f"student.{k}"]) for k, v in other.student.state_dict().items())


def test_what_is_validated_is_what_is_saved(name, cache, tmp_path):
    module = tiny_method(name, dropout=0.1)
    train(module, data_of(module, cache), tmp_path)
    batch, state = tiny_batch(), torch.get_rng_state()
    module.eval()
    finished = module.finished_student()
    torch.testing.assert_close(module.answer(batch), finished.eval().classify(batch))
    assert finished.num_outputs == 2
    assert module.score("dev") == module.score("dev")
    assert torch.equal(torch.get_rng_state(), state)


def test_autocast_to_bf16_follows_fp32(name, cache, tmp_path):
    start, rows, ends = weights(tiny_method(name)), {}, {}
    for precision in ("32-true", "bf16-mixed"):
        module = tiny_method(name)
        train(module, data_of(module, cache), tmp_path / precision, hardware=Hardware("cpu", 1, precision))
        assert all(p.dtype == torch.float32 and p.isfinite().all() for p in module.parameters())
        rows[precision] = next(row for row in history(tmp_path / precision) if row["train/loss"])
        ends[precision] = weights(module)
    first, other = ({k: float(v) for k, v in row.items() if v} for row in rows.values())
    assert first.keys() == other.keys()
    gap, share = BF16.get(name, (0.02, 0.5))
    for term, value in first.items():  # of the first step, before which both are equal
        assert other[term] == pytest.approx(value, rel=0.05, abs=gap), term
    exact, rounded = ends["32-true"], ends["bf16-mixed"]
    assert distance(exact, rounded) < share * distance(exact, start)  # the wrong way would be about 2


def distance(one, other) -> float:
    """Of trained weights; the keys' biases are left out, whose gradient is rounding alone."""
    names = [
        k for k, v in one.items() if v.is_floating_point() and not k.startswith("teacher.") and "key.bias" not in k
    ]
    return float(torch.cat([(one[k] - other[k]).flatten() for k in names]).norm())


# the generator's words are close calls, which rounding turns: the losses are of text that is not quite the same
BF16 = {"mate_kd": (0.1, 0.9), "cilda": (0.1, 0.9)}


class StoppedError(Exception):
    """What ends a training in the test below."""


@pytest.mark.parametrize("stop", [2, 4, -1], ids=["first epoch", "second epoch", "last step"])
def test_a_stopped_training_ends_as_one_that_was_not(name, stop, cache, tmp_path):
    whole = tiny_method(name, dropout=0.1)
    end = train(whole, data_of(whole, cache), tmp_path / "whole")
    begun = [0]

    def step_and_stop(*arguments):
        begun[0] += 1
        if begun[0] == (stop if stop > 0 else end.steps):
            raise StoppedError
        type(stopped).on_train_batch_start(stopped, *arguments)

    stopped = tiny_method(name, dropout=0.1)
    stopped.on_train_batch_start = step_and_stop
    with pytest.raises(StoppedError):
        train(stopped, data_of(stopped, cache), tmp_path / "stopped", checkpoint_every=0.0)
    resumed = tiny_method(name, dropout=0.1)
    again = train(resumed, data_of(resumed, cache), tmp_path / "stopped", checkpoint_every=0.0)
    assert (again.value, again.epoch, again.steps) == (end.value, end.epoch, end.steps)
    assert history(tmp_path / "stopped") == history(tmp_path / "whole")
    wanted = whole.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in resumed.state_dict().items())


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    """A teacher without dropout, whose masks would depend on who draws them."""
    made = Lab(tmp_path_factory.mktemp("contract"))
    write_checkpoint(made.teacher)
    file = made.teacher / "config.json"
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps({**json.loads(file.read_text()), **still}))
    write_rte(made.data / "RTE", train=67, dev=25)  # neither a multiple of anything
    return made


# what tells classes apart, and refuses scores
LABELS_ALONE = ("ganbert", "robust")

# a student of two layers where the last is left out; scores before the softmax are large in this encoder, and Adam's
# first steps enlarge their rounding
TWO_PROCESSES: dict[str, tuple[tuple[str, ...], float]] = {
    "pooled": (("--limit-train", "70%"), 1e-5),
    "ad2": (("ad2.init_std=0.01", "ad2.steps=2"), 1e-4),
    "pkd": (("--student", "layers:0,1"), 1e-4),
    "tinybert_kd": (("training.learning_rate=1e-4",), 1e-3),
}


def test_two_processes_give_what_one_gives(name, lab):
    words, most = TWO_PROCESSES.get(name, ((), 1e-5))
    words = ("training.epochs=2", *brief_words(name), *words)
    one, two = (lab.run_on(devices, TOYS.get(name, name), *words) for devices in (1, 2))
    check_two_processes(one, two, most)


def check_two_processes(one, two, most):
    """That two records are equal, their logits to within ``most``."""
    ours, theirs = predictions(one, "dev"), predictions(two, "dev")
    assert [line["id"] for line in theirs] == list(range(25))  # each example once
    assert [line["student"] for line in ours] == [line["student"] for line in theirs]
    networks = [("student_logits", most), ("teacher_logits", 1e-5)]
    for network, limit in networks:
        a, b = (np.array([line[network] for line in lines]) for lines in (ours, theirs))
        assert np.abs(a - b).max() < limit
    first, second = (metrics(folder) for folder in (one, two))
    assert first["student"]["metrics"] == second["student"]["metrics"]
    assert first["selection"] == pytest.approx(second["selection"])
    assert first["training"]["steps"] == second["training"]["steps"]
    for ours, theirs in zip(history(one), history(two), strict=True):  # means over the global batch, not rank 0's
        a, b = ({k: float(v) for k, v in row.items() if v} for row in (ours, theirs))
        assert a == pytest.approx(b, abs=2 * most, rel=1e-3)


@pytest.mark.parametrize("task", [PAIRS, SCORES], ids=["classification", "regression"])
def test_terms_and_metrics_are_in_the_history(name, task, cache, tmp_path):
    module = tiny_method(name, task=task)
    assert module.student.num_outputs == (1 if task is SCORES else 2)
    data = data_of(module, cache, task)
    if task is SCORES and name in LABELS_ALONE:
        with pytest.raises(KdlabError, match="has scores: take"):
            train(module, data, tmp_path)
        return
    fitted = train(module, data, tmp_path)
    rows = history(tmp_path)
    steps = [row for row in rows if row["train/loss"]]
    phases = module.phases()
    lengths = [phase.epochs or 2 for phase in phases]
    batches = module.rows_of(module.config, data.sizes) // data.batch_size
    counts = [module.cycle.steps("student", batches * epochs) for epochs in lengths]
    assert [int(row["step"]) for row in steps] == list(range(1, sum(counts) + 1))
    for number, (phase, count) in enumerate(zip(phases, counts, strict=True)):
        probe = tiny_method(name)
        probe.begin_phase(PhaseContext(phase, TrainingConfig(), count))
        terms = {f"train/{term}" for term in probe.compute_loss(tiny_batch(logits=True)).terms}
        first = sum(counts[:number])
        for row in steps[first : first + count]:
            assert all(math.isfinite(float(row[term])) for term in (*terms, "train/loss", "lr"))
    epochs = [row for row in rows if row[f"val/{task.monitor}"]]
    assert len(epochs) == sum(lengths)
    assert fitted.metric == f"val/{task.monitor}"
    assert fitted.value == max(float(row[fitted.metric]) for row in epochs[-lengths[-1] :])
    assert fitted.steps == sum(counts)
