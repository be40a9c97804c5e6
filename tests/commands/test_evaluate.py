"""``kdlab evaluate`` and ``evaluation.ood`` in a run: figures, and what is recorded of them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from cli_fixtures import NLI, Lab, metrics, open_lab, pairs, predictions, write_checkpoint, write_tsv
from ood_fixtures import HEURISTICS, SETS, contents, open_runs, open_sets, recorded
from safetensors.torch import load_file, save_file

import kdlab.pipeline.ood
import kdlab.pipeline.teacher
from kdlab.evaluation.metrics import divergence, evaluate, wilson


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


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", SETS)
def test_figures_follow_from_the_predictions(lab: Lab, copied, sets: Path, task: str):
    folder = copied(task)
    before = contents(folder)
    done = lab.run("evaluate", folder, "--on", "all", "--ood-dir", sets)
    assert done.code == 0, done.err
    assert {p: c for p, c in contents(folder).items() if p in before} == before  # what was finished is as it was
    found = recorded(folder)
    assert list(found) == SETS[task]
    for name, entry in found.items():
        lines = predictions(folder, f"ood-{name}")
        assert len(lines) == entry["examples"]
        for who in ("student", "teacher"):
            right = [line[who] == line["gold"] for line in lines]
            figure = entry[who]["accuracy"]
            assert figure["value"] == pytest.approx(sum(right) / len(right))
            assert (figure["low"], figure["high"]) == pytest.approx(wilson(sum(right), len(right)))
            outputs = list(entry["answers"])  # the model's labels, in their order
            for line in lines:
                best = max(range(len(outputs)), key=lambda i: line[f"{who}_logits"][i])
                assert line[who] == entry["answers"][outputs[best]]
            if "f1" in entry[who]:
                guess = torch.tensor([[0.0, 1.0] if line[who] == "paraphrase" else [1.0, 0.0] for line in lines])
                gold = torch.tensor([line["gold"] == "paraphrase" for line in lines])
                f1 = entry[who]["f1"]
                assert f1["value"] == pytest.approx(evaluate(guess, gold, ["f1"], False)["f1"])
                assert f1["low"] <= f1["value"] <= f1["high"]
            cells = entry[who].get("groups", {})
            assert set(cells) == (set(HEURISTICS) if name == "hans" else set())
            for heuristic, by_label in cells.items():
                for label, cell in by_label.items():
                    part = [li for li in lines if (li["heuristic"], li["gold"]) == (heuristic, label)]
                    assert cell["n"] == len(part) > 0
                    assert cell["value"] == pytest.approx(sum(li[who] == label for li in part) / len(part))
                    assert f"{heuristic}, {label}" in done.out
        assert f"{entry['student']['accuracy']['value']:.4f}" in done.out
        logits = [torch.tensor([line[f"{who}_logits"] for line in lines]) for who in ("student", "teacher")]
        assert entry["divergence"] == pytest.approx(divergence(*logits, regression=False), abs=1e-4)
        assert "EMBEDDED" not in done.out


def test_three_labels_merge_by_name_and_it_is_said(lab: Lab, copied, sets: Path):
    folder = copied("mnli")
    done = lab.run("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    assert "hans: neutral and contradiction are non-entailment (by name)" in done.out
    answers = {"entailment": "entailment", "neutral": "non-entailment", "contradiction": "non-entailment"}
    assert recorded(folder)["hans"]["answers"] == answers


def test_long_texts_are_counted(lab: Lab, copied, sets: Path):
    folder = copied("sst2")
    done = lab.run("evaluate", folder, "--on", "imdb", "--ood-dir", sets)
    longest = metrics(folder)["max_length"]
    texts = [json.loads(line)["text"] for line in (sets / "ood/imdb/test_2000.jsonl").read_text().splitlines()]
    cut = sum(len(text.split()) + 2 > longest for text in texts)
    assert 0 < cut < len(texts)
    assert f"{cut} of {len(texts)} texts cut to {longest} tokens" in done.out
    assert recorded(folder)["imdb"]["cut"] == cut


def test_a_part_of_hans_has_no_figures_for_what_is_not_in_it(lab: Lab, copied, sets: Path, tmp_path: Path):
    folder, lines = copied("rte"), (sets / "ood/hans/evaluation.tsv").read_text().splitlines()
    kept = [lines[0], *(line for line in lines[1:] if line.startswith("non-") and "constituent" in line)]
    write_tsv(tmp_path / "ood/hans/evaluation.tsv", [line.split("\t") for line in kept])
    done = lab.run("evaluate", folder, "--on", "hans", "--ood-dir", tmp_path)
    assert recorded(folder)["hans"]["student"]["groups"]["subsequence"] == {}
    assert "constituent, non-entailment" in done.out
    assert "constituent, entailment" not in done.out
    assert "subsequence" not in done.out


def test_several_runs_in_one_command(lab: Lab, copied, sets: Path):
    folders = [copied("mnli"), copied("rte")]
    done = lab.run("evaluate", *folders, "--on", "hans", "--ood-dir", sets)
    assert done.code == 0, done.err
    assert [list(recorded(folder)) for folder in folders] == [["hans"], ["hans"]]


def test_a_teacher_is_asked_once_for_all_its_students(lab: Lab, sets: Path, tmp_path: Path, monkeypatch):
    folders = lab.train(tmp_path / "runs", "--seeds", 2)
    asked, predict = [], kdlab.pipeline.teacher.predict
    monkeypatch.setattr(
        kdlab.pipeline.teacher, "predict", lambda *words: asked.append(len(words[1])) or predict(*words)
    )
    other = tmp_path / "ood/hans/evaluation.tsv"
    lines = (sets / "ood/hans/evaluation.tsv").read_text().splitlines()
    write_tsv(other, [line.split("\t") for line in lines[:41]])  # a set that no other test has
    assert lab.run("evaluate", *folders, "--on", "hans", "--ood-dir", tmp_path).code == 0
    assert asked == [40]
    one, two = (recorded(folder)["hans"] for folder in folders)
    assert one["teacher"] == two["teacher"]


def test_sets_that_do_not_fit_are_left_out_with_a_word(lab: Lab, copied, sets: Path):
    folder = copied("mnli")
    done = lab.run("evaluate", folder, "--on", "hans", "paws", "imdb", "scitail", "--ood-dir", sets)
    assert done.code == 0
    assert list(recorded(folder)) == ["hans", "scitail"]
    warned = done.err.splitlines()
    assert len(warned) == 3
    assert (
        "imdb can't be answered by a model of mnli, which has the labels entailment, neutral, contradiction"
        in warned[2]
    )
    assert "its labels are negative, positive" in warned[2]


# --- the record ------------------------------------------------------------------------------------------------------


def test_the_same_command_returns_the_record(lab: Lab, copied, sets: Path, monkeypatch: pytest.MonkeyPatch):
    folder = copied("rte")
    words = ("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    first = lab.run(*words)
    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr(kdlab.pipeline.ood, "predict", lambda *_: pytest.fail("evaluated again"))
        again = lab.run(*words)
        assert lab.run("evaluate", folder, "--on", "hans").code == 0  # without the files too
    assert contents(folder) == before
    assert "Recorded already (--fresh evaluates again): hans." in again.out
    table = [line for line in first.out.splitlines() if line.startswith("hans ")]
    assert table == [line for line in again.out.splitlines() if line.startswith("hans ")]


def test_fresh_keeps_the_old_figures(lab: Lab, copied, sets: Path):
    folder = copied("rte")
    words = ("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    lab.run(*words)
    old = recorded(folder)
    assert lab.run("evaluate", folder, "--on", "scitail", "--ood-dir", sets).code == 0
    assert not (folder / "ood.json.1").exists()  # another set is only added
    assert recorded(folder)["hans"] == old["hans"]
    assert lab.run(*words, "--fresh").code == 0
    kept = json.loads((folder / "ood.json.1").read_text())
    assert kept["hans"] == old["hans"] == recorded(folder)["hans"]
    assert (folder / "predictions" / "ood-hans.jsonl.1").exists()


def test_another_file_of_the_set_is_another_question(lab: Lab, copied, sets: Path, tmp_path: Path):
    folder = copied("rte")
    lab.run("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    other = tmp_path / "other" / "ood" / "hans" / "evaluation.tsv"
    other.parent.mkdir(parents=True)
    lines = (sets / "ood/hans/evaluation.tsv").read_text().splitlines()
    other.write_text("\n".join(lines[:13]) + "\n")
    lab.run("evaluate", folder, "--on", "hans", "--ood-dir", tmp_path / "other")
    assert recorded(folder)["hans"]["examples"] == 12
    assert json.loads((folder / "ood.json.1").read_text())["hans"]["examples"] == 60


def test_without_the_teacher_the_student_alone(lab: Lab, copied, sets: Path, tmp_path: Path):
    folder = copied("rte")
    words = ("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    done = lab.run(*words, env={"KDLAB_CACHE": str(tmp_path / "empty")})
    assert done.code == 0, done.err
    assert (
        f"The teacher fine-tuned from {lab.teacher} is no longer in the cache: figures of the student alone" in done.err
    )
    entry = recorded(folder)["hans"]
    assert (entry["teacher"], entry["divergence"]) == (None, None)
    assert "teacher" not in predictions(folder, "ood-hans")[0]


def test_a_teacher_used_as_it_is_answers_in_the_tasks_order(lab: Lab, sets: Path, tmp_path: Path):
    teacher = write_checkpoint(tmp_path / "teacher", labels=("not_entailment", "entailment"))
    (folder,) = lab.train(tmp_path / "runs", "--teacher", teacher)
    words = ("evaluate", folder, "--on", "hans", "--ood-dir", sets)
    assert lab.run(*words).code == 0
    assert recorded(folder)["hans"]["teacher"] is not None
    model = load_file(teacher / "model.safetensors")
    save_file(
        {**model, "classifier.bias": model["classifier.bias"] + 1}, teacher / "model.safetensors", {"format": "pt"}
    )
    done = lab.run(*words, "--fresh")
    assert "is another than the run's: figures of the student alone" in done.err
    (teacher / "config.json").unlink()
    done = lab.run(*words, "--fresh")
    assert done.code == 0
    assert "can't be loaded any more (" in done.err
    shutil.rmtree(teacher)
    assert "is not where it was" in lab.run(*words, "--fresh").err


def test_a_run_may_be_named_by_where_one_stands(lab: Lab, copied, sets: Path, monkeypatch: pytest.MonkeyPatch):
    folder = copied("rte")
    monkeypatch.chdir(folder / "student")
    done = lab.run("evaluate", "..", "--on", "hans", "--ood-dir", sets)
    assert done.code == 0, done.err
    assert set(recorded(folder)) == {"hans"}
    assert not (folder / ".locks").exists()


def test_a_run_of_a_users_own_task_knows_its_labels_anywhere(lab: Lab, sets: Path, tmp_path: Path, monkeypatch):
    short = {name: name[0] for name in NLI}
    lines = [json.dumps({"a": a, "b": b, "label": short[label]}) + "\n" for a, b, label in pairs(60, NLI, 3)]
    (tmp_path / "nli.jsonl").write_text("".join(lines))
    task = {
        "name": "nli",
        "files": {"train": str(tmp_path / "nli.jsonl")},
        "columns": {"text": "a", "text_pair": "b", "label": "label"},
    }
    task |= {"labels": list(short.values()), "aliases": short}
    (tmp_path / "nli.yaml").write_text(yaml.safe_dump(task))
    monkeypatch.chdir(tmp_path)
    (run,) = lab.train(tmp_path / "runs", task="nli.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = lab.run("evaluate", run, "--on", "hans", "--ood-dir", sets)
    assert done.code == 0, done.err
    assert recorded(run)["hans"]["examples"] == 60


def test_in_a_run(lab: Lab, sets: Path, tmp_path: Path):
    words = lab.words(tmp_path / "runs", "--ood-dir", sets, "evaluation.ood=[hans]", "--seeds", 2)
    done = lab.run(*words)
    assert done.code == 0, done.err
    assert done.field("evaluation") == "out of domain: hans 60 (local)"
    folders = sorted(path.parent for path in (tmp_path / "runs").glob("*/metrics.json"))
    for folder in folders:
        assert recorded(folder)["hans"]["teacher"] is not None
        files = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
        assert max(files, key=lambda path: files[path]) == folder / "metrics.json"  # still the last to be written
    before = contents(tmp_path / "runs")
    afterwards = lab.run("evaluate", *folders, "--on", "hans")
    assert contents(tmp_path / "runs") == before
    assert "Recorded already" in afterwards.out


def test_the_plan_says_what_is_left_out(lab: Lab, sets: Path, tmp_path: Path):
    words = ("--ood-dir", sets, "evaluation.ood=[paws,scitail,hans]", "--dry-run")
    done = lab.run(*lab.words(tmp_path / "runs", *words))
    assert done.field("evaluation") == "out of domain: scitail 60 (local), hans 60 (local)"
    assert done.out.count("can't be answered by a model of rte") == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("torchrun", [False, pytest.param(True, marks=pytest.mark.full)], ids=["forks", "torchrun"])
def test_two_processes_give_the_figures_of_one(lab: Lab, sets: Path, torchrun: bool):
    words = ("--ood-dir", sets, "evaluation.ood=[hans]")
    one, two = lab.run_on(1, "kd", *words), lab.run_on(2, "kd", *words, torchrun=torchrun)
    assert [line["id"] for line in predictions(two, "ood-hans")] == list(range(60))  # each once, in order
    assert recorded(two)["hans"]["examples"] == recorded(one)["hans"]["examples"] == 60
    answered = [[line["student"] for line in predictions(run, "ood-hans")] for run in (one, two)]
    assert answered[0] == answered[1]
    assert recorded(two)["hans"]["student"] == recorded(one)["hans"]["student"]


def test_a_finished_run_is_completed_and_not_trained_again(lab: Lab, sets: Path, tmp_path: Path):
    (plain,) = lab.train(tmp_path / "runs")
    before = contents(plain)
    done = lab.run(*lab.words(tmp_path / "runs", "--ood-dir", sets, "evaluation.ood=[hans,scitail]"))
    assert done.code == 0, done.err
    assert "finished already" in done.out
    assert list(recorded(plain)) == ["hans", "scitail"]
    assert {p: c for p, c in contents(plain).items() if p in before} == before
    (again,) = (path.parent for path in (tmp_path / "runs").glob("*/metrics.json"))
    assert again == plain  # evaluation is no part of what a student depends on
    alone = lab.run("run", *lab.words(tmp_path / "other", "--ood-dir", sets, "evaluation.ood=[hans]")[1:])
    (other,) = (path.parent for path in (tmp_path / "other").glob("*/metrics.json"))
    assert alone.code == 0
    one, two = recorded(other)["hans"], recorded(plain)["hans"]
    assert (one["student"], one["teacher"]) == (two["student"], two["teacher"])  # after the run or in it


def test_on_the_embedded_corpus_the_grammar_writes_the_set(lab: Lab, tmp_path: Path):
    words = ("--profile", "embedded", "--limit-train", 64, "data.max_length=48", "student.source=layers:0")
    common = ("--accelerator", "cpu", "teacher.max_steps=1", "training.max_steps=1", "--out", tmp_path)
    done = lab.run("run", "--method", "kd", "--task", "sst2", *words, *common, "evaluation.ood=[imdb]")
    assert done.code == 0, done.err
    assert "EMBEDDED CHALLENGE SET, written by kdlab's own grammar: NOT a figure of the published set" in done.out
    (folder,) = (path.parent for path in tmp_path.glob("*/metrics.json"))
    entry = recorded(folder)["imdb"]
    assert entry["source"]["embedded"] is True
    assert entry["examples"] == 600
    assert entry["cut"] > 100
    assert f"{entry['cut']} of 600 texts cut to 48 tokens" in done.out
    assert entry["trained_on_embedded"] is True
    assert "EMBEDDED CORPUS: the model learned kdlab's own grammar" in done.out.split("Evaluating on imdb")[1]
