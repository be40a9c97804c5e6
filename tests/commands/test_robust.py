"""``robust`` from the command line: augmented files, attacks in training, robust teachers, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from cli_fixtures import Lab, metrics, open_lab, write_checkpoint

ROOT = Path(__file__).parents[2]
ONLINE = ("robust.online=deepwordbug", "robust.attacked=.2", "training.batch_size=8")
NEIGHBOURS = {"man": ["woman", "child"], "woman": ["man"], "dog": ["cat"], "cat": ["dog"], "sleeps": ["waits", "runs"]}
OWN_RECIPE = """
from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed
from kdlab.attacks.kit import NEIGHBOURS
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import Greedy
from kdlab.attacks.transformations import TableSwap

class Mine(Recipe):
    needs = (NEIGHBOURS,)

    def build(self, kit):
        return Attack(transformation=TableSwap(kit.neighbours), search=Greedy(), unchangeable=[Changed()])
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resources")
    (folder / "counterfitted_neighbors.json").write_text(json.dumps(NEIGHBOURS))
    (folder / "stop_words.txt").write_text("the\na\n")
    return folder


@pytest.fixture(scope="module")
def new(lab: Lab, resources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two new examples each of 20 of RTE's training rows."""
    out = tmp_path_factory.mktemp("new") / "new.parquet"
    words = ("augment", "--task", "rte", "--data-dir", lab.data, "--teacher", lab.teacher, "--no-teacher")
    asked = ("--with", "embedding", "-n", "2", "--rows", "20", "--workers", "1", "--resources", resources)
    done = lab.run(*words, *asked, "--out", out)
    assert done.code == 0, done.err
    return out


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


def test_append_and_continue(lab: Lab, tmp_path: Path, new: Path):
    rows = pq.read_table(new).num_rows
    asked = (f"augment={new}", "training.epochs=2", "training.batch_size=8")
    plan = lab.run(*lab.words(tmp_path, *asked, "--dry-run", method="robust"))
    assert f"train with {rows} examples of {new} besides (made by embedding of 20 of 58 rows)" in plan.out
    (append,) = lab.train(tmp_path / "append", *asked, method="robust")
    record = metrics(append)
    assert record["training"]["steps"] == 2 * -(-(58 + rows) // 8)
    assert record["augmented"]["rows"] == rows
    assert record["resources"] == {}
    both = ("robust.use=continue", "robust.finetune_epochs=1")
    plan = lab.run(*lab.words(tmp_path, *asked, *both, "--dry-run", method="robust"))
    steps = 8 + 2 * -(-rows // 8)
    assert plan.field("training").startswith(f"{steps} steps: 1 epochs of finetune and 2 epochs of augmented")
    (folder,) = lab.train(tmp_path / "continue", *asked, *both, method="robust")
    assert metrics(folder)["training"]["steps"] == steps
    (alone,) = lab.train(tmp_path / "alone", *asked, "robust.use=continue", "robust.finetune_epochs=0", method="robust")
    assert metrics(alone)["training"]["steps"] == steps - 8


def test_a_student_is_attacked_in_training(lab: Lab, tmp_path: Path, resources: Path):
    named = (*ONLINE, f"robust.resources={resources}", "robust.alpha=.5", "training.epochs=2")
    plan = lab.run(*lab.words(tmp_path, *named, "--dry-run", method="robust"))
    assert plan.field("attacked") == "20 % of train's own rows, drawn anew before each epoch"
    assert plan.field("recipe").startswith("deepwordbug with stop words of stop_words.txt, fingerprint ")
    (folder,) = lab.train(tmp_path / "runs", *named, method="robust")
    record = metrics(folder)
    assert record["training"]["steps"] == 2 * -(-(58 + 12) // 8)
    recipe = record["resources"]["recipe"]
    assert recipe["recipe"] == "deepwordbug"
    assert [one["kind"] for one in recipe["resources"]] == ["stop words"]
    assert record["substituted"] == []
    assert len([row for row in history(folder) if row["train/right"]]) == 2
    assert {"train/ce", "train/kd"} <= history(folder)[0].keys()
    again = lab.run(*lab.words(tmp_path / "runs", *named, method="robust"))
    assert "is finished already" in again.out


def test_a_record_knows_what_was_attacked_with(lab: Lab, tmp_path: Path, resources: Path):
    def folder(*more: object) -> str:
        done = lab.run(*lab.words(tmp_path, *ONLINE, *more, "--dry-run", method="robust"))
        assert done.code == 0, done.err
        return Path(done.field("records")).name

    named = folder(f"robust.resources={resources}")
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "stop_words.txt").write_text("the\na\n")
    assert folder(f"robust.resources={moved}") == named  # what counts is what is in it
    assert folder(f"robust.resources={moved}", "robust.show=0") == named
    (moved / "stop_words.txt").write_text("the\n")
    others = [folder(f"robust.resources={moved}"), folder(), folder("robust.online=pruthi"), folder("robust.alpha=.1")]
    assert len({named, *others}) == 5
    done = lab.run(*lab.words(tmp_path, *ONLINE, "--dry-run", method="robust"))
    assert (
        "SUBSTITUTED: stop words: kdlab's own list, for stop_words.txt (no --resources folder)" in done.out + done.err
    )


def test_a_recipe_of_ones_own(lab: Lab, tmp_path: Path, resources: Path):
    file = tmp_path / "mine.py"
    file.write_text(OWN_RECIPE)
    named = (
        "training.batch_size=8",
        "robust.attacked=1",
        f"robust.online={file}:Mine",
        f"robust.resources={resources}",
    )
    (folder,) = lab.train(tmp_path / "runs", *named, method="robust")
    assert [one["kind"] for one in metrics(folder)["resources"]["recipe"]["resources"]] == ["neighbours"]
    assert next(float(row["train/fooled"]) for row in history(folder) if row["train/fooled"]) > 0
    lines = [json.loads(line) for line in (folder / "augmented.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        for old, made in zip(line["original"].split(), line["generated"].split(), strict=True):
            assert made == old or made in NEIGHBOURS[old]
    file.write_text(OWN_RECIPE.replace("Changed()", "Changed(), *kit.sides"))
    done = lab.run(*lab.words(tmp_path / "runs", *named, "--dry-run", method="robust"))
    assert Path(done.field("records")).name != folder.name


def test_a_robust_teacher_is_distilled(lab: Lab, tmp_path: Path):
    more = ("teacher.method=robust", "robust.online=deepwordbug", "robust.attacked=.1", "teacher.batch_size=8")
    (folder,) = lab.train(tmp_path, *more)
    plain = lab.run(*lab.words(tmp_path, "--dry-run")).field("teacher")
    robust = lab.run(*lab.words(tmp_path, *more, "--dry-run")).field("teacher")
    assert metrics(folder)["fingerprints"]["teacher"][:12] in robust
    assert metrics(folder)["fingerprints"]["teacher"][:12] not in plain
    done = lab.run(*lab.words(tmp_path, *more, "robust.alpha=.5"))
    assert "teacher.method=robust asks for a teacher itself" in done.sentence


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "robust.use=append trains on augmented examples, and there are none: give a file of kdlab augment by"),
        (("robust.use=continue",), "robust.use=continue trains on augmented examples, and there are none"),
        (("robust.use=mix",), "There is no robust.use of the name 'mix'"),
        (("robust.online=deepwordbag",), "There is no recipe 'deepwordbag': did you mean deepwordbug?"),
        (("robust.online=textfooler",), "robust.online=textfooler: the recipe needs a sentence encoder, and in"),
        (("robust.online=bae",), "robust.online=bae: the recipe needs a masked LM, and in training nobody answers but"),
        (("robust.online=pruthi", "--task", "stsb"), "robust.online=pruthi attacks labels, and stsb has scores"),
        (("robust.online=pruthi", "robust.attacked=0"), "robust.attacked is 0.0: it must be positive"),
        (("robust.online=pruthi", "robust.attacked=much"), "robust.attacked=much has the wrong type"),
        (("robust.online=pruthi", "robust.resources=/nowhere"), "There is no folder /nowhere"),
        (("robust.attacked=.5",), "robust.attacked=0.5 is about attacks in training, and no recipe is named"),
        (("robust.finetune_epochs=2",), "robust.finetune_epochs=2: robust.use=append fine-tunes nobody"),
        (("robust.alpha=3",), "robust.alpha is 3.0: it must lie in [0, 1]"),
        (("robust.onlin=pruthi",), "There is no setting 'robust.onlin': did you mean robust.online"),
    ],
)
def test_what_is_wrong_is_said(lab: Lab, tmp_path: Path, words: tuple[str, ...], said: str):
    done = lab.run(*lab.words(tmp_path / "out", *words, method="robust"))
    assert said in done.sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["append", "continue", "online", "distilled"])
def test_the_studys_settings_are_files(lab: Lab, tmp_path: Path, name: str):
    file = ROOT / "experiments" / "robust" / f"{name}.yaml"
    here = ("--data-dir", lab.data, "--teacher", write_checkpoint(tmp_path / "six", layers=6), "--out", tmp_path)
    student = () if name == "distilled" else ("--student", lab.teacher)
    if name in ("append", "continue"):
        new = tmp_path / "new.parquet"
        asked = ("--with", "wordnet", "-n", "2", "--rows", "20", "--workers", "1", "--no-teacher", "--out", new)
        made = lab.run("augment", "--task", "sst2", "--profile", "paper", *here[:4], *asked, "data.max_length=48")
        assert made.code == 0, made.err
        student = (*student, f"augment={new}")
    done = lab.run("run", "--config", file, *here, *student, "data.max_length=48", "--print-config")
    assert done.code == 0, done.err
    settings = yaml.safe_load(done.out)
    study = {"batch_size": 64, "epochs": 10, "learning_rate": 2e-5, "weight_decay": 0.0}
    if name == "distilled":
        study = {"batch_size": 128, "epochs": 7, "learning_rate": 6e-5, "weight_decay": 0.0}
        assert settings["student"]["source"] == "layers:0,2,4"
        assert settings["robust"]["scale_t2"] is False
    assert {key: settings["training"][key] for key in study} == study
    assert settings["robust"]["use"] == ("continue" if name == "continue" else "append")
    assert settings["robust"]["online"] == ("deepwordbug" if name in ("online", "distilled") else None)
    assert settings["robust"]["alpha"] == (0.5 if name == "distilled" else 0.0)
