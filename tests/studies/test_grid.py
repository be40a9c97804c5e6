"""Tables as files: read, run and printed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cli_fixtures import Lab, open_lab
from helpers import tiny_record

from kdlab.errors import KdlabError
from kdlab.methods import load_method
from kdlab.results.run_record import (
    Fingerprints,
    RunRecord,
    SourceRecord,
    StudentRecord,
    TeacherRecord,
    TrainingRecord,
)
from kdlab.studies.grid import read_grid, show

ROOT = Path(__file__).parents[2]
GRIDS = [*sorted((ROOT / "experiments" / "ad2").glob("*.yaml")), ROOT / "experiments" / "methods.yaml"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.mark.parametrize("file", GRIDS, ids=lambda file: file.stem)
def test_every_cell_of_a_table_is_a_configuration(file: Path):
    cells, paper = read_grid(file, {"profile": "embedded"})
    assert set(paper) in (set(), set(cells))
    known = {"task", "profile", "method", "student.source", "teacher.source"}
    for settings in cells.values():
        method = settings["method"]
        own = {key.removeprefix(f"{method}.") for key in set(settings) - known}
        assert own <= set(vars(load_method(method).Config()))
        assert not any("{" in str(value) for value in settings.values())


def test_words_go_over_cells_or_fill_them(tmp_path: Path):
    cells, _ = read_grid(ROOT / "experiments" / "ad2" / "initialisation.yaml", {"donor": "some/name", "seeds": 3})
    assert cells["top"]["student.source"] == "some/name:layers:top:2"
    assert all(settings["seeds"] == 3 for settings in cells.values())
    for content in ("cells: {}\n", "cels: {a: {}}\n", "- a\n"):
        (tmp_path / "x.yaml").write_text(content)
        with pytest.raises(KdlabError, match="must hold 'cells'"):
            read_grid(tmp_path / "x.yaml", {})
    for content, said in (
        ("cells: [a, b]\n", "'cells' must hold settings"),
        ("cells: {a: 3}\n", "'a' must hold settings"),
        ("cells: {a: {x: '{donr}'}}\nfill: {donor: b}\n", "cell 'a' has a .* it has donor"),
        ("cells: {a: [\n", "not valid YAML"),
    ):
        (tmp_path / "x.yaml").write_text(content)
        with pytest.raises(KdlabError, match=said):
            read_grid(tmp_path / "x.yaml", {})
    with pytest.raises(KdlabError, match="can't be read"):
        read_grid(tmp_path / "nothing.yaml", {})


def test_a_table_is_run_and_printed(lab: Lab, tmp_path: Path):
    small = {"data.dir": str(lab.data), "teacher.source": str(lab.teacher), "out": str(tmp_path), "accelerator": "cpu"}
    small |= {"teacher.epochs": 1, "training.epochs": 1, "student.source": "layers:0,1", "precision": "32"}
    words = [f"{key}={value}" for key, value in small.items()]
    done = lab.run("experiment", ROOT / "experiments" / "ad2" / "ablations.yaml", *words)
    assert done.code == 0, done.err
    lines = done.out.splitlines()[-5:]
    assert [line.split("|")[1].strip() for line in lines[1:]] == ["AD²", "-DKD", "-KD", "-AD"]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "did you mean ad2.steps" in lab.run("experiment", GRIDS[0], "ad2.stepz=1").sentence
    assert "'seeds' is neither a flag nor key=value" in lab.run("experiment", GRIDS[0], "seeds").sentence


def test_the_table_says_mean_deviation_teacher_and_stamp():
    def record(value: float, embedded: bool, distance: float | None = None) -> RunRecord:
        taught = distance is not None
        return dataclasses.replace(
            tiny_record(),
            student=StudentRecord("layers", 1, 1.0, {"dev": {"accuracy": value}}),
            teacher=TeacherRecord("bert", "used as it is", 1, 1.0, {"dev": {"accuracy": 0.9}}) if taught else None,
            divergence={"dev": {"kl": distance, "mse": 1.0}} if taught else None,
            fingerprints=Fingerprints("run", "data", "0123456789" if taught else None, "tokenizer"),
            training=TrainingRecord(1, 1, 2.0),
            source=SourceRecord("local", "here", embedded),
        )

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


def test_the_last_cell_is_checked_before_the_first_is_trained(lab: Lab, tmp_path: Path):
    (tmp_path / "two.yaml").write_text(
        "common: {task: rte}\ncells:\n  a: {method: kd}\n  b: {method: kd, kd.alpha: 2}\n"
    )
    words = [f"data.dir={lab.data}", f"teacher.source={lab.teacher}", f"out={tmp_path / 'out'}", "accelerator=cpu"]
    assert "kd.alpha is 2" in lab.run("experiment", tmp_path / "two.yaml", *words, "student.source=layers:0").sentence
    assert not (tmp_path / "out").exists()


def test_cells_of_several_tasks_stand_in_one_table(tmp_path: Path):
    other = StudentRecord("layers", 1, 1.0, {"dev": {"f1": 0.5}, "dev_mm": {"accuracy": 0.25}})
    table = show(
        {"1": [tiny_record()], "b": [dataclasses.replace(tiny_record(), student=other)]}, {"1": 2}
    ).splitlines()
    assert table[0] == "| cell | dev accuracy | dev f1 | dev_mm accuracy | n | s | paper |"
    assert table[2:] == ["| 1 | 50.0 |  |  | 1 | 0 | 2 |", "| b |  | 50.0 | 25.0 | 1 | 0 |  |"]


def test_cells_may_be_numbers(tmp_path: Path):
    (tmp_path / "x.yaml").write_text("cells: {1: {method: kd}, null: {seed: 2}}\npaper: {1: 40.5}\n")
    cells, paper = read_grid(tmp_path / "x.yaml", {})
    assert list(cells) == ["1", "None"]
    assert paper == {"1": 40.5}


def test_what_is_wrong_with_a_cell_names_the_cell(lab: Lab, tmp_path: Path):
    (tmp_path / "x.yaml").write_text("cells: {good: {method: kd}, bad: {method: kdd}}\n")
    assert lab.run("experiment", tmp_path / "x.yaml").sentence.startswith("Cell 'bad': There is no method 'kdd'")
    (tmp_path / "x.yaml").write_text("cells: {a: {x: '{d.y}'}}\nfill: {d: 1}\n")
    assert "cell 'a' has a {…} that 'fill' does not" in lab.run("experiment", tmp_path / "x.yaml").sentence
    assert f"{tmp_path} is a folder, not a file" in lab.run("experiment", tmp_path).sentence
    assert lab.run("experiment").sentence == "The following arguments are required: FILE: see kdlab experiment --help."
