"""The study of L2A's selector: swapped answers, keeping by chance, and what its program prints."""

from __future__ import annotations

import csv
import signal
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import random_logits, tiny_batch, tiny_method, train, two_domains
from selector_checks import begin

from experiments.l2a import selector
from experiments.l2a.selector import Swapped, against_chance, column, interval, last_of, swapped


@pytest.fixture
def trained(cache, tmp_path: Path):
    module = tiny_method(Swapped, samples=3, head_steps=3)
    train(module, two_domains(cache), tmp_path)
    return module, tmp_path


def test_half_of_the_answers_are_swapped_as_sure_as_they_were(trained):
    module, _ = trained
    size = len(module.pool.split)
    assert int(module.bad.sum()) == size // 2
    theirs, clean = np.asarray(module.pool.split.teacher_logits), random_logits(2)(module.pool.split)
    assert np.array_equal(theirs[~module.bad], clean[~module.bad])
    assert np.array_equal(theirs[module.bad], clean[module.bad][:, ::-1])


def test_what_was_swapped_belongs_to_the_seed(trained, cache, tmp_path: Path):
    module, _ = trained
    for seed, same in ((0, True), (1, False)):
        other = tiny_method(Swapped, samples=3, head_steps=3)
        train(other, two_domains(cache), tmp_path / f"again{seed}", seed=seed)
        assert np.array_equal(module.bad, other.bad) == same


def test_the_history_says_how_many_of_each_are_kept(trained):
    module, folder = trained
    right, wrong = (column(folder, f"train/kept_{name}") for name in ("right", "swapped"))
    assert right
    assert wrong
    with (folder / "history" / "metrics.csv").open() as f:
        rows = [row for row in csv.DictReader(f) if row["train/loss"]]
    assert len(rows) >= len(right)
    assert all(0 <= value <= 1 for value in right + wrong)
    batch = tiny_batch(logits=True)
    module.bad = np.array([True, True, True, False, False, False])
    counts = module._counts(batch, torch.tensor([True, False, False, True, True, False]))
    assert float(counts["kept_right"]) == pytest.approx(2 / 3)
    assert float(counts["kept_swapped"]) == pytest.approx(1 / 3)


def test_the_student_begins_unsure_and_right():
    module, plain = (tiny_method(kind, head_steps=3) for kind in (Swapped, "l2a"))
    batch = tiny_batch()
    before = module.student.classify(batch)
    begin(module)
    assert torch.allclose(module.student.classify(batch), 0.3 * before, atol=1e-6)
    assert torch.equal(plain.student.classify(batch), before)


def test_rates_are_of_the_last_quarter():
    assert last_of([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]) == 7.0
    assert last_of([3.0]) == 3.0


def test_intervals():
    values = [1.0, 2.0, 3.0, 4.0]
    mean, half = interval(values)
    assert mean == 2.5
    assert half == pytest.approx(3.182446 * statistics.stdev(values) / 2)  # t of three degrees of freedom
    assert np.isnan(interval([1.0])[1])


def records(folder: Path, scores: dict[tuple[int, str], float], asked: list):
    """A stand-in of ``run`` whose records say what is kept."""

    def run(settings):
        asked.append(settings)
        here = folder / str(len(asked)) / "history"
        here.mkdir(parents=True)
        here.joinpath("metrics.csv").write_text(
            "train/kept,train/kept_right,train/kept_swapped\n0.2,0.5,0.5\n0.4,0.6,0.2\n"
        )
        return here.parent, scores[settings["seed"], settings.get("l2a.selector", "learned")]

    return run


def test_the_study_of_swapped_answers_prints_each_seed_and_the_interval(monkeypatch, tmp_path: Path, capsys):
    asked: list = []
    monkeypatch.setattr(selector, "run", records(tmp_path, {(s, "learned"): 0.5 for s in range(2)}, asked))
    swapped({"task": "rt"}, 2)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("seed 0: keeps 0.600 of right answers, 0.200 of swapped ones")
    assert said[-2:] == ["difference 0.400 ± 0.000 (95 %, 2 seeds)", "right among the kept: 75 ± 0 %"]
    assert [one["seed"] for one in asked] == [0, 1]


@pytest.mark.parametrize(("gain", "answer"), [(0.1, "reproduced"), (-0.1, "contradicted"), (0.0, "undecided")])
def test_chance_keeps_as_many_as_the_selector(gain: float, answer: str, monkeypatch, tmp_path: Path, capsys):
    scores = {(s, "random"): 0.5 + s / 100 for s in range(6)}
    scores |= {(s, "learned"): 0.5 + s / 100 + gain + (0.01 if s % 2 else -0.01) for s in range(6)}
    asked: list = []
    monkeypatch.setattr(selector, "run", records(tmp_path, scores, asked))
    against_chance({}, 6)
    assert [one.get("l2a.keep_rate") for one in asked] == [None, 0.3] * 6
    said = capsys.readouterr().out
    assert f"selector less chance: {100 * gain:.2f}" in said
    assert f"a selector beats chance: {answer}" in said


def test_words_of_one_study_do_not_go_to_the_other(monkeypatch):
    seen: dict = {}
    monkeypatch.setattr(selector, "swapped", lambda settings, seeds: seen.update(first=settings))
    monkeypatch.setattr(selector, "against_chance", lambda settings, seeds: seen.update(second=settings))
    monkeypatch.setattr("sys.argv", ["selector", "l2a.samples=3", "swapped.unsure=1", "training.epochs=2"])
    assert selector.main() == 0
    assert [("l2a.samples" in one, "swapped.unsure" in one) for one in seen.values()] == [(False, True), (True, False)]
    assert seen["first"]["training.epochs"] == seen["second"]["training.epochs"] == 2


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [(signal.SIGTERM, 143, "kdlab: terminated; "), (signal.SIGINT, 130, "kdlab: interrupted; ")],
)
def test_a_stopped_study_says_what_is_kept(stop, code: int, said: str, monkeypatch, capsys):
    monkeypatch.setattr(selector, "swapped", lambda *_: signal.raise_signal(stop))
    monkeypatch.setattr(selector, "against_chance", lambda *_: pytest.fail("the signal did not arrive"))
    monkeypatch.setattr("sys.argv", ["selector"])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
    try:
        assert selector.main() == code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err.startswith(said + "runs that were finished are kept")
