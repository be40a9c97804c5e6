"""Sets of the hub as tasks: which columns, labels and splits are taken, and what is said where that can't be told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from cli_fixtures import Lab, metrics, open_lab
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from kdlab.data.readers import hub_task
from kdlab.data.readers.hub_task import load_rows, load_task, parse_name
from kdlab.errors import KdlabError

REVIEWS = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})


def reviews(n: int, labels: tuple[int, ...] = (0, 1)) -> Dataset:
    texts = [f"the man {('sleeps', 'runs')[labels[i % len(labels)]]} {i}" for i in range(n)]
    return Dataset.from_dict({"text": texts, "label": [labels[i % len(labels)] for i in range(n)]}, features=REVIEWS)


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch):
    """Puts splits on the hub."""

    def put(**splits: Dataset | dict):
        opened = DatasetDict({k: v if isinstance(v, Dataset) else Dataset.from_dict(v) for k, v in splits.items()})
        monkeypatch.setattr(hub_task, "open_dataset", lambda hub, offline: opened)

    return put


def test_a_labelled_test_split_is_dev_where_there_is_no_other(holds):
    holds(train=reviews(8), test=reviews(4), unsupervised=reviews(4))
    spec = load_task("hub:imdb", offline=True)
    assert (spec.name, spec.text, spec.text_pair, spec.label, spec.labels) == (
        "imdb",
        "text",
        None,
        "label",
        ("neg", "pos"),
    )
    loaded = load_rows(spec, True, 0)
    assert {name: len(rows) for name, rows in loaded.splits.items()} == {"train": 8, "dev": 4}
    assert loaded.splits["dev"].labels == (0, 1, 0, 1)
    assert loaded.notes == (
        "columns: text as text, label as label",
        "dev: the labelled split test, for there is no validation split",
    )


def test_validation_is_dev_and_test_is_predicted(holds):
    pairs = {"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"], "label": ["x", "y", "x"]}
    holds(train=pairs, validation=pairs, test={**pairs, "label": ["-1"] * 3})
    spec = load_task("hub:nyu-mll/glue:rte", offline=True)
    assert (spec.name, spec.hub) == ("glue-rte", ("nyu-mll/glue", "rte"))
    assert (spec.text, spec.text_pair, spec.labels) == ("premise", "hypothesis", ("x", "y"))
    loaded = load_rows(spec, True, 0)
    assert list(loaded.splits) == ["train", "dev", "test"]
    assert loaded.splits["test"].labels is None
    assert loaded.splits["dev"].text_pair == ("d", "e", "f")


def test_dev_is_carved_where_no_split_serves(holds):
    holds(train=reviews(40))
    loaded = load_rows(load_task("hub:own/set", offline=True), True, 0)
    assert {name: len(rows) for name, rows in loaded.splits.items()} == {"train": 36, "dev": 4}
    assert "carved out of own/set, split train (seed 0)" in loaded.notes[1]


def test_columns_and_splits_by_name(holds):
    rows = {"headline": ["a", "b", "c"], "body": ["d", "e", "f"], "stars": [5, 1, 3]}
    holds(train=rows, more=rows)
    spec = load_task("hub:own/set,text=headline,pair=body,label=stars,dev=more", offline=True)
    assert (spec.text, spec.text_pair, spec.labels) == ("headline", "body", ("1", "3", "5"))
    loaded = load_rows(spec, True, 0)
    assert loaded.splits["dev"].labels == (2, 0, 1)


def test_scores(holds):
    rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [0.5, 4.0]}
    holds(train=rows, validation=rows)
    spec = load_task("hub:own/set", offline=True)
    assert (spec.labels, spec.score_range, spec.metrics) == ((), (-math.inf, math.inf), ("pearson", "spearman"))
    assert load_rows(spec, True, 0).splits["dev"].labels == (0.5, 4.0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hub:", "write hub:NAME"),
        ("hub:a/b/c", "write hub:NAME"),
        ("hub:imdb,label", "such as label=stars"),
        ("hub:imdb,lable=x", "did you mean label?"),
        ("hub:imdb,label=x", r"imdb has no column 'x'; it has text, label"),
        ("hub:imdb,pair=x", r"imdb has no column 'x'"),
        ("hub:imdb,dev=x", r"imdb has no split 'x'; it has train, test"),
        ("hub:imdb,label=text", "has 2000 different values"),
        ("hub:imdb,dev=train", "dev=train: these rows are trained on"),
        ("hub:imdb:../x", "write hub:NAME"),
    ],
)
def test_what_is_wrong_is_said(holds, name: str, said: str):
    holds(train=reviews(2000), test=reviews(4))
    with pytest.raises(KdlabError, match=said):
        load_task(name, offline=True)


def test_labels_that_are_whole_numbers_or_have_blanks(holds):
    holds(train={"text1": ["a", "b"], "text2": ["c", "d"], "label": [0.0, 1.0]})
    spec = load_task("hub:own/set", offline=True)
    assert (spec.text, spec.text_pair, spec.labels) == ("text1", "text2", ("0", "1"))
    holds(
        train={"question": ["a", "b"], "sentence": ["c", "d"], "label": [" pos", "neg "]},
        validation={"question": ["a", " "], "sentence": ["c", "d"], "label": [" pos", "neg "]},
    )
    spec = load_task("hub:own/set", offline=True)
    assert (spec.text, spec.text_pair, spec.labels) == ("question", "sentence", ("pos", "neg"))
    loaded = load_rows(spec, True, 0)
    assert loaded.splits["dev"].labels == (0,)
    assert "own/set, split validation: 1 broken row skipped" in loaded.notes
    holds(train={"text": ["a", "b"], "label": [[0], [1]]})
    with pytest.raises(KdlabError, match="column 'label' holds lists"):
        load_task("hub:own/set", offline=True)
    thirds = [i / 7 for i in range(30)]
    holds(
        train={"text": list("abcdefghijklmnopqrstuvwxyzABCD"), "label": thirds},
        validation={"text": ["x", "y"], "label": [9.123456789, -1.0]},
    )
    assert load_rows(load_task("hub:own/set", offline=True), True, 0).splits["dev"].labels == pytest.approx(
        (9.12346, -1.0)
    )


def test_a_set_without_what_is_needed(holds):
    holds(test=reviews(4))
    with pytest.raises(KdlabError, match="has no split 'train'; it has test"):
        load_task("hub:own/set", offline=True)
    holds(train={"words": ["a", "b"], "label": [0, 1]})
    with pytest.raises(KdlabError, match="no column that is called as a text usually is; it has words, label"):
        load_task("hub:own/set", offline=True)
    holds(train={"text": ["a", "b"], "label": [0, 0]})
    with pytest.raises(KdlabError, match="column 'label' has 1 different values"):
        load_task("hub:own/set", offline=True)


def test_parts_of_a_name():
    name = parse_name("hub:own/set:small,text=a,label=b")
    assert (name.dataset, name.config, dict(name.named)) == ("own/set", "small", {"text": "a", "label": "b"})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


def test_a_run_and_an_augmentation(lab: Lab, tmp_path: Path, holds):
    holds(train=reviews(60), test=reviews(10))
    words = [word for word in lab.words(tmp_path / "out", task="hub:imdb") if word not in ("--data-dir", lab.data)]
    done = lab.run(*words)
    assert done.code == 0, done.err
    (record,) = (tmp_path / "out").glob("*/metrics.json")
    assert record.parent.name.startswith("kd-imdb-hub-s0-")
    assert metrics(record.parent)["student"]["metrics"]["dev"].keys() == {"accuracy"}
    made = lab.run(
        *("augment", "--task", "hub:imdb", "--with", "eda", "--out", tmp_path / "x.parquet", "--workers", "1"),
        *("--teacher", lab.teacher, "--accelerator", "cpu", "teacher.epochs=1"),
    )
    assert made.code == 0, made.err
    assert "comes from the hub, so leave it out" in lab.run(*lab.words(tmp_path, task="hub:imdb")).sentence


def test_a_set_that_is_not_there(lab: Lab, tmp_path: Path):
    words = [word for word in lab.words(tmp_path / "out", task="hub:imdb") if word not in ("--data-dir", lab.data)]
    assert "The dataset imdb cannot be read in the cache" in lab.run(*words).sentence
