"""``ad2``, ``pkd`` and ``tinybert_kd`` from the command line, and the programs of ``experiments/``."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from cli_fixtures import Lab, metrics, open_lab, write_checkpoint

from experiments.ad2 import gap as ad2_gap
from experiments.cilda import attack as cilda_attack

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


def section(lab: Lab, tmp_path: Path, *words: object) -> dict:
    """What ``--print-config`` says of ad2, and of the run."""
    done = lab.run(*lab.words(tmp_path, *words, "--print-config", method="ad2"))
    assert done.code == 0, done.err
    return yaml.safe_load(done.out)


def test_records_show_what_a_preset_filled_in(lab: Lab, tmp_path: Path):
    found = section(lab, tmp_path)["ad2"]
    assert found["preset"] == "effective"
    assert found["epsilon"] >= 0.03
    paper = section(lab, tmp_path, "ad2.preset=paper", "ad2.steps=2")["ad2"]
    assert [paper[key] for key in ("steps", "step_size", "epsilon", "norm", "init_std")] == [2, 1e-3, 1e-5, "l2", 0.0]
    file = tmp_path / "again.yaml"
    file.write_text(yaml.safe_dump({"ad2": paper}))
    assert section(lab, tmp_path, "--config", file)["ad2"] == paper
    assert section(lab, tmp_path, "ad2.kd=false")["ad2"]["deep_kd"] is False


def test_the_papers_settings_stand_under_its_profile(lab: Lab, tmp_path: Path):
    words = ["run", "--method", "ad2", "--profile", "paper", "--data-dir", lab.data, "--teacher", lab.teacher]
    words += ["--student", "layers:0,1", "--out", tmp_path, "--accelerator", "cpu", "--print-config"]
    refused = lab.run(*words)
    assert "data.max_length=512, but the encoder has positions for 48 tokens" in refused.sentence
    found = yaml.safe_load(lab.run(*words, "data.max_length=48", "ad2.epsilon=0.2").out)
    assert (found["training"]["epochs"], found["training"]["warmup"], found["training"]["clip"]) == (6, 0.1, 1.0)
    assert (found["ad2"]["preset"], found["ad2"]["step_size"], found["ad2"]["epsilon"]) == ("paper", 1e-3, 0.2)
    assert found["data"]["selection"] == "dev"


@pytest.mark.parametrize(
    ("method", "words", "terms"),
    [
        ("ad2", ["ad2.layer_map=[[1,1],[3,2]]"], {"kd", "ada", "features_adv", "attention_adv", "gap", "delta_norm"}),
        ("ad2", ["ad2.deep_kd=false", "--precision=bf16", "ad2.measure_random=true"], {"gap", "gap_random", "gain"}),
        ("pkd", ["pkd.layer_map=last"], {"ce", "kd", "pt"}),
        ("tinybert_kd", ["tinybert_kd.layer_epochs=2"], {"hidden", "attention", "kd"}),
    ],
)
def test_a_run_logs_every_term(lab: Lab, tmp_path: Path, method: str, words: list[str], terms: set[str]):
    (folder,) = lab.train(tmp_path, "--student", "layers:0,1", *words, method=method)
    with (folder / "history" / "metrics.csv").open() as f:
        rows = list(csv.DictReader(f))
    for term in terms:
        assert any(row[f"train/{term}"] for row in rows), term
    assert metrics(folder)["method"] == method


def test_without_kd_no_teacher_is_made(lab: Lab, tmp_path: Path):
    student = write_checkpoint(tmp_path / "student", layers=2, seed=1)
    words = lab.words(tmp_path / "out", "--student", student, "ad2.kd=false", "--dry-run", method="ad2")
    assert lab.run(*words).field("teacher") == "not needed"
    words = lab.words(tmp_path / "out", "--student", student, "--dry-run", method="ad2")
    assert "parameters" in lab.run(*words).field("teacher")


@pytest.mark.parametrize("method", ["pkd", "tinybert_kd", "ad2"])
def test_a_donors_first_four_layers(lab: Lab, tmp_path: Path, method: str):
    donor = write_checkpoint(tmp_path / "donor", layers=6, seed=1)
    (folder,) = lab.train(tmp_path / "out", "--student", f"{donor}:layers:bottom:4", method=method)
    assert metrics(folder)["student"]["made_of"] == f"layers 0, 1, 2, 3 of {donor}"
    assert json.loads((folder / "student" / "config.json").read_text())["num_hidden_layers"] == 4


def test_heads_that_differ_are_refused_before_training(lab: Lab, tmp_path: Path):
    student = write_checkpoint(tmp_path / "student", layers=2, seed=1)
    config = json.loads((student / "config.json").read_text())
    (student / "config.json").write_text(json.dumps({**config, "num_attention_heads": 4}))
    for method in ("ad2", "tinybert_kd"):
        sentence = lab.run(*lab.words(tmp_path / "out", "--student", student, method=method)).sentence
        assert "(2, T, T) in the teacher and (4, T, T) in the student" in sentence
        assert f"set {method}.attention=relations" in sentence
        fits = lab.words(tmp_path / "out", "--student", student, f"{method}.attention=relations", "--dry-run")
        assert lab.run(*fits, "--method", method).code == 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("program", "words", "said"),
    [
        (ad2_gap, ["--choices", "paperr"], "There is no ad2.preset of the name 'paperr'"),
        (ad2_gap, ["--choices", "paper", "seeds=2"], "seeds: the gap is that of one run"),
        (cilda_attack, ["--task", "nosuch"], "There is no task 'nosuch'"),
    ],
)
def test_mistakes_in_experiments_are_sentences(program, words: list[str], said: str, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["program", *words])
    assert program.main() == 2
    assert said in capsys.readouterr().err
