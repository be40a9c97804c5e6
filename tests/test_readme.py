"""The README's own examples, run as they stand there."""

import re
from pathlib import Path

import pytest
from cli_fixtures import Lab, metrics, open_lab

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    """The fenced block of a language that holds some words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    (found,) = [b for b in blocks if containing in b]
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


def test_it_can_be_read_at_a_sitting():
    assert len(TEXT.splitlines()) <= 200
    assert "@@" not in TEXT


def test_the_method_in_one_file_runs(lab: Lab, tmp_path: Path):
    assert "--method logit_matching.py:LogitMatching --task rte logit_matching.weight=0.8" in TEXT
    file = tmp_path / "logit_matching.py"
    file.write_text(block("python", "class LogitMatching"), encoding="utf-8")
    (folder,) = lab.train(tmp_path / "runs", "logit_matching.weight=0.8", method=f"{file}:LogitMatching")
    assert metrics(folder)["method"] == "logit_matching"
    header = (folder / "history" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/ce", "train/match", "val/accuracy"} <= set(header)


def test_the_task_of_ones_own_runs(lab: Lab, tmp_path: Path):
    (tmp_path / "reviews.yaml").write_text(block("yaml", "name: reviews"), encoding="utf-8")
    for name, count in (("train", 40), ("dev", 12)):
        label = ("1", "positive", "negative", "5")
        lines = [f"the {'man' if i % 2 else 'dog'} sleeps .,{label[i % 4]}" for i in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["body,stars", *lines]) + "\n")
    done = lab.run(
        *("run", "--method", "finetune", "--task", tmp_path / "reviews.yaml", "--teacher", lab.teacher),
        *("--student", "layers:bottom:1", "--out", tmp_path / "runs", "teacher.epochs=1", "training.epochs=1"),
    )
    assert done.code == 0, done.err
    (file,) = (tmp_path / "runs").glob("*/metrics.json")
    assert set(metrics(file.parent)["student"]["metrics"]["dev"]) == {"accuracy", "f1"}


def test_every_command_is_one_that_kdlab_knows(lab: Lab, tmp_path: Path):
    """Every `kdlab run` line plans on embedded data; what is named in it exists."""
    lines = re.findall(r"^kdlab run (.*?)(?:\s{2,}#.*)?$", TEXT, flags=re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        if "--devices" in line:
            continue  # hardware that may not be here
        done = lab.run("run", *line.split(), "--profile", "embedded", "--dry-run", "--out", tmp_path / "runs")
        assert done.code == 0, f"{line}\n{done.err}"


def test_it_runs_with_postponed_annotations_too(lab: Lab, tmp_path: Path):
    """As every file of kdlab has them, and so will a copy of one."""
    file = tmp_path / "logit_matching.py"
    file.write_text("from __future__ import annotations\n\n" + block("python", "class LogitMatching"), encoding="utf-8")
    plan = lab.run(*lab.words(tmp_path, "logit_matching.weight=0.8", "--dry-run", method=f"{file}:LogitMatching"))
    assert plan.code == 0, plan.err
