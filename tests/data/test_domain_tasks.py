"""Tasks with a labelled test part: what is reported, which class F1 is of, labels joined by name, and whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli_fixtures import SUBJECTS, VERBS, Lab, open_lab

from kdlab.data.label_map import merge_labels
from kdlab.data.sources import Hub, choose_source
from kdlab.data.task_data import TaskData, load_data
from kdlab.data.tasks import DOMAIN, GLUE, TASKS, get_task
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import evaluate

POSITIVE = {"scitail": "entailment", "cikm": "duplicate", "rt": "positive"}


def test_glue_reports_dev_and_these_tasks_test():
    assert {name: spec.reported_splits for name, spec in DOMAIN.items()} == dict.fromkeys(DOMAIN, ("test",))
    assert all(spec.unlabelled_splits == () for spec in DOMAIN.values())
    assert all(set(spec.reported_splits) <= {"dev", "dev_mm"} for spec in GLUE.values())
    assert GLUE["mnli"].unlabelled_splits == ("test", "test_mm")
    assert list(TASKS) == [*GLUE, *DOMAIN]


@pytest.mark.parametrize(("task", "positive"), POSITIVE.items())
def test_f1_is_of_the_class_that_the_tables_mean(task, positive):
    spec = get_task(task)
    gold = [positive] * 3 + [name for name in spec.labels if name != positive] * 5
    said = [positive, positive, gold[-1], positive, *gold[4:]]  # 2 right, 1 missed, 1 too many
    logits = torch.nn.functional.one_hot(torch.tensor([spec.labels.index(name) for name in said]), 2).float()
    labels = torch.tensor([spec.labels.index(name) for name in gold])
    found = evaluate(logits, labels, spec.metrics, spec.regression)
    assert found == pytest.approx({"accuracy": 6 / 8, "f1": 2 * 2 / (2 * 2 + 1 + 1)})


def test_mnlis_labels_become_scitails_by_name():
    spec, mnli = get_task("scitail"), get_task("mnli")
    meaning = {**{name: name for name in spec.labels}, **spec.aliases}
    label_map = merge_labels(spec.labels, meaning, mnli.labels)
    assert [spec.labels[i] for i in label_map.to] == ["entailment", "not_entailment", "not_entailment"]


def test_data_with_a_labelled_test_part():
    source = choose_source(get_task("rt"), None, "embedded", None, Hub())
    data: TaskData = load_data(get_task("rt"), source, Hub(), None, "dev", 0.1, 0)
    assert (data.reported_splits, data.unlabelled_splits, data.select_on) == (["test"], [], "dev")
    held = load_data(get_task("rt"), source, Hub(), "500", "holdout", 0.1, 0)
    assert (held.reported_splits, held.select_on) == (["test"], "holdout")
    assert held.splits["test"] == data.splits["test"]
    assert held.splits["test"].labels is not None


def test_where_a_task_that_is_not_on_the_hub_comes_from(tmp_path):
    source = choose_source(get_task("cikm"), None, "auto", None, Hub())
    assert (source.kind, source.reason) == ("embedded", "no --data-dir was given, and cikm is not on the hub")
    with pytest.raises(KdlabError, match=r"needs cikm_english_train_20180516\.txt, and cikm is not on the hub: give"):
        choose_source(get_task("cikm"), None, "paper", None, Hub())
    with pytest.raises(KdlabError, match=r"--data-dir is a folder with rt-polarity\.pos and rt-polarity\.neg"):
        choose_source(get_task("rt"), None, "auto", str(tmp_path / "nowhere"), Hub())
    assert choose_source(get_task("home"), None, "auto", str(tmp_path), Hub()).kind == "local"


# --- whole runs -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """SciTail in one file, and reviews of watches."""
    root = tmp_path_factory.mktemp("domain")
    lines = []
    for i in range(240):
        subject, verb, follows = SUBJECTS[i % 8], VERBS[i // 8 % 8], i % 3 == 0
        other = verb if follows else VERBS[(i // 8 + 1 + i % 5) % 8]
        label = "entails" if follows else "neutral"
        row = {"premise": f"the {subject} {verb} {i}", "hypothesis": f"a {subject} {other}", "label": label}
        lines.append(json.dumps(row))
    (root / "scitail").mkdir()
    (root / "scitail" / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    rows = [
        {"reviewText": f"the {SUBJECTS[i % 8]} {VERBS[i // 8 % 8]} {i}", "helpful": [i % 11, 10]} for i in range(240)
    ]
    (root / "reviews_Watches.json").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return root


def figures(record: Path) -> dict:
    return json.loads((record / "metrics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("task", ["scitail", "watches"])
@pytest.mark.parametrize("selection", ["holdout", "dev"])
def test_a_run_reports_test_and_never_dev(lab: Lab, folder: Path, tmp_path: Path, task: str, selection: str):
    words = ("--data-dir", folder, f"data.selection={selection}")
    (record,) = lab.train(tmp_path, *words, task=task, method="kd")
    found, spec = figures(record), get_task(task)
    for who in ("student", "teacher"):
        assert list(found[who]["metrics"]) == ["test"]
        assert list(found[who]["metrics"]["test"]) == list(spec.metrics)
    assert list(found["constant"]) == list(found["divergence"]) == ["test"]
    assert found["selection"]["split"] == selection
    assert [path.name for path in (record / "predictions").iterdir()] == ["test.jsonl"]
    assert not (record / "glue").exists()
    lines = [json.loads(line) for line in (record / "predictions" / "test.jsonl").read_text().splitlines()]
    logits = torch.tensor([line["student_logits"] for line in lines])
    gold = [line["gold"] if spec.regression else spec.labels.index(line["gold"]) for line in lines]
    again = evaluate(logits, torch.tensor(gold), spec.metrics, spec.regression)
    assert again == pytest.approx(found["student"]["metrics"]["test"], abs=1e-5)
    assert "| test |" in (record / "student" / "README.md").read_text(encoding="utf-8")


def test_the_plan_says_what_was_carved_and_what_is_reported(lab: Lab, folder: Path, tmp_path: Path):
    out = lab.run(*lab.words(tmp_path, "--data-dir", folder, "--dry-run", task="scitail")).out
    assert "240 rows, by a seed (0) carved into train 72, dev 48, test 120" in out
    assert "test is only reported" in out
    other = lab.run(*lab.words(tmp_path, "--data-dir", folder, "--dry-run", "data.split_seed=3", task="scitail")).out
    assert "by a seed (3)" in other
    assert out.split("fingerprint")[1][:12] != other.split("fingerprint")[1][:12]


STUDY = """\
title: Two students on SciTail
tasks: [scitail]
seeds: 2
cells:
  FT: {method: finetune}
  KD: {method: kd}
paper:
  FT: {scitail: {accuracy: 73.80, f1: 69.28}}
  KD: {scitail: {accuracy: 78.27, f1: 71.52}}
claims:
  KD is better: {better: KD, than: FT, column: f1}
"""


def test_a_study_reports_the_labelled_test(lab: Lab, folder: Path, tmp_path: Path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    settings = {"data.dir": folder, "teacher.source": lab.teacher, "student.source": "layers:0", "accelerator": "cpu"}
    settings |= {"precision": 32, "teacher.epochs": 1, "training.epochs": 1, "out": tmp_path / "out"}
    done = lab.run("experiment", file, *(f"{key}={value}" for key, value in settings.items()))
    assert done.code == 0, done.err
    (table,) = (tmp_path / "out" / "tables").glob("*.md")
    lines = table.read_text().splitlines()
    assert "|  | accuracy | f1 |" in lines
    assert next(line for line in lines if line.startswith("| FT | ")).endswith(" (69.28) |")
    assert any(line.startswith("| KD is better") and "+2.24" in line for line in lines)
    file.write_text(STUDY.replace("column: f1", "column: dev f1"))
    sentence = lab.run("experiment", file, *(f"{key}={value}" for key, value in settings.items())).sentence
    assert "There is no column 'dev f1' on scitail. Known: accuracy, f1, parameters" in sentence
