"""What can be wrong with an evaluation out of domain: one sentence each, and nothing is written."""

import re
import shutil
from pathlib import Path

import pytest
from cli_fixtures import Lab, open_lab
from ood_fixtures import open_runs, open_sets


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory):
    return open_sets(tmp_path_factory)


@pytest.fixture(scope="module")
def runs(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    return open_runs(lab, tmp_path_factory)


@pytest.fixture
def copied(runs: dict[str, Path], tmp_path: Path):
    """A finished run that a test may write into."""
    return lambda task: Path(shutil.copytree(runs[task], tmp_path / f"run-{task}"))


def test_an_unknown_set_lists_the_nearest(lab: Lab, runs: dict[str, Path]):
    said = lab.run("evaluate", runs["rte"], "--on", "hnas").sentence
    assert said.startswith("There is no out-of-domain set 'hnas': did you mean hans")
    said = lab.run(*lab.words(runs["rte"].parent / "never", "evaluation.ood=[pawz]")).sentence
    assert "no out-of-domain set 'pawz': did you mean paws" in said
    assert not (runs["rte"].parent / "never").exists()


def test_a_folder_of_sets_without_a_set_is_refused(lab: Lab, tmp_path: Path, sets: Path):
    said = lab.run(*lab.words(tmp_path / "out", "--ood-dir", sets)).sentence
    assert f"--ood-dir {sets}: evaluation.ood names no set" in said
    assert not (tmp_path / "out").exists()


def test_labels_that_can_not_be_merged_are_refused(lab: Lab, runs: dict[str, Path], sets: Path):
    said = lab.run("evaluate", runs["sst2"], "--on", "hans", "--ood-dir", sets).sentence
    assert "labels negative, positive, for its labels are entailment, non-entailment: take imdb" in said
    said = lab.run("evaluate", runs["stsb"], "--on", "imdb", "--ood-dir", sets).sentence
    assert "imdb can't be answered by a model of stsb, which gives a score" in said
    said = lab.run("evaluate", runs["stsb"], "--on", "all", "--ood-dir", sets).sentence
    assert "which gives a score" in said


def test_a_run_that_is_none_is_refused(lab: Lab, copied, tmp_path: Path):
    def refused(folder: Path) -> str:
        return lab.run("evaluate", folder, "--on", "hans").sentence

    folder = copied("rte")
    assert f"{tmp_path / 'x'} is not there: give the folder" in refused(tmp_path / "x")
    assert "is a file, not a run's folder" in refused(folder / "metrics.json")
    assert "is no finished run: metrics.json is not there" in refused(tmp_path)
    shutil.move(folder / "student", tmp_path / "gone")
    assert f"The run in {folder} has no student: its folder student/ is gone" in refused(folder)
    shutil.move(tmp_path / "gone", folder / "student")
    (folder / "student" / "model.safetensors").rename(tmp_path / "weights")
    assert "has no model.safetensors" in refused(folder)
    (tmp_path / "weights").rename(folder / "student" / "model.safetensors")
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text[: len(text) // 2])
    assert "metrics.json can't be read" in refused(folder)
    (folder / "metrics.json").write_text("{}")
    assert "metrics.json has no field 'kdlab', which every record of kdlab's has" in refused(folder)
    (folder / "metrics.json").write_text(text)
    settings = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(re.sub("eval_batch_size: .*", "eval_batch_size: -1", settings))
    assert "training.eval_batch_size is -1" in refused(folder)
    (folder / "config.yaml").write_text(settings)
    (folder / "metrics.json").unlink()
    assert f"The run in {folder} is not finished, for it has no metrics.json" in refused(folder)


def test_a_damaged_record_is_named(lab: Lab, copied, sets: Path):
    folder = copied("rte")
    for text in ("{", "[]", '{"hans": 3}'):
        (folder / "ood.json").write_text(text)
        assert "ood.json" in lab.run("evaluate", folder, "--on", "hans", "--ood-dir", sets).sentence
        assert (folder / "ood.json").read_text() == text


def test_files_that_are_missing_or_wrong(lab: Lab, runs: dict[str, Path], sets: Path, tmp_path: Path):
    def refused(root: Path, task: str = "rte", name: str = "hans") -> str:
        return lab.run("evaluate", runs[task], "--on", name, "--ood-dir", root).sentence

    assert f"There is no folder {tmp_path / 'x'}: --ood-dir" in refused(tmp_path / "x")
    assert "holds no ood/hans/evaluation.tsv" in refused(tmp_path)
    assert "needs jhu-cogsci/hans plain_text from the hub" in lab.run("evaluate", runs["rte"], "--on", "hans").sentence
    root = Path(shutil.copytree(sets, tmp_path / "sets"))
    hans = root / "ood/hans/evaluation.tsv"
    lines = hans.read_text().splitlines()
    hans.write_text("\n".join([*lines[:5], lines[5].replace("entailment", "yes"), *lines[6:]]))
    assert f"{hans}:6: label " in refused(root)
    hans.write_text("\n".join([lines[0].replace("sentence2", "hypothesis"), *lines[1:]]))
    assert f"{hans}:1: no column 'sentence2'; the columns there are gold_label, sentence1, hypothesis" in refused(root)
    assert not (runs["rte"] / "ood.json").exists()
    said = lab.run(*lab.words(tmp_path / "out", "--ood-dir", root, "evaluation.ood=[hans]")).sentence
    assert f"{hans}:1: no column 'sentence2'" in said  # before any training
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["runs/x"], "Say what is evaluated: --on SET"),
        (["runs/x", "--on"], "Argument --on: expected at least one argument"),
        (["runs/x", "--on", "hans", "--sead=3"], "There is no flag '--sead'"),
        (["runs/x", "--on", "hans", "--seed=3"], "--attack names no recipe"),
        (["~nobody.of.that.name", "--on", "hans"], "RUN '~nobody.of.that.name': there is no such home folder"),
    ],
)
def test_words_that_evaluate_does_not_know(lab: Lab, words: list[str], what: str):
    assert what in lab.run("evaluate", *words).sentence
