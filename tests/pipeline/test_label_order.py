"""MNLI by label name: published orders of the head, both dev sets, and the files that the GLUE server takes."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from cli_fixtures import NLI, Lab, metrics, open_lab, pairs, predictions, write_checkpoint
from ood_fixtures import open_runs, open_sets, recorded
from safetensors.torch import load_file, save_file


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory):
    return open_sets(tmp_path_factory)


@pytest.fixture(scope="module")
def runs(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    return open_runs(lab, tmp_path_factory)


PUBLISHED = {
    "roberta-large-mnli": ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"),
    "typeform/distilbert-base-uncased-mnli": ("ENTAILMENT", "NEUTRAL", "CONTRADICTION"),
    "cross-encoder/nli": ("contradiction", "entailment", "neutral"),
    "facebook/bart-large-mnli": ("contradiction", "neutral", "entailment"),
}


def reordered(folder: Path, source: Path, names: tuple[str, ...]) -> Path:
    """A copy of an MNLI checkpoint whose head has its rows in another order, under other spellings."""
    shutil.copytree(source, folder)
    order = [NLI.index(name.lower()) for name in names]
    model = load_file(folder / "model.safetensors")
    for part in ("classifier.weight", "classifier.bias"):
        model[part] = model[part][order].clone()
    save_file(model, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    config["label2id"] = {name: i for i, name in enumerate(names)}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_published_label_orders_give_the_same_teacher(lab: Lab, sets: Path, tmp_path: Path):
    straight = write_checkpoint(tmp_path / "straight", labels=NLI)
    folders = {"straight": straight}
    for name, names in PUBLISHED.items():
        folders[name] = reordered(tmp_path / name.replace("/", "-"), straight, names)
    found = {}
    for name, teacher in folders.items():
        words = ("--teacher", teacher, "training.max_steps=1", "evaluation.ood=[hans]", "--ood-dir", sets)
        (record,) = lab.train(tmp_path / "runs" / name, *words, task="mnli")
        assert metrics(record)["teacher"]["status"] == "used as it is"
        assert set(metrics(record)["teacher"]["metrics"]) == {"dev", "dev_mm"}
        found[name] = [metrics(record)["teacher"]["metrics"], recorded(record)["hans"]["teacher"]]
        found[name] += [[line["teacher_logits"] for line in predictions(record, split)] for split in ("dev", "dev_mm")]
    for name, figures in found.items():
        assert figures[:2] == found["straight"][:2], name
        for ours, theirs in zip(figures[2:], found["straight"][2:], strict=True):
            assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), atol=1e-4), name


def test_a_head_of_numbered_labels_says_nothing_until_it_is_told(lab: Lab, tmp_path: Path):
    teacher = write_checkpoint(tmp_path / "numbered", labels=("LABEL_0", "LABEL_1", "LABEL_2"))  # as textattack's
    words = ("--teacher", teacher, "--dry-run")
    plan = lab.run(*lab.words(tmp_path / "out", *words, task="mnli"))
    assert "to be fine-tuned (its head says LABEL_0, LABEL_1, LABEL_2, not entailment" in plan.field("teacher")
    told = lab.run(
        *lab.words(tmp_path / "out", *words, "teacher.labels=[contradiction,entailment,neutral]", task="mnli")
    )
    assert "used as it is" in told.field("teacher")


def test_server_files_of_mnli_and_ax(lab: Lab, runs: dict[str, Path], tmp_path: Path):
    (ax,) = lab.train(tmp_path, task="ax")
    files = {
        runs["mnli"] / "glue" / "MNLI-m.tsv": 7,
        runs["mnli"] / "glue" / "MNLI-mm.tsv": 8,
        runs["mnli"] / "glue" / "AX.tsv": 6,
        ax / "glue" / "AX.tsv": 6,
    }
    for file, size in files.items():
        header, *rows = file.read_text().splitlines()
        assert header == "index\tprediction"
        assert [row.split("\t")[0] for row in rows] == [str(i) for i in range(size)]
        assert {row.split("\t")[1] for row in rows} <= set(NLI)
    student = [line["student"] for line in predictions(ax, "test")]
    assert [row.split("\t")[1] for row in (ax / "glue" / "AX.tsv").read_text().splitlines()[1:]] == student


def test_a_task_of_ones_own_with_three_labels(lab: Lab, sets: Path, tmp_path: Path):
    lines = [{"premise": a, "hypothesis": b, "label": c} for a, b, c in pairs(60, NLI, 4)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns = {"text": "premise", "text_pair": "hypothesis", "label": "label"}
    task = {
        "name": "own",
        "files": {"train": "own.jsonl"},
        "columns": columns,
        "labels": ["neutral", "contradiction", "entailment"],
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(task))
    words = [
        w for w in lab.words(tmp_path / "runs", task=str(tmp_path / "own.yaml")) if w not in ("--data-dir", lab.data)
    ]
    assert lab.run(*words).code == 0
    (folder,) = (path.parent for path in (tmp_path / "runs").glob("*/metrics.json"))
    done = lab.run("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    assert done.code == 0, done.err
    assert recorded(folder)["hans"]["answers"]["neutral"] == "non-entailment"
