"""What a run computes, and what it takes from the cache or from what it has just computed."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import yaml
from cli_fixtures import Lab, metrics, open_lab, predictions

import kdlab.pipeline.execute
from kdlab.methods.base import DistillModule
from kdlab.models.encoder import TextEncoder
from kdlab.pipeline import context


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Folders of this file's own, whose cache its first run fills."""
    return open_lab(tmp_path_factory)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool, int]]:
    """Every forward pass: layers of the encoder, whether it was in train mode, rows."""
    seen: list[tuple[int, bool, int]] = []
    plain = TextEncoder.forward

    def forward(self, *args, **kwargs):
        output = plain(self, *args, **kwargs)
        seen.append((len(self.encoder_layers()), self.training, len(output.logits)))
        return output

    monkeypatch.setattr(TextEncoder, "forward", forward)
    return seen


def of_teacher(passes: list[tuple[int, bool, int]]) -> int:
    return sum(layers == 3 for layers, _, _ in passes)


def test_a_second_student_of_one_teacher_asks_it_nothing(lab: Lab, tmp_path: Path, passes) -> None:
    first = lab.run(*lab.words(tmp_path, "--seed", 0, "teacher.seed=5"))
    assert "its answers" not in first.out
    assert of_teacher(passes) > 0
    passes.clear()
    second = lab.run(*lab.words(tmp_path, "--seed", 1, "teacher.seed=5"))
    assert second.code == 0, second.err
    assert of_teacher(passes) == 0
    assert "its answers on train, dev, test are in the cache\n" in second.out
    records = {metrics(folder.parent)["seed"]: metrics(folder.parent) for folder in tmp_path.glob("*/metrics.json")}
    assert records[1]["teacher"]["answers_from_cache"] == ["train", "dev", "test"]
    assert records[0]["teacher"]["answers_from_cache"] == []
    assert records[1]["teacher"]["metrics"] == records[0]["teacher"]["metrics"]
    assert records[1]["teacher"]["samples_per_second"] == records[0]["teacher"]["samples_per_second"] > 0


def test_in_a_table_of_twelve_cells_the_teacher_answers_before_the_first_student_alone(
    lab: Lab, tmp_path: Path, passes
) -> None:
    cells = {f"t{t} a{a}": {"kd.temperature": t, "kd.alpha": a} for t in (1, 2, 4, 8) for a in (0, 0.5, 1)}
    (tmp_path / "table.yaml").write_text(yaml.safe_dump({"common": {"method": "kd", "task": "rte"}, "cells": cells}))
    small = {"data.dir": lab.data, "teacher.source": lab.teacher, "student.source": "layers:bottom:1", "precision": 32}
    small |= {"teacher.epochs": 1, "teacher.seed": 6, "training.max_steps": 2, "accelerator": "cpu"}
    words = [f"{key}={value}" for key, value in small.items()]
    done = lab.run("experiment", tmp_path / "table.yaml", *words, f"out={tmp_path / 'runs'}")
    assert done.code == 0, done.err
    layers = [layers for layers, _, _ in passes]
    assert 3 in layers
    assert 3 not in layers[layers.index(1) :]
    known = [
        metrics(file.parent)["teacher"]["answers_from_cache"] for file in (tmp_path / "runs").glob("*/metrics.json")
    ]
    assert sorted(known) == [[], *[["train", "dev", "test"]] * 11]


def test_a_teacher_that_is_used_as_it_is_is_tried_before_its_first_answers_alone(lab: Lab, tmp_path, passes) -> None:
    (run,) = lab.train(tmp_path / "first")
    words = ["--teacher", run / "student", "--student", lab.teacher]
    passes.clear()
    lab.train(tmp_path / "runs", *words)
    on_trial = [rows for layers, training, rows in passes if (layers, training, rows) == (1, False, 1)]
    assert len(on_trial) >= 4
    passes.clear()
    lab.train(tmp_path / "runs", *words, "--seed", 1)
    assert [entry for entry in passes if entry[0] == 1] == []


def test_an_epoch_that_dev_chose_has_answered_dev(lab: Lab, tmp_path: Path, passes) -> None:
    (by_holdout,) = lab.train(tmp_path / "holdout", method="finetune")
    asked = sum(rows for _, training, rows in passes if not training)
    passes.clear()
    (by_dev,) = lab.train(tmp_path / "dev", "data.selection=dev", method="finetune")
    record = metrics(by_dev)
    dev = len(predictions(by_dev, "dev"))
    teacher_and_validation = asked - dev - len(predictions(by_holdout, "test"))
    assert record["selection"]["split"] == "dev"
    assert teacher_and_validation > 0
    own = [rows for layers, training, rows in passes if layers == 1 and not training]
    on_train = record["training"]["examples"]
    assert sum(own) == dev + len(predictions(by_dev, "test")) + on_train  # one epoch, and dev is not asked again
    assert record["student"]["samples_per_second"] > 0


@pytest.mark.parametrize(("precision", "times"), [("32", 1), ("bf16", 2)])
def test_answers_in_another_precision_are_no_record(lab: Lab, tmp_path: Path, passes, precision, times) -> None:
    words = ["data.selection=dev", "--precision", precision, "--student", lab.teacher]
    (run,) = lab.train(tmp_path, *words, method="finetune")
    asked = sum(rows for _, training, rows in passes if not training)
    asked -= metrics(run)["training"]["examples"]
    assert asked == times * len(predictions(run, "dev")) + len(predictions(run, "test"))


def test_the_record_says_what_each_part_cost(lab: Lab, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(context, "ON_TRAIN", 20)
    (first,), (again,) = (lab.train(tmp_path / name, "--seed", 3, "teacher.seed=7") for name in ("one", "two"))
    record, later = metrics(first), metrics(again)
    assert set(record["cost"]) == {"teacher", "answers", "training", "evaluation"}
    for spent in record["cost"].values():
        assert 0 < spent["seconds"] < 60
        assert 0 <= spent["cpu_seconds"] < 60
    assert record["cost"]["training"]["seconds"] == pytest.approx(record["training"]["seconds"], abs=0.01)
    assert later["cost"]["teacher"] == record["cost"]["teacher"]  # of the training that made it
    assert later["cost"]["answers"] == record["cost"]["answers"]
    assert 50 < record["memory"]["process"] < 20_000
    assert record["training"]["examples"] == 20
    assert 0 <= record["training"]["metrics"]["accuracy"] <= 1
    assert later["training"]["metrics"] == record["training"]["metrics"]


def test_without_a_teacher_there_is_none_to_pay_for(lab: Lab, tmp_path: Path) -> None:
    done = lab.run(*lab.words(tmp_path, "--student", lab.teacher, method="finetune"))
    (file,) = tmp_path.glob("*/metrics.json")
    assert set(metrics(file.parent)["cost"]) == {"training", "evaluation"}
    assert metrics(file.parent)["training"]["examples"] == 58  # all that are trained on
    assert "On 58 rows of train: accuracy" in done.out


def test_a_run_leaves_nothing_of_the_runs_before_it(lab: Lab, tmp_path: Path):
    """Students, optimisers and trainers of a grid must not gather in its process."""
    alive: list[int] = []
    build = kdlab.pipeline.execute._build

    def counted(context, seed):
        alive.append(sum(isinstance(one, DistillModule) for one in gc.get_objects()))
        return build(context, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kdlab.pipeline.execute, "_build", counted)
        lab.train(tmp_path, "--seeds", "4", "training.max_steps=2")
    assert len(alive) == 4
    assert alive[3] <= alive[1], f"modules alive before each run: {alive}"
