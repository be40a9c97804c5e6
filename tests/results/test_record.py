"""The record of a run: the files it promises, figures that follow from its predictions, and a student that loads."""

import csv
import json
import threading
from pathlib import Path

import pytest
import torch
import yaml
from cli_fixtures import Lab, metrics, open_lab, predictions
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kdlab.data.tasks import get_task
from kdlab.evaluation.metrics import evaluate
from kdlab.results import record
from kdlab.results.record import METRICS, RunFolder
from kdlab.system.console import Reporter

TASKS = ("rte", "sst2", "stsb", "mnli")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def records(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    """One finished run per task."""
    out = tmp_path_factory.mktemp("records")
    words = ("training.epochs=2", "--seed", 1)
    return {task: lab.train(out / task, *words, task=task, method="mixkd")[0] for task in TASKS}


def test_folder_holds_what_the_module_promises(records: dict[str, Path]):
    promised = [line.split()[0] for line in (record.__doc__ or "").split("::\n\n")[1].splitlines()]
    for folder in records.values():
        for name in promised:
            assert list(folder.glob(name)) or (folder / name).is_dir(), name
        names = {path.name for path in folder.iterdir()}
        assert names == {name.split("/")[0] for name in promised}  # and nothing else, no checkpoint either
        assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_figures_are_written_last(records: dict[str, Path]):
    folder = records["rte"]
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert max(written, key=lambda path: written[path]) == folder / "metrics.json"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("who", ["student", "teacher"])
def test_figures_follow_from_the_predictions(records: dict[str, Path], task: str, who: str):
    spec = get_task(task)
    by_split = metrics(records[task])[who]["metrics"]
    assert set(by_split) == set(spec.reported_splits)
    for split, figures in by_split.items():
        lines = predictions(records[task], split)
        logits = torch.tensor([line[f"{who}_logits"] for line in lines])
        gold = [line["gold"] if spec.regression else spec.labels.index(line["gold"]) for line in lines]
        again = evaluate(logits, torch.tensor(gold), spec.metrics, spec.regression)
        assert again == pytest.approx(figures, abs=1e-5)
        for line, row in zip(lines, logits, strict=True):
            answer = round(float(row[0]), 6) if spec.regression else spec.labels[int(row.argmax())]
            assert line[who] == pytest.approx(answer, abs=1e-5) if spec.regression else line[who] == answer


@pytest.mark.parametrize("task", TASKS)
def test_retained_is_the_students_share_of_the_teacher(records: dict[str, Path], task: str):
    record = metrics(records[task])
    for split, ours in record["student"]["metrics"].items():
        theirs = record["teacher"]["metrics"][split]
        share = {name: 100 * value / theirs[name] for name, value in ours.items() if theirs[name] > 0}
        assert record["retained"][split] == pytest.approx(share)
    assert record["student"]["samples_per_second"] > 0


@pytest.mark.parametrize("task", TASKS)
def test_the_constant_answer_stands_beside_the_figures(records: dict[str, Path], task: str):
    record = metrics(records[task])
    assert {s: set(values) for s, values in record["constant"].items()} == {
        s: set(values) for s, values in record["student"]["metrics"].items()
    }
    for split, values in record["constant"].items():
        gold = [line["gold"] for line in predictions(records[task], split)]
        if "accuracy" in values:
            assert values["accuracy"] == pytest.approx(max(map(gold.count, gold)) / len(gold))
        else:
            assert set(values.values()) == {0.0}


@pytest.mark.parametrize("task", ["rte", "sst2", "stsb"])
def test_student_loads_and_gives_the_recorded_logits(lab: Lab, records: dict[str, Path], task: str):
    spec = get_task(task)
    folder = records[task] / "student"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text, pair, _ = spec.file_columns
    with (lab.data / str(spec.folder) / "dev.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    inputs = tokenizer(
        [row[text] for row in rows], [row[pair] for row in rows] if pair else None, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(**inputs).logits
    lines = predictions(records[task], "dev")
    assert torch.allclose(logits, torch.tensor([line["student_logits"] for line in lines]), atol=1e-4)
    assert logits.std(dim=0).min() > 1e-2  # the inputs matter
    if spec.regression:
        assert model.config.num_labels == 1
    else:
        assert model.config.id2label == dict(enumerate(spec.labels))
        assert [model.config.id2label[int(i)] for i in logits.argmax(-1)] == [line["student"] for line in lines]
    assert sum(p.numel() for p in model.parameters()) == metrics(records[task])["student"]["parameters"]


def test_teacher_has_the_parameters_that_are_said(lab: Lab, records: dict[str, Path]):
    config = AutoModelForSequenceClassification.from_pretrained(lab.teacher, num_labels=2)
    assert sum(p.numel() for p in config.parameters()) == metrics(records["rte"])["teacher"]["parameters"]


@pytest.mark.parametrize(
    ("task", "split", "file", "answers", "size"),
    [
        ("rte", "test", "RTE.tsv", ("entailment", "not_entailment"), 10),
        ("sst2", "test", "SST-2.tsv", ("0", "1"), 9),
        ("mnli", "test", "MNLI-m.tsv", ("entailment", "neutral", "contradiction"), 7),
        ("mnli", "test_mm", "MNLI-mm.tsv", ("entailment", "neutral", "contradiction"), 8),
    ],
)
def test_server_files(records: dict[str, Path], task: str, split: str, file: str, answers: tuple[str, ...], size: int):
    text = (records[task] / "glue" / file).read_text(encoding="utf-8")
    header, *rows = text.splitlines()
    assert header == "index\tprediction"
    assert text.endswith("\n")
    assert [row.split("\t")[0] for row in rows] == [str(i) for i in range(size)]
    lines = predictions(records[task], split)
    predicted = [answers[max(range(len(answers)), key=lambda i: line["student_logits"][i])] for line in lines]
    assert [row.split("\t")[1] for row in rows] == predicted
    assert "gold" not in lines[0]


def test_server_file_of_scores(records: dict[str, Path]):
    header, *rows = (records["stsb"] / "glue" / "STS-B.tsv").read_text().splitlines()
    assert header == "index\tprediction"
    scores = [line["student"] for line in predictions(records["stsb"], "test")]
    assert [row.split("\t") for row in rows] == [[str(i), f"{min(max(s, 0), 5):.3f}"] for i, s in enumerate(scores)]


def test_scores_outside_the_range_are_clipped(lab: Lab, tmp_path: Path):
    from kdlab.data.readers.glue_folder import load_glue

    spec = get_task("stsb")
    examples = load_glue(spec, lab.data).splits["test"].take([4, 2, 0])
    RunFolder(tmp_path).write_submission("STS-B.tsv", spec, examples, torch.tensor([[7.5], [-1.0], [2.34567]]))
    assert (tmp_path / "glue" / "STS-B.tsv").read_text() == "index\tprediction\n4\t5.000\n2\t0.000\n0\t2.346\n"


def test_configuration_repeats_the_run(lab: Lab, records: dict[str, Path], tmp_path: Path):
    folder = records["rte"]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["seed"] == 1
    assert config["mixkd"]["beta"] == 0.4
    done = lab.run("run", "--config", folder / "config.yaml", "--out", tmp_path)
    assert done.code == 0, done.err
    (again,) = (path.parent for path in tmp_path.glob("*/metrics.json"))
    assert again.name == folder.name
    assert predictions(again, "dev") == predictions(folder, "dev")
    first, second = metrics(folder), metrics(again)
    assert second["student"]["metrics"] == first["student"]["metrics"]
    assert second["fingerprints"] == first["fingerprints"]


def test_environment_and_fingerprints(records: dict[str, Path]):
    folder = records["rte"]
    about = json.loads((folder / "environment.json").read_text())
    assert about["packages"]["torch"] == torch.__version__
    assert about["hardware"].startswith("1 × CPU")
    prints = json.loads((folder / "fingerprints.json").read_text())
    assert prints == metrics(folder)["fingerprints"]
    assert folder.name.endswith(prints["run"][:8])
    assert set(prints["splits"]) == {"train", "holdout", "dev", "test"}
    others = [json.loads((other / "fingerprints.json").read_text()) for other in records.values()]
    assert len({p["data"] for p in others}) == len({p["teacher"] for p in others}) == len(TASKS)
    assert len({p["tokenizer"] for p in others}) == 1


@pytest.mark.parametrize("task", TASKS)
def test_model_card_has_the_figures(records: dict[str, Path], task: str):
    card = (records[task] / "student" / "README.md").read_text()
    record = metrics(records[task])
    head, _, body = card.removeprefix("---\n").partition("---\n")
    assert yaml.safe_load(head)["pipeline_tag"] == "text-classification"
    for split, figures in record["student"]["metrics"].items():
        for name, value in figures.items():
            assert f"| {split} | {name} | {value:.4f} | {record['teacher']['metrics'][split][name]:.4f} |" in body
    assert f"{record['student']['parameters']:,} parameters" in body
    assert record["fingerprints"]["data"][:12] in body
    assert "Embedded corpus" not in body


def test_history_holds_every_step(records: dict[str, Path]):
    folder = records["rte"]
    with (folder / "history" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == list(range(1, metrics(folder)["training"]["steps"] + 1))
    losses = [float(row["val/loss"]) for row in rows if row["val/loss"]]
    scores = [float(row["val/accuracy"]) for row in rows if row["val/accuracy"]]
    assert len(losses) == len(scores) == 2
    best = losses.index(min(losses))
    assert metrics(folder)["selection"]["value"] == pytest.approx(scores[best])
    assert metrics(folder)["selection"]["epoch"] == 1 + best


def test_a_second_equal_command_waits_and_finds_the_record(lab: Lab, tmp_path: Path, monkeypatch):
    (folder,) = lab.train(tmp_path / "runs")
    written = (folder / METRICS).stat().st_mtime_ns
    locked, waiting, say = threading.Event(), threading.Event(), Reporter.say

    def hold() -> None:
        with RunFolder(folder).locked(print):
            locked.set()
            waiting.wait(timeout=60)

    def listen(self: Reporter, text: str) -> None:
        say(self, text)
        if text.startswith("Another process is working on"):
            waiting.set()

    monkeypatch.setattr(Reporter, "say", listen)
    first = threading.Thread(target=hold)
    first.start()
    locked.wait()
    done = lab.run(*lab.words(tmp_path / "runs"))
    first.join()
    assert done.code == 0
    assert f"Another process is working on {folder}: waiting for it." in done.out
    assert "finished already" in done.out
    assert (folder / METRICS).stat().st_mtime_ns == written
