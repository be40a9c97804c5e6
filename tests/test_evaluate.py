"""``kdlab evaluate``, ``evaluation.ood`` in a run, and the divergence of every record: figures, files, refusals."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from cli_fixtures import NLI, Lab, metrics, open_lab, pairs, predictions, write_checkpoint, write_tsv
from safetensors.torch import load_file, save_file

import kdlab.evaluate
from experiments.divergence import main as draw
from kdlab.metrics import divergence, evaluate, wilson

HEURISTICS = ("lexical_overlap", "subsequence", "constituent")
SETS = {"mnli": ["hans", "scitail"], "rte": ["hans", "scitail"], "qqp": ["paws_wiki", "paws_qqp"], "sst2": ["imdb"]}


def write_sets(root: Path) -> Path:
    """A few examples of every set, in the words that the tiny checkpoint knows."""
    rows = pairs(60, NLI, 11)
    hans = [["gold_label", "sentence1", "sentence2", "pairID", "heuristic"]]
    for i, (one, two, label) in enumerate(rows):
        gold = "entailment" if label == "entailment" else "non-entailment"
        hans.append([gold, one, two, f"ex{i}", HEURISTICS[i // 3 % 3]])
    write_tsv(root / "ood/hans/evaluation.tsv", hans)
    folder = root / "domain/scitail"
    folder.mkdir(parents=True)
    lines = [{"premise": a, "hypothesis": b, "label": "entailment" if i % 3 == 0 else "not_entailment"}
             for i, (a, b, _) in enumerate(rows)]  # fmt: skip
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (root / "ood/paws_wiki").mkdir()
    csv = "".join(f'{i},"{a}","{b}",{i % 2}\n' for i, (a, b, _) in enumerate(rows))
    (root / "ood/paws_wiki/test.csv").write_text(",sentence1,sentence2,label\n" + csv)
    body = [[i, f"b'{a}'", f'b"{b}"', i % 2] for i, (a, b, _) in enumerate(rows)]
    write_tsv(root / "ood/paws_qqp/dev_and_test.tsv", [["id", "sentence1", "sentence2", "label"], *body])
    (root / "ood/imdb").mkdir()
    texts = [{"text": " ".join(row[0] for row in rows[: 1 + i]), "label": i % 2} for i in range(30)]
    (root / "ood/imdb/test_2000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in texts))
    return root


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory):
    return write_sets(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module")
def runs(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    """One finished run a task; QQP has its own files."""
    root = tmp_path_factory.mktemp("runs")
    rows = [[i, i, i, a, b, i % 2] for i, (a, b, _) in enumerate(pairs(40, NLI, 5))]
    for name in ("train", "dev"):
        header = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]
        write_tsv(root / "glue" / "QQP" / f"{name}.tsv", [header, *rows])
    more = {"qqp": ("--data-dir", root / "glue")}
    return {task: lab.train(root / task, *more.get(task, ()), task=task)[0] for task in (*SETS, "stsb")}


@pytest.fixture
def copied(runs: dict[str, Path], tmp_path: Path):
    """A finished run that a test may write into."""
    return lambda task: Path(shutil.copytree(runs[task], tmp_path / f"run-{task}"))


def recorded(folder: Path) -> dict:
    return json.loads((folder / "ood.json").read_text())


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


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
        patch.setattr(kdlab.evaluate, "predict", lambda *_: pytest.fail("evaluated again"))
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
    shutil.rmtree(teacher)
    assert "is not where it was" in lab.run(*words, "--fresh").err


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


def test_two_processes_give_the_figures_of_one(lab: Lab, sets: Path):
    words = ("--ood-dir", sets, "evaluation.ood=[hans]")
    one, two = (lab.run_on(n, "kd", *words) for n in (1, 2))
    assert [line["id"] for line in predictions(two, "ood-hans")] == list(range(60))  # each once, in order
    assert recorded(two)["hans"]["examples"] == recorded(one)["hans"]["examples"] == 60
    entry = recorded(two)["hans"]["student"]["accuracy"]
    assert entry["value"] == pytest.approx(
        sum(line["student"] == line["gold"] for line in predictions(two, "ood-hans")) / 60
    )


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


# --- divergence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [*SETS, "stsb"])
def test_divergence_follows_from_the_predictions(runs: dict[str, Path], task: str):
    found = metrics(runs[task])["divergence"]
    assert set(found) == set(metrics(runs[task])["student"]["metrics"])  # both dev sets of MNLI
    for split, figures in found.items():
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
    assert draw([*folders, "--figure", str(tmp_path / "figure.svg")]) == 0
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
    assert picture.count("<circle") == 5
    assert all(word in picture for word in ("mixkd", "mnli dev_mm"))
    assert draw([str(tmp_path)]) == 2
    assert "is no finished run" in capsys.readouterr().err
    assert draw([str(runs["rte"]), str(runs["rte"])]) == 2
    assert "a second run of kd on rte with seed 0" in capsys.readouterr().err


# --- MNLI by name, and the server's files ----------------------------------------------------------------------------

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
        ax / "glue" / "AX.tsv": 6,
    }
    for file, size in files.items():
        header, *rows = file.read_text().splitlines()
        assert header == "index\tprediction"
        assert [row.split("\t")[0] for row in rows] == [str(i) for i in range(size)]
        assert {row.split("\t")[1] for row in rows} <= set(NLI)
    student = [line["student"] for line in predictions(ax, "test")]
    assert [row.split("\t")[1] for row in (ax / "glue" / "AX.tsv").read_text().splitlines()[1:]] == student


# --- bad input -------------------------------------------------------------------------------------------------------


def test_an_unknown_set_lists_the_nearest(lab: Lab, runs: dict[str, Path]):
    said = lab.run("evaluate", runs["rte"], "--on", "hnas").sentence
    assert said.startswith("There is no out-of-domain set 'hnas': did you mean hans")
    said = lab.run(*lab.words(runs["rte"].parent / "never", "evaluation.ood=[pawz]")).sentence
    assert "no out-of-domain set 'pawz': did you mean paws" in said
    assert not (runs["rte"].parent / "never").exists()


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
    assert "config.yaml or metrics.json lacks what it must say ('task')" in refused(folder)
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
        (["runs/x"], "The following arguments are required: --on"),
        (["runs/x", "--on"], "Argument --on: expected at least one argument"),
        (["runs/x", "--on", "hans", "--seed=3"], "'--seed=3' is nothing that kdlab evaluate knows"),
        (["~nobody.of.that.name", "--on", "hans"], "RUN '~nobody.of.that.name': there is no such home folder"),
    ],
)
def test_words_that_evaluate_does_not_know(lab: Lab, words: list[str], what: str):
    assert what in lab.run("evaluate", *words).sentence


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
