"""The divergence of student and teacher in every record, and the table and picture over methods."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from cli_fixtures import Lab, metrics, open_lab, predictions
from ood_fixtures import SETS, open_runs

from kdlab.cli import main


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def runs(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    return open_runs(lab, tmp_path_factory)


@pytest.mark.parametrize("task", [*SETS, "stsb"])
def test_divergence_follows_from_the_predictions(runs: dict[str, Path], task: str):
    by_split = metrics(runs[task])["divergence"]
    assert set(by_split) == set(metrics(runs[task])["student"]["metrics"])  # both dev sets of MNLI
    for split, figures in by_split.items():
        lines = predictions(runs[task], split)
        ours, theirs = (torch.tensor([line[f"{who}_logits"] for line in lines]) for who in ("student", "teacher"))
        assert figures["mse"] == pytest.approx(float((ours - theirs).square().mean()), rel=1e-4, abs=1e-6)
        assert ("kl" in figures) == (task != "stsb")
        if "kl" in figures:
            p, q = theirs.softmax(-1), ours.softmax(-1)
            assert figures["kl"] == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-3, abs=1e-6)


def test_without_a_teacher_there_is_none(lab: Lab, tmp_path: Path):
    words = ("--student", lab.teacher, "--seed", 3)
    (folder,) = lab.train(tmp_path, *words, method="finetune")
    assert metrics(folder)["teacher"] is None
    assert metrics(folder)["divergence"] is None


def test_the_figure_over_methods(runs: dict[str, Path], lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture):
    (other,) = lab.train(tmp_path / "runs", method="mixkd")
    old = Path(shutil.copytree(runs["rte"], tmp_path / "old"))
    figures = metrics(old)
    kl = figures.pop("divergence")["dev"]["kl"]
    (old / "metrics.json").write_text(json.dumps({**figures, "seed": 7}))  # a record made before there was any
    folders = [str(f) for f in (runs["rte"], old, other, runs["mnli"], runs["stsb"])]
    assert main(["divergence", *folders, "--figure", str(tmp_path / "figure.svg")]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows[1:6]] == [
        ["rte", "kd", "0,7"],
        ["rte", "mixkd", "0"],
        ["mnli", "kd", "0"],
        ["mnli dev_mm", "kd", "0"],
        ["stsb", "kd", "0"],
    ]
    assert float(rows[1][3]) == pytest.approx(kl, rel=1e-4)
    assert rows[5][3] == "–"
    picture = (tmp_path / "figure.svg").read_text()
    assert all(f">{word}</text>" in picture for word in ("kd", "mixkd", "mnli dev_mm"))
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        assert main(["divergence", *folders, "--figure", str(tmp_path / f"figure{suffix}")]) == 0
        written = (tmp_path / f"figure{suffix}").read_bytes()
        assert written.startswith(start)
        assert main(["divergence", *folders, "--figure", str(tmp_path / f"again{suffix}")]) == 0
        assert (tmp_path / f"again{suffix}").read_bytes() == written
    capsys.readouterr()
    assert main(["divergence", *folders, "--figure", str(tmp_path / "figure.jpeg")]) == 2
    assert "the suffix says what is written: .png, .svg, .pdf" in capsys.readouterr().err
    assert main(["divergence", str(tmp_path)]) == 2
    stderr = capsys.readouterr().err
    assert "is no finished run" in stderr
    assert "None of these is a finished run" in stderr


def test_what_differs_in_more_than_the_seed_is_not_averaged(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "runs"
    lab.train(out, "--seeds", 2)
    lab.train(out, "--seed", 2, "kd.alpha=0.7")
    done = lab.run(*lab.words(out, "--fresh"))  # keeps what was there beside it, under NAME.1
    assert done.code == 0, done.err
    (out / "unfinished").mkdir()
    (out / "other").mkdir()
    (out / "other" / "metrics.json").write_text("[1]")
    assert main(["divergence", *sorted(map(str, out.iterdir()))]) == 0
    shown = capsys.readouterr()
    rows = [line.split("\t")[1:3] for line in shown.out.splitlines()[1:]]
    assert sorted(seeds for _, seeds in rows) == ["0,1", "2"]
    assert len({method for method, _ in rows}) == 2
    assert all(method.startswith("kd ") for method, _ in rows)
    assert shown.err.count("repeats seed 0 of kd on rte and is left out") == 1
    assert shown.err.count("unfinished is no finished run") == 1
    assert shown.err.count("other/metrics.json is no record of kdlab's") == 1


@pytest.mark.parametrize("lines", ["", "[1, 2]", '{"student_logits": [1, 2], "teacher_logits": [1]}', "{}", "{"])
def test_predictions_that_are_none_leave_their_run_out(runs: dict[str, Path], tmp_path: Path, capsys, lines: str):
    old = Path(shutil.copytree(runs["rte"], tmp_path / "old"))
    figures = metrics(old)
    figures["divergence"] = None
    (old / "metrics.json").write_text(json.dumps(figures))
    (old / "predictions" / "dev.jsonl").write_text(lines)
    assert main(["divergence", str(old), str(runs["mnli"])]) == 0
    assert "dev.jsonl can't be read" in capsys.readouterr().err
