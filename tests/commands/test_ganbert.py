"""GAN-BERT, rows without labels and the distilled GAN-BERT from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from cli_fixtures import Lab, metrics, open_lab, predictions, write_checkpoint, write_rte
from test_contract import check_two_processes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> Lab:
    """A teacher without dropout, whose masks would depend on who draws them."""
    made = Lab(tmp_path_factory.mktemp("ganbert"))
    write_checkpoint(made.teacher)
    file = made.teacher / "config.json"
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps({**json.loads(file.read_text()), **off}))
    write_rte(made.data / "RTE", train=67, dev=25)
    return made


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


def test_a_run_says_what_it_trains_on_and_records_the_head(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, "data.labelled=0.2", "--dry-run", method="ganbert"))
    assert done.code == 0, done.err
    # 64 rows less 6 of the hold-out: 12 labelled ones, twice each, and 46 without
    assert "train 12, train/unlabelled 46, holdout 6, dev 24, test 10" in done.out
    assert "train/unlabelled: 46 rows of 58 training rows, without their labels (data.labelled=0.2, seed 0)" in done.out
    assert done.field("classes") == "the labels, UNK, FAKE"
    assert done.field("training").startswith("5 steps")  # 70 rows in batches of 16
    (folder,) = lab.train(tmp_path, "data.labelled=0.2", method="ganbert")
    record = metrics(folder)
    assert record["training"]["steps"] == 5
    assert len(predictions(folder, "dev")[0]["student_logits"]) == 2  # the labels alone
    assert json.loads((folder / "student" / "config.json").read_text())["id2label"] == {
        "0": "entailment",
        "1": "not_entailment",
    }
    steps = [row for row in history(folder) if row["train/loss"]]
    game = {"ce", "real", "fake", "p_fake_real", "p_fake_made", "log_p_fake_real", "log_p_fake_made", "right_real"}
    assert {f"train/{name}" for name in (*game, "generator_loss", "fooling", "matching")} <= steps[0].keys()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("ganbert", ("data.labelled=0.3",)),
        ("ganbert", ("data.labelled=0.2", "ganbert.game=false")),
        ("kd", ("data.labelled=0.3",)),
    ],
    ids=["game", "twin", "kd"],
)
def test_two_processes_give_what_one_gives_on_rows_without_labels(still: Lab, method: str, words: tuple[str, ...]):
    one, two = (still.run_on(devices, method, "training.epochs=2", *words) for devices in (1, 2))
    check_two_processes(one, two, 1e-5)


@pytest.mark.parametrize(
    ("method", "words", "said"),
    [
        ("ganbert", ("data.labelled=0",), "data.labelled=0.0: it is the part of train that keeps its labels, above 0"),
        ("ganbert", ("data.labelled=1.2",), "data.labelled=1.2: it is the part of train"),
        ("ganbert", ("data.labelled=half",), "data.labelled=half has the wrong type"),
        ("kd", ("teacher.labelled=-1",), "teacher.labelled=-1.0: it is the part of train"),
        ("kd", ("data.labelled=.5", "data.unlabelled=x.csv"), "both say which rows have no label"),
        ("kd", ("teacher.labelled=.5", "data.unlabelled=x.csv"), "teacher.labelled=0.5 and data.unlabelled=x.csv both"),
        ("ganbert", ("data.unlabelled=rest",), "data.unlabelled=rest takes what --limit-train leaves over, and all"),
        ("finetune", ("data.unlabelled=x.csv",), "data.unlabelled=x.csv: finetune takes no rows without labels"),
        ("mixkd", ("data.unlabelled=rest", "--limit-train", "50%"), "mixkd takes no rows without labels"),
        ("ganbert", ("data.unlabelled=nosuch.csv",), "nosuch.csv can't be read (No such file or directory)"),
        ("ganbert", ("--task", "stsb"), "ganbert tells labels from made features, and stsb has scores"),
        ("kd", ("--task", "stsb", "teacher.method=ganbert"), "ganbert tells labels from made features"),
        ("ganbert", ("training.accumulate=2",), "ganbert steps several players by hand"),
        ("ganbert", ("ganbert.preset=paper",), "There is no ganbert.preset of the name 'paper'"),
        ("kd", ("--student", "finetuned:layers:0,9"), "The student asks for layer 9, but its donor has 3"),
        ("kd", ("--student", "finetuned:layers:some"), "'some' is no choice of layers"),
    ],
)
def test_what_is_wrong_is_a_sentence(lab: Lab, tmp_path: Path, method: str, words: tuple[str, ...], said: str):
    done = lab.run(*lab.words(tmp_path / "out", *words, method=method))
    assert said in done.sentence
    assert not (tmp_path / "out").exists()


def test_a_method_that_takes_no_such_rows_leaves_them_out_and_says_so(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, "data.labelled=0.5", "--dry-run", method="finetune"))
    assert "train 29, holdout 6" in done.out
    assert "they are left out, for finetune takes no rows without labels" in done.out


def test_text_of_ones_own_is_trained_on(lab: Lab, tmp_path: Path):
    dev = (lab.data / "RTE" / "dev.tsv").read_text().splitlines()[1].split("\t")[1:3]
    rows = [dev, ["the dog sleeps .", "a dog eats ."], ["the cat runs .", "a bird falls ."]]
    more = tmp_path / "more.tsv"
    more.write_text("sentence1\tsentence2\n" + "".join("\t".join(row) + "\n" for row in rows))
    done = lab.run(*lab.words(tmp_path, f"data.unlabelled={more}", "--dry-run", method="ganbert"))
    assert "train 58, train/unlabelled 3, holdout 6" in done.out
    assert f"train/unlabelled: 3 rows of {more}" in done.out
    assert "of 24 texts are in train/unlabelled too" in done.out
    (folder,) = lab.train(tmp_path / "runs", f"data.unlabelled={more}")  # kd
    assert metrics(folder)["training"]["steps"] == 4
    again = lab.run(*lab.words(tmp_path / "runs", "--dry-run"))
    assert Path(again.field("records")).name != folder.name  # other rows, another record


def test_a_task_file_names_text_of_its_own(lab: Lab, tmp_path: Path):
    (tmp_path / "train.csv").write_text("text,label\n" + "the dog sleeps .,yes\nthe cat runs .,no\n" * 10)
    (tmp_path / "more.txt").write_text("the bird sings .\na nurse waits .\n")
    task = tmp_path / "task.yaml"
    task.write_text("name: mine\nfiles: {train: train.csv, unlabelled: more.txt}\nlabels: ['no', 'yes']\n")
    words = ("--data-dir", tmp_path, "data.selection=dev", "--dry-run")
    done = lab.run(*lab.words(tmp_path, *words, method="ganbert", task=str(task)))
    assert done.code == 0, done.err
    assert "train 18, train/unlabelled 2" in done.out
    other = lab.run(*lab.words(tmp_path, *words, method="finetune", task=str(task)))
    assert f"{tmp_path}/more.txt is not read, for finetune takes no rows without labels" in other.out
    both = lab.run(*lab.words(tmp_path, *words, "data.labelled=0.5", method="ganbert", task=str(task)))
    assert "data.labelled=0.5, and the task file of mine names unlabelled text (more.txt)" in both.sentence
    task.write_text("name: mine\nfiles: {train: train.csv, unlabelled: more.pdf}\nlabels: ['no', 'yes']\n")
    wrong = lab.run(*lab.words(tmp_path, *words, method="ganbert", task=str(task)))
    assert "field 'files' names 'more.pdf': files end in .csv, .tsv, .jsonl, .txt" in wrong.sentence


# --- the distilled GAN-BERT ------------------------------------------------------------------------------------------

DISTILLED = ("teacher.method=ganbert", "teacher.labelled=0.5", "--student", "finetuned:layers:0,2")


def test_it_learns_from_a_ganbert_that_knows_half_of_the_labels(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, *DISTILLED, "--dry-run", "--fresh"))
    assert "the teacher is made of 29 training rows with labels and 29 without" in done.out
    assert "train 58, holdout 6" in done.out  # the student's own are all labelled
    assert "to be trained with ganbert" in done.field("teacher") or "found in the cache" in done.field("teacher")
    assert done.field("student").startswith(f"layers 0, 2 of {lab.teacher} after plain fine-tuning (")
    (folder,) = lab.train(tmp_path, *DISTILLED)
    record = metrics(folder)
    assert record["student"]["made_of"] == f"layers 0, 2 of {lab.teacher} after plain fine-tuning"
    assert record["divergence"]["dev"]["kl"] >= 0
    assert {"teacher", "donor", "training"} <= record["cost"].keys()
    assert len(predictions(folder, "dev")[0]["teacher_logits"]) == 2


def test_its_donor_is_the_fine_tuned_teacher_of_another_run(lab: Lab, tmp_path: Path, cache):
    from kdlab.planning.plan import make_plan

    def plan(*words: str):
        given = {"method": "kd", "task": "rte", "data.dir": str(lab.data), "teacher.source": str(lab.teacher)}
        pairs = (word.split("=", 1) for word in words)
        return make_plan({**given, **{key: yaml.safe_load(value) for key, value in pairs}}, cache)

    own = plan("student.source=layers:0,2")
    # GAN-BERT's preset has no weight decay, and the donor is trained with the teacher's settings
    same = ("teacher.weight_decay=0.01", "teacher.method=ganbert")
    distilled = plan("student.source=finetuned:layers:0,2", "teacher.labelled=0.5", *same)
    assert distilled.student.finetuned.key == own.teacher.key != distilled.teacher.key
    assert distilled.teacher.key != plan("student.source=finetuned:layers:0,2", *same).teacher.key
    keys = {p.identity(0) for p in (own, distilled, plan("student.source=finetuned:layers:0,1", *same))}
    assert len(keys) == 3
    fewer = plan("student.source=finetuned:layers:0,2", "data.labelled=0.5", *same)
    assert fewer.student.finetuned.key != own.teacher.key  # the donor knows the labels that the student knows


def test_a_donor_of_a_student_without_a_teacher(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, "--student", "finetuned:layers:0,1", "--dry-run", method="finetune"))
    assert done.field("teacher") == "not needed"
    (folder,) = lab.train(tmp_path, "--student", "finetuned:layers:0,1", method="finetune")
    assert metrics(folder)["teacher"] is None
    assert "donor" in metrics(folder)["cost"]


def test_a_teacher_that_is_used_as_it_is_has_no_labels_to_count(lab: Lab, tmp_path: Path):
    ready = write_checkpoint(tmp_path / "ready", labels=("entailment", "not_entailment"))
    done = lab.run(*lab.words(tmp_path / "out", "--teacher", ready, "teacher.labelled=0.5"))
    assert "teacher.labelled=0.5 says how many labels a teacher is made with" in done.sentence


@pytest.mark.parametrize("name", ["study", "distilled"])
def test_the_studys_settings_are_files(lab: Lab, tmp_path: Path, name: str):
    file = ROOT / "experiments" / "ganbert" / f"{name}.yaml"
    here = ("--data-dir", lab.data, "--teacher", write_checkpoint(tmp_path / "six", layers=6), "--out", tmp_path)
    student = ("--student", lab.teacher) if name == "study" else ()
    done = lab.run("run", "--config", file, *here, *student, "data.max_length=48", "--print-config")
    assert done.code == 0, done.err
    settings = yaml.safe_load(done.out)
    paper = {"batch_size": 64, "epochs": 10, "learning_rate": 2e-5, "weight_decay": 0.0}
    trained = settings["training" if name == "study" else "teacher"]
    assert {key: trained[key] for key in paper} == paper
    assert settings["ganbert"]["unknown"] is True
    if name == "distilled":
        own = {"batch_size": 128, "epochs": 7, "learning_rate": 6e-5, "weight_decay": 0.0}
        assert {key: settings["training"][key] for key in own} == own
        assert settings["kd"] == {"alpha": 0.5, "temperature": 4.0, "scale_t2": False}
        assert settings["student"]["source"] == "finetuned:layers:0,2,4"


def test_new_examples_are_made_of_labelled_rows_whatever_the_teacher_knows(lab: Lab, tmp_path: Path):
    file = tmp_path / "more.parquet"
    words = ("--task", "rte", "--data-dir", lab.data, "--teacher", lab.teacher, "--no-teacher", "--workers", 1)
    done = lab.run("augment", "--with", "eda", *words, "--out", file, "data.labelled=0.5")
    assert done.code == 0, done.err
    (folder,) = lab.train(tmp_path / "runs", f"augment={file}", "data.labelled=0.5", *DISTILLED[:2])
    assert metrics(folder)["augmented"]["rows"] > 0
    other = lab.run(*lab.words(tmp_path / "runs", f"augment={file}", "data.labelled=0.2"))
    assert "was made of other training rows" in other.sentence
