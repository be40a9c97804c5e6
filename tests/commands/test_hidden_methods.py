"""``ad2``, ``pkd`` and ``tinybert_kd`` from the command line, and the tables that the grid runner makes of them."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from cli_fixtures import Lab, metrics, open_lab, write_checkpoint

from experiments.ad2 import gap as ad2_gap
from experiments.cilda import attack as cilda_attack
from kdlab.methods import load_method
from kdlab.studies.grid import main, read_grid, show

ROOT = Path(__file__).parents[2]
GRIDS = [*sorted((ROOT / "experiments" / "ad2").glob("*.yaml")), ROOT / "experiments" / "methods.yaml"]


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


@pytest.mark.parametrize("file", GRIDS, ids=lambda file: file.stem)
def test_every_cell_of_a_table_is_a_configuration(file: Path):
    cells, paper = read_grid(file, ["profile=embedded"])
    assert set(paper) in (set(), set(cells))
    known = {"task", "profile", "method", "student.source", "teacher.source"}
    for settings in cells.values():
        method = settings["method"]
        own = {key.removeprefix(f"{method}.") for key in set(settings) - known}
        assert own <= set(vars(load_method(method).Config()))
        assert not any("{" in str(value) for value in settings.values())


def test_words_go_over_cells_or_fill_them(tmp_path: Path):
    cells, _ = read_grid(ROOT / "experiments" / "ad2" / "initialisation.yaml", ["donor=some/name", "seeds=3"])
    assert cells["top"]["student.source"] == "some/name:layers:top:2"
    assert all(settings["seeds"] == 3 for settings in cells.values())
    for content in ("cells: {}\n", "cels: {a: {}}\n", "- a\n"):
        (tmp_path / "x.yaml").write_text(content)
        with pytest.raises(SystemExit, match="must hold 'cells'"):
            read_grid(tmp_path / "x.yaml", [])
    for content, said in (
        ("cells: [a, b]\n", "'cells' must hold settings"),
        ("cells: {a: 3}\n", "'a' must hold settings"),
        ("cells: {a: {x: '{donr}'}}\nfill: {donor: b}\n", "cell 'a' has a .* it has donor"),
        ("cells: {a: [\n", "can't be read"),
    ):
        (tmp_path / "x.yaml").write_text(content)
        with pytest.raises(SystemExit, match=said):
            read_grid(tmp_path / "x.yaml", [])
    with pytest.raises(SystemExit, match="can't be read"):
        read_grid(tmp_path / "nothing.yaml", [])
    with pytest.raises(SystemExit, match="'seeds' is no key=value"):
        read_grid(GRIDS[0], ["seeds"])


def test_a_table_is_run_and_printed(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    small = {"data.dir": str(lab.data), "teacher.source": str(lab.teacher), "out": str(tmp_path), "accelerator": "cpu"}
    small |= {"teacher.epochs": 1, "training.epochs": 1, "student.source": "layers:0,1", "precision": "32"}
    words = [f"{key}={value}" for key, value in small.items()]
    monkeypatch.setattr("sys.argv", ["grid", str(ROOT / "experiments" / "ad2" / "ablations.yaml"), *words])
    monkeypatch.setenv("KDLAB_CACHE", str(lab.cache))
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()[-5:]
    assert [line.split("|")[1].strip() for line in lines[1:]] == ["AD²", "-DKD", "-KD", "-AD"]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    monkeypatch.setattr("sys.argv", ["grid", str(GRIDS[0]), "ad2.stepz=1"])
    assert main() == 2
    assert "did you mean ad2.steps" in capsys.readouterr().err


def test_the_table_says_mean_deviation_teacher_and_stamp():
    def record(value: float, embedded: bool, distance: float | None = None) -> dict:
        teacher = None
        if distance is not None:
            teacher = {"source": "bert", "metrics": {"dev": {"accuracy": 0.9}}}
        return {
            "student": {"metrics": {"dev": {"accuracy": value}}},
            "teacher": teacher,
            "divergence": None if distance is None else {"dev": {"kl": distance, "mse": 1.0}},
            "fingerprints": {"teacher": None if distance is None else "0123456789"},
            "training": {"seconds": 2.0},
            "source": {"embedded": embedded},
        }

    results = {"a": [record(0.5, False), record(0.7, False)], "b": [record(0.25, True)]}
    table = show(results, {"b": 30.1})
    assert "| a | 60.0 ± 14.1 | 2 | 2 |  |" in table
    assert "| b | 25.0 | 1 | 2 | 30.1 |" in table
    assert "teacher" not in table
    assert table.endswith("a paper's figures are GLUE's.")
    results["c"] = [record(0.8, False, 0.1), record(0.8, False, 0.2)]
    lines = show(results, {}).splitlines()
    assert lines[0] == "| cell | dev accuracy | dev KL | n | s |"
    assert lines[2] == "| teacher bert (012345) | 90.0 |  |  |  |"
    assert lines[-3] == "| c | 80.0 ± 0.0 | 0.150 ± 0.071 | 2 | 2 |"


def test_the_last_cell_is_checked_before_the_first_is_trained(lab: Lab, tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "two.yaml").write_text(
        "common: {task: rte}\ncells:\n  a: {method: kd}\n  b: {method: kd, kd.alpha: 2}\n"
    )
    words = [f"data.dir={lab.data}", f"teacher.source={lab.teacher}", f"out={tmp_path / 'out'}", "accelerator=cpu"]
    monkeypatch.setattr("sys.argv", ["grid", str(tmp_path / "two.yaml"), *words, "student.source=layers:0"])
    monkeypatch.setenv("KDLAB_CACHE", str(lab.cache))
    assert main() == 2
    assert "kd.alpha is 2" in capsys.readouterr().err
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
