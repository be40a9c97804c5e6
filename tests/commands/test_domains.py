"""Runs on a scarce target and a source domain, and what is refused of them, in one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_fixtures import Lab, metrics, open_lab, predictions

from kdlab.pipeline.context import RunContext
from kdlab.planning.plan import make_plan
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter

EMBEDDED = ("run", "--profile", "embedded", "--accelerator", "cpu", "--precision", "32", "--target-per-class", "20")
SHORT = ("training.max_steps=3", "teacher.max_steps=2", "training.log_every=1", "l2a.samples=2", "l2a.show=3")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return open_lab(tmp_path_factory)


def test_l2a_runs_on_two_domains_and_says_whose_rows_the_teacher_read(lab: Lab, tmp_path: Path):
    words = ("--method", "l2a", "--task", "rt", "--source", "sst2", "data.limit_source=60", "--out", tmp_path)
    done = lab.run(*EMBEDDED, *SHORT, *words)
    assert done.code == 0, done.err
    assert "made of the target domain's rows" in done.field("teacher")
    assert done.field("candidates") == "3.2 of 20 words edited on average, binomial with α 0.6"
    assert "source domain: 60 of" in done.out
    assert "reward: 128 rows for the method, 128 of the" in done.out
    (file,) = tmp_path.glob("*/metrics.json")
    record = metrics(file.parent)
    assert record["teacher"]["domain"] == "target"
    assert set(record["student"]["metrics"]) == {"test"}
    assert not (file.parent / "predictions" / "dev.jsonl").exists()
    assert len(predictions(file.parent, "test")) == 1000
    table = (file.parent / "candidates.md").read_text(encoding="utf-8")
    assert table.count("\n| 0.") == 6
    assert "| source |" in table or "| target |" in table
    history = (file.parent / "history" / "metrics.csv").read_text().splitlines()
    assert {"train/kept", "train/edited", "train/reward", "train/entropy"} <= set(history[0].split(","))


def test_a_baseline_has_the_same_target_and_teacher(lab: Lab, tmp_path: Path):
    words = ("--task", "rt", "--source", "sst2", "data.limit_source=60", "--dry-run", "--out", tmp_path)
    plans = [
        lab.run(*EMBEDDED, *SHORT[:3], "--method", method, *more, *words)
        for method, more in (("l2a", ()), ("kd", ("data.domains=target",)), ("kd", ("teacher.domain=both",)))
    ]
    assert all(plan.code == 0 for plan in plans), [plan.err for plan in plans]
    teachers = [plan.field("teacher").partition("fingerprint ")[2] for plan in plans]
    assert teachers[0] == teachers[1] != teachers[2]
    assert "made of both domains' rows" in plans[2].field("teacher")


def test_what_is_carved_out_for_the_reward_is_missed_by_every_selector(lab: Lab, tmp_path: Path):
    words = ("--method", "l2a", "--task", "rt", "l2a.reward=carved", "--dry-run", "--out", tmp_path)
    plans = [lab.run(*EMBEDDED, *SHORT, *words, f"l2a.selector={name}") for name in ("learned", "random", "all")]
    assert [plan.code for plan in plans] == [0, 0, 0], [plan.err for plan in plans]
    data = [plan.out.partition("teacher")[0].partition("fingerprint")[2] for plan in plans]
    assert "train 27, " in data[0]
    assert data[0] == data[1] == data[2]


def test_a_task_file_brings_its_own_files_to_a_local_target(lab: Lab, tmp_path: Path):
    names = ("train.csv", "elsewhere.csv")
    for name in names:
        rows = [f"{name} says {i},and {i} more,{('contradiction', 'entailment', 'neutral')[i % 3]}" for i in range(30)]
        (tmp_path / name).write_text("\n".join(["a,b,label", *rows]) + "\n")
    labels = "[entailment, neutral, contradiction]"
    columns = "columns: {text: a, text_pair: b}\naliases: {}"
    file = tmp_path / "nli.yaml"
    for name in names:
        where = name if name == "train.csv" else tmp_path / name
        file.write_text(f"name: nli\nfiles: {{train: {where}}}\n{columns}\nlabels: {labels}\n")
        scitail = lab.root / "scitail_only"
        write_scitail(scitail)
        done = lab.run(*lab.words(tmp_path, "--data-dir", scitail, "--source", file, "--dry-run", task="scitail"))
        assert done.code == 0, done.err
        assert f"source domain: 27 rows of nli (files: {tmp_path})" in done.out


def write_scitail(folder: Path) -> None:
    """SciTail's three files, with the words of the lab."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(("train", "dev", "test")):
        rows = [f"the cat {number} sees {i} .\ta dog {i} .\t{('entails', 'neutral')[i % 2]}\n" for i in range(24)]
        (folder / f"scitail_1.0_{name}.tsv").write_text("".join(rows))


def test_a_teacher_of_the_source_never_sees_the_targets_dev(lab: Lab):
    words = {"task": "rt", "data.source": "sst2", "data.limit_source": "60", "teacher.domain": "source"}
    shared = {"method": "kd", "profile": "embedded", "accelerator": "cpu", "data.selection": "dev"}
    plan = make_plan({**shared, **words, "data.target_per_class": 20}, Cache(lab.cache))
    context = RunContext(plan, Reporter(quiet=True))
    assert context.teacher_data.select_on == "holdout"
    assert context.teacher_data.sizes["holdout"] == 6
    assert context.data(plan.config.training, 0).select_on == "dev"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("data.limit_source=2x",), "data.limit_source=2x is neither a whole number from 1 nor a percentage"),
        (("data.limit_source=1",), "data.limit_source=1 is less than the 2 labels of the data"),
        (
            ("data.limit_source=500 a class",),
            "500 training examples of each label are asked for by data.limit_source, and label 'negative' has",
        ),
        (("data.source_dir=/nowhere",), "There is no folder /nowhere: data.source_dir is a folder with GLUE's"),
    ],
)
def test_the_setting_that_is_wrong_is_the_one_that_is_named(lab: Lab, words: tuple[str, ...], sentence: str, tmp_path):
    rt = tmp_path / "rt"
    rt.mkdir()
    for end in ("neg", "pos"):
        (rt / f"rt-polarity.{end}").write_text("".join(f"the {end} cat {i} .\n" for i in range(60)), "latin-1")
    told = ("--data-dir", rt, "--source", "sst2", f"data.source_dir={lab.data}", *words, "--dry-run")
    done = lab.run(*lab.words(tmp_path, *told, task="rt"))
    assert sentence in done.sentence
    assert "--data-dir" not in done.sentence
    assert "--limit-train" not in done.sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--task", "rte", "--source", "sst2"), "data.source=sst2: one of sst2 and rte has pairs"),
        (("--task", "rte", "--source", "qqp"), "its labels (not_duplicate, duplicate) are not those of rte"),
        (("--task", "rte", "--source", "nothing"), "There is no task 'nothing'"),
        (("--task", "rt", "--limit-train", "10%"), "--target-per-class 20 and --limit-train 10% both say"),
        (("--task", "rt", "data.domains=source"), "data.domains=source, but there is no source domain"),
        (("--task", "rt", "teacher.domain=both"), "teacher.domain=both, but there is no source domain"),
        (("--task", "rt", "--source", "sst2", "data.domains=all"), "data.domains"),
        (
            ("--task", "rt", "--source", "sst2", "teacher.domain=source", "data.selection=dev", "data.holdout=0"),
            "teacher.domain=source: the teacher's epoch is chosen on rows of the source, and data.holdout=0 holds none",
        ),
        (
            ("--task", "rt", "--source", "sst2", "data.domains=source", "augment=more.parquet"),
            "augment=more.parquet adds examples to the target's rows, and data.domains=source trains on none of them",
        ),
        (("--task", "rt", "data.target_per_class=100000"), "100000 training examples of each label are asked for"),
        (("--task", "watches"), "counts labels, and these examples have scores"),
        (("--task", "rt", "--method", "l2a", "l2a.samples=0"), "the pool would be empty, for l2a.samples=0"),
        (("--task", "rte", "--method", "l2a", "l2a.reward=validation"), "set l2a.reward=carved"),
        (("--task", "rt", "--method", "l2a", "--student", "bilstm"), "l2a works on attention and hidden states"),
    ],
)
def test_what_does_not_fit_is_one_sentence(lab: Lab, words: tuple[str, ...], sentence: str, tmp_path: Path):
    done = lab.run(*EMBEDDED, "--method", "kd", *words, "--dry-run", "--out", tmp_path)
    assert sentence in done.sentence
