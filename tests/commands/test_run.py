"""The command: its words, its plan, the layers of its configuration, and what seeds, caches and finished runs do."""

import io
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli_fixtures import Lab, Outcome, metrics, open_lab, predictions, write_checkpoint
from safetensors.torch import load_file, save_file

import kdlab
import kdlab.cli
import kdlab.pipeline.execute
import kdlab.pipeline.teacher
import kdlab.run
from kdlab.commands import VERBS
from kdlab.commands.arguments import parse_override
from kdlab.commands.run import SETTINGS
from kdlab.config.files import flatten
from kdlab.data.ood.specs import OOD
from kdlab.data.tasks import TASKS
from kdlab.methods import METHODS
from kdlab.pipeline.run import command_words

METHOD = """
from dataclasses import dataclass
from typing import ClassVar
from kdlab.losses.soft_targets import supervised
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.types import LossTerms

@dataclass
class WeightedConfig(MethodConfig):
    weight: float = 1.0
    shown: str = "loud"

class Weighted(DistillModule):
    Config = WeightedConfig
    presets: ClassVar = {
        "*": {"weighted.weight": 2.0, "training.epochs": 11, "training.warmup": 0.21, "data.selection": "holdout"},
        "paper": {"weighted.weight": 3.0, "training.clip": 5.0},
    }

    def compute_loss(self, batch):
        loss = supervised(self.student.classify(batch), batch.gold(), self.task.regression)
        return LossTerms(self.config.weight * loss, {"ce": loss})
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def two_seeds(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    """Two seeds of KD from an empty cache: the folder, the outcome and the cache."""
    folder = tmp_path_factory.mktemp("two_seeds")
    words = lab.words(folder / "out", "--seeds", 2, "teacher.epochs=2")
    env = {"KDLAB_CACHE": str(folder / "cache")}
    plan = lab.run(*words, "--dry-run", env=env)
    return folder, plan, lab.run(*words, env=env)


def method_file(folder: Path) -> str:
    """``FILE:Class`` of a method with presets."""
    file = folder / "weighted.py"
    file.write_text(METHOD)
    return f"{file}:Weighted"


def settings(done: Outcome) -> dict:
    """What ``--print-config`` printed."""
    assert done.code == 0, done.err
    return yaml.safe_load(done.out)


def forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes any training fail."""

    def fail(*_: object) -> None:
        raise RuntimeError("trained")

    monkeypatch.setattr(kdlab.pipeline.execute, "fit", fail)
    monkeypatch.setattr(kdlab.pipeline.teacher, "fit", fail)


# --- words -----------------------------------------------------------------------------------------------------------


def test_every_flag_sets_its_setting(lab: Lab, tmp_path: Path):
    values = {"--teacher": lab.teacher, "--student": "layers:0", "--data-dir": lab.data, "--out": tmp_path / "o"}
    values |= {"--method": "pkd", "--task": "sst2", "--profile": "paper", "--limit-train": "50%", "--seed": 3}
    values |= {"--seeds": 2, "--ood-dir": lab.data, "--accelerator": "cpu", "--devices": 1, "--precision": "bf16"}
    domains = {"--source": "sst2", "--target-per-class": 3}
    assert {*values, *domains} == set(SETTINGS)
    more = ("data.max_length=48", "evaluation.ood=[imdb]", "pkd.beta=0", "--print-config")
    (lab.data / "imdb").mkdir(exist_ok=True)
    (lab.data / "imdb" / "test.jsonl").write_text('{"text": "good", "label": 1}\n{"text": "bad", "label": 0}\n')
    done = lab.run("run", *(word for pair in values.items() for word in pair), *more)
    assert done.code == 0, done.err
    given = flatten(yaml.safe_load(done.out))
    assert {flag: str(given[SETTINGS[flag][0]]) for flag in values} == {flag: str(v) for flag, v in values.items()}
    words = (word for pair in domains.items() for word in pair)
    done = lab.run("run", "--task", "rt", "--profile", "embedded", *words, "--print-config")
    given = flatten(yaml.safe_load(done.out))
    assert {flag: given[SETTINGS[flag][0]] for flag in domains} == domains


def test_nothing_is_none_for_further_processes_too():
    settings = {"method": "kd", "devices": 2, "data.max_length": None, "evaluation.ood": ["hans"], "kd.alpha": 0.5}
    words = [*command_words(settings), "data.dir=null"]
    assert dict(parse_override(word, "kdlab run") for word in words) == {**settings, "data.dir": None}


def test_two_processes_are_told_that_a_setting_is_left_open(lab: Lab):
    record = lab.run_on(2, "finetune", "data.max_length=16", "data.max_length=null", "--limit-train", "30")
    assert metrics(record)["max_length"] == 48  # what the encoder has positions for


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_takes_little(verb: str):
    """At most 0.3 s of CPU: no heavy import; a slow machine's interpreter is allowed for."""

    def seconds(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.startswith("usage: kdlab" if "--help" in words else "")
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = min(seconds("-c", "import argparse, difflib") for _ in range(3))
    assert min(seconds("-m", "kdlab", verb, "--help") for _ in range(3)) < bare + 0.25


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["run", "--list", "tasks"], ["list", "ood"], *([verb, "--help"] for verb in VERBS)],
    ids=" ".join,
)
def test_help_needs_neither_torch_nor_lightning(words: list[str]):
    code = (
        "import sys, kdlab.cli\n"
        "try:\n"
        f"    kdlab.cli.main({words})\n"
        "except SystemExit as e:\n"
        "    assert not e.code\n"
        "print([m for m in ('torch', 'lightning', 'transformers', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) > 1


def test_help_names_every_flag_and_version_the_version(lab: Lab, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        kdlab.run.main(["--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    switches = ("--config", "--logger", "--compile", "--fresh", "--dry-run", "--print-config", "--list")
    for flag in (*SETTINGS, *switches, "key=value"):
        assert flag in shown
    with pytest.raises(SystemExit):
        kdlab.cli.main(["--version"])
    assert capsys.readouterr().out == f"kdlab {kdlab.__version__}\n"
    assert "COMMAND" in lab.run().out


@pytest.mark.parametrize(("what", "names"), [("methods", METHODS), ("tasks", TASKS), ("ood", OOD)])
def test_lists(lab: Lab, what: str, names: dict):
    lines = lab.run("run", "--list", what).out.splitlines()
    assert [line.split()[0] for line in lines] == list(names)
    assert all(len(line.split()) > 2 for line in lines)


def test_module_and_command_are_one(lab: Lab):
    commands = [["-m", "kdlab.run"], ["-m", "kdlab", "run"]]
    shown = [
        subprocess.run([sys.executable, *command, "--list", "methods"], capture_output=True, text=True, check=True)
        for command in commands
    ]
    listed = lab.run("list", "methods").out
    assert shown[0].stdout == shown[1].stdout == lab.run("run", "--list", "methods").out == listed


# --- configuration ---------------------------------------------------------------------------------------------------


def test_settings_in_every_form(lab: Lab, tmp_path: Path):
    words = (
        "training.epochs=7",
        "--training.batch_size=8",
        "--limit-train",
        "50%",
        "data.split_seed=3",
        "kd.alpha=1e-1",
    )
    found = settings(lab.run(*lab.words(tmp_path, *words, "--print-config")))
    assert found["training"]["epochs"] == 7
    assert found["training"]["batch_size"] == 8
    assert found["data"]["limit_train"] == "50%"
    assert found["data"]["split_seed"] == 3
    assert found["kd"]["alpha"] == 0.1
    assert not list(tmp_path.iterdir())


def test_printed_configuration_given_back_is_the_same(lab: Lab, tmp_path: Path):
    words = ("--seeds", 2, "--limit-train", "10", "--logger", "wandb", "mixkd.ratio=3", "teacher.labels=[a, 'no']")
    first = lab.run(*lab.words(tmp_path / "out", *words, "--print-config", method="mixkd"))
    file = tmp_path / "printed.yaml"
    file.write_text(first.out)
    second = lab.run("run", "--config", file, "--print-config")
    assert second.out == first.out
    plans = [lab.run(*lab.words(tmp_path / "out", *words, "--dry-run", method="mixkd"))]
    plans.append(lab.run("run", "--config", file, "--dry-run"))
    assert plans[0].out == plans[1].out
    assert "mixkd-rte-local-s1-" in plans[0].field("records")


def test_each_layer_goes_over_the_one_before(lab: Lab, tmp_path: Path):
    method = method_file(tmp_path)
    file = tmp_path / "settings.yaml"
    common = ["run", "--method", method, "--task", "rte", "--data-dir", lab.data, "--teacher", lab.teacher]
    common += ["--out", tmp_path, "--print-config", "--student", "layers:0", "training.min_steps=0"]

    found = settings(lab.run(*common))
    assert found["training"]["weight_decay"] == 0.01  # a default
    assert found["weighted"] == {"weight": 2.0, "shown": "loud"}  # the method's preset
    assert (found["training"]["epochs"], found["training"]["warmup"]) == (11, 0.21)

    common += ["--profile", "paper", "data.max_length=48"]
    found = settings(lab.run(*common))
    assert found["data"]["selection"] == "dev"  # the profile over the method
    assert (found["weighted"]["weight"], found["training"]["clip"], found["training"]["epochs"]) == (3.0, 5.0, 11)

    file.write_text("seed: 4\ndata: {selection: holdout}\nweighted.weight: 6\ntraining:\n  epochs: 12\n  clip: 6\n")
    common += ["--config", file]
    found = settings(lab.run(*common))
    assert found["data"]["selection"] == "holdout"  # the file over the profile
    assert (found["weighted"]["weight"], found["training"]["epochs"], found["seed"]) == (6.0, 12, 4)

    found = settings(lab.run(*common, "--seed", 5, "training.clip=7"))
    assert (found["seed"], found["training"]["clip"]) == (5, 7.0)  # words over the file
    assert (found["weighted"]["weight"], found["training"]["warmup"]) == (6.0, 0.21)  # and nothing else moved


# --- the plan --------------------------------------------------------------------------------------------------------


def test_dry_run_writes_nothing(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path / "out", "--dry-run"), env={"KDLAB_CACHE": str(tmp_path / "cache")})
    assert done.code == 0
    assert not list(tmp_path.iterdir())


def test_plan_says_what_will_happen(lab: Lab, two_seeds):
    folder, plan, _ = two_seeds
    first = metrics(sorted((folder / "out").glob("*-s0-*"))[0])
    assert plan.out.startswith("Plan: kd on rte\n")
    assert plan.field("method") == "kd: alpha 0.5, temperature 4.0, scale_t2 True"
    data = plan.field("data")
    assert data == f"local: {lab.data}, fingerprint {first['fingerprints']['data'][:12]}"
    assert "train 58, holdout 6, dev 24, test 10" in plan.out
    assert "to be fine-tuned, seed 0, " in plan.field("teacher")
    assert f"{first['teacher']['parameters']:,} parameters" in plan.field("teacher")
    assert f"layers 0 of the teacher, {first['student']['parameters']:,} parameters" in plan.field("student")
    assert plan.field("training").startswith(f"{first['training']['steps']} steps: 1 epochs, batch 16, ")
    assert "1 × CPU" in plan.field("hardware")
    assert plan.field("checkpoint") == "chosen by loss on holdout (carved out of train; dev is only reported)"
    assert [Path(p).name for p in plan.field("records").split(", ")] == sorted(
        path.parent.name for path in (folder / "out").glob("*/metrics.json")
    )


def test_plan_of_teachers(lab: Lab, two_seeds, tmp_path: Path):
    folder, _, _ = two_seeds
    env = {"KDLAB_CACHE": str(folder / "cache")}
    known = lab.run(*lab.words(tmp_path, "teacher.epochs=2", "--seed", 9, "--dry-run", method="mixkd"), env=env)
    assert "found in the cache" in known.field("teacher")
    other = lab.run(*lab.words(tmp_path, "teacher.epochs=3", "--dry-run"), env=env)
    assert "to be fine-tuned" in other.field("teacher")
    unused = lab.run(*lab.words(tmp_path, "teacher.epochs=2", "--dry-run", method="finetune"), env=env)
    assert unused.field("teacher").endswith("(the student's donor; the loss does not use it)")
    none = lab.run(*lab.words(tmp_path, "--student", lab.teacher, "--dry-run", method="finetune"), env=env)
    assert none.field("teacher") == "not needed"
    dev = lab.run(*lab.words(tmp_path, "data.selection=dev", "--dry-run"), env=env)
    assert dev.field("checkpoint") == "chosen by loss on dev"
    assert "train 64, dev 24, test 10" in dev.out


def test_student_checkpoint_trains_without_a_teacher(lab: Lab, tmp_path: Path):
    student = write_checkpoint(tmp_path / "student", layers=2, seed=5)
    (folder,) = lab.train(tmp_path / "out", "--student", student, method="finetune")
    found = metrics(folder)
    assert found["teacher"] is None
    assert found["retained"] == {}
    assert set(predictions(folder, "dev")[0]) == {"id", "gold", "student", "student_logits"}


# --- finished runs and seeds -----------------------------------------------------------------------------------------


def test_seeds_share_one_teacher_and_are_summed_up(two_seeds):
    folder, _, done = two_seeds
    assert done.code == 0, done.err
    assert done.out.count("Fine-tuning the teacher") == 1
    assert len(list((folder / "cache" / "teacher").glob("[!.]*"))) == 1
    records = [metrics(path.parent) for path in sorted((folder / "out").glob("*/metrics.json"))]
    assert [record["seed"] for record in records] == [0, 1]
    assert records[0]["teacher"]["metrics"] == records[1]["teacher"]["metrics"]
    assert records[0]["fingerprints"]["splits"] == records[1]["fingerprints"]["splits"]
    values = [record["student"]["metrics"]["dev"]["accuracy"] for record in records]
    shown = f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
    table = done.out[done.out.index("Student over 2 seeds (0, 1), teacher seed 0:") :]
    assert shown in table
    assert f"{min(values):.4f}" in table
    first, second = (predictions(path.parent, "dev") for path in sorted((folder / "out").glob("*/metrics.json")))
    assert [line["teacher_logits"] for line in first] == [line["teacher_logits"] for line in second]
    assert [line["student_logits"] for line in first] != [line["student_logits"] for line in second]


def times(folder: Path) -> dict[Path, int]:
    """When each file was written; locks are touched by every run."""
    files = (path for path in folder.rglob("*") if ".locks" not in path.parts)
    return {path: path.stat().st_mtime_ns for path in files if path.name != ".locks"}


def test_finished_run_returns_at_once(lab: Lab, two_seeds, monkeypatch: pytest.MonkeyPatch):
    folder, _, done = two_seeds
    forbid_training(monkeypatch)
    before = times(folder / "out")
    again = lab.run(*lab.words(folder / "out", "--seeds", 2, "teacher.epochs=2"), env={"KDLAB_CACHE": str(folder)})
    assert again.code == 0, again.err
    assert again.out.count("is finished already (--fresh runs it again)") == 2
    assert again.out[again.out.index("Student over 2 seeds") :] == done.out[done.out.index("Student over 2 seeds") :]
    assert times(folder / "out") == before


def test_a_foreign_record_is_refused_and_fresh_keeps_it(lab: Lab, tmp_path: Path):
    (folder,) = lab.train(tmp_path, method="finetune")
    (folder / "metrics.json").write_text(json.dumps({**metrics(folder), "colour": "red"}))
    words = lab.words(tmp_path, method="finetune")
    assert "has a field 'colour' that kdlab" in lab.run(*words).sentence
    again = lab.run(*words, "--fresh")
    assert again.code == 0, again.err
    assert "colour" not in metrics(folder)
    assert metrics(folder.with_name(f"{folder.name}.1"))["colour"] == "red"


def test_fresh_run_keeps_the_record_before(lab: Lab, tmp_path: Path):
    (folder,) = lab.train(tmp_path, method="finetune")
    (folder / "mark").write_text("")
    lab.train(tmp_path, "--fresh", method="finetune")
    kept = folder.with_name(f"{folder.name}.1")
    assert (kept / "mark").exists()
    assert not (folder / "mark").exists()
    assert predictions(folder, "dev") == predictions(kept, "dev")  # the same seed, the same student
    lab.train(tmp_path, "--fresh", method="finetune")
    assert folder.with_name(f"{folder.name}.2").is_dir()
    assert (kept / "mark").exists()


def test_an_unfinished_folder_is_finished(lab: Lab, tmp_path: Path):
    plan = lab.run(*lab.words(tmp_path, "--dry-run", method="finetune"))
    folder = Path(plan.field("records"))
    folder.mkdir()
    (folder / "half").write_text("")
    (made,) = lab.train(tmp_path, method="finetune")
    assert made == folder
    assert metrics(folder)["seed"] == 0


def test_seeds_of_student_teacher_and_split_are_three(lab: Lab, tmp_path: Path):
    def keys(*words: object) -> tuple[str, str, str]:
        plan = lab.run(*lab.words(tmp_path, *words, "--dry-run"))
        teacher = plan.field("teacher").rpartition("fingerprint ")[2]
        return plan.field("data").rpartition("fingerprint ")[2], teacher, plan.field("records")

    data, teacher, record = keys()
    assert keys("--seed", 1)[:2] == (data, teacher)
    assert keys("--seed", 1)[2] != record
    assert keys("teacher.seed=1")[0] == data
    assert keys("teacher.seed=1")[1] != teacher
    assert keys("teacher.seed=1")[2] != record
    assert keys("data.split_seed=1")[0] != data
    assert keys("data.split_seed=1")[1] != teacher


def test_teacher_and_student_learn_from_the_same_subset(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = {}
    real = kdlab.pipeline.execute.fit

    def spy(module, data, *rest):
        seen[rest[0].title] = {name: examples.ids for name, examples in data.examples.items()}
        return real(module, data, *rest)

    monkeypatch.setattr(kdlab.pipeline.execute, "fit", spy)
    monkeypatch.setattr(kdlab.pipeline.teacher, "fit", spy)
    (folder,) = lab.train(tmp_path, "--limit-train", "50%", "--seed", 3, "data.split_seed=11")
    assert seen["teacher"] == seen["student"]
    held, train = seen["student"]["holdout"], seen["student"]["train"]
    assert len(train) + len(held) == 32
    assert not set(train) & set(held)
    assert metrics(folder)["split_seed"] == 11
    assert len(seen["student"]["dev"]) == 24


# --- teachers with a head --------------------------------------------------------------------------------------------


def reorder(source: Path, target: Path, labels: tuple[str, ...], order: list[int]) -> Path:
    """The same classifier with the rows of its head in another order."""
    write_checkpoint(target, labels=labels)
    state = load_file(source / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name][order].clone()
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_teacher_with_the_tasks_labels_is_used_as_it_is(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    straight = write_checkpoint(tmp_path / "straight", labels=("entailment", "not_entailment"), seed=7)
    turned = reorder(straight, tmp_path / "turned", ("NOT ENTAILMENT", "Entailment"), [1, 0])
    unnamed = reorder(straight, tmp_path / "unnamed", ("LABEL_0", "LABEL_1"), [1, 0])
    stated = "teacher.labels=[not_entailment, entailment]"
    logits = []
    fits = []
    real = kdlab.pipeline.teacher.fit
    monkeypatch.setattr(kdlab.pipeline.teacher, "fit", lambda *args: fits.append(args) or real(*args))
    for teacher, words in ((straight, ()), (turned, ()), (unnamed, (stated,))):
        plan = lab.run(*lab.words(tmp_path / teacher.name, "--teacher", teacher, "--dry-run", *words))
        assert "used as it is" in plan.field("teacher")
        (folder,) = lab.train(tmp_path / f"out-{teacher.name}", "--teacher", teacher, *words)
        logits.append([line["teacher_logits"] for line in predictions(folder, "dev")])
    assert not fits
    assert logits[0] == logits[1] == logits[2]
    assert len({tuple(row) for row in logits[0]}) > 1
    other = lab.run(*lab.words(tmp_path / "o", "--teacher", unnamed, "--dry-run"))
    assert "to be fine-tuned (its head says LABEL_0, LABEL_1, not entailment, not_entailment; teacher.labels=[…]" in (
        other.field("teacher")
    )


# --- tasks of other kinds, and a user's own --------------------------------------------------------------------------


def test_own_task_and_own_method(lab: Lab, tmp_path: Path):
    rows = "".join(f'"the {("man", "dog")[i % 2]}, {i}",{("glad", "sad")[i % 2]}\n' for i in range(40))
    (tmp_path / "mine.csv").write_text(f"said,mood\n{rows}")
    (tmp_path / "mine.yaml").write_text(
        "name: moods\nfiles: {train: mine.csv, test: mine2.csv}\ncolumns: {text: said, label: mood}\n"
        "labels: [sad, glad]\nmetrics: [f1, accuracy]\n"
    )
    (tmp_path / "mine2.csv").write_text("said\nthe man\nthe dog\n")
    words = ["run", "--method", method_file(tmp_path), "--task", tmp_path / "mine.yaml", "--teacher", lab.teacher]
    words += ["--student", "layers:0,2", "--out", tmp_path / "out", "training.epochs=1", "teacher.epochs=1"]
    words += ["--accelerator", "cpu", "weighted.weight=0.5"]
    done = lab.run(*words)
    assert done.code == 0, done.err
    (folder,) = (path.parent for path in (tmp_path / "out").glob("weighted-moods-files-s0-*/metrics.json"))
    assert set(metrics(folder)["student"]["metrics"]["dev"]) == {"f1", "accuracy"}
    assert metrics(folder)["selection"]["metric"] == "val/f1"
    assert {line["gold"] for line in predictions(folder, "dev")} == {"glad", "sad"}
    assert len(predictions(folder, "test")) == 2
    words[words.index(tmp_path / "mine.yaml")] = tmp_path / "out" / ".." / "mine.yaml"  # the same file by another path
    words[2] = str(words[2]).replace("weighted.py", "../" + tmp_path.name + "/weighted.py")
    assert Path(lab.run(*words, "--dry-run").field("records")) == folder
    changed = METHOD.replace("self.config.weight * loss", "loss")
    (tmp_path / "weighted.py").write_text(changed)  # another method of the same name is not finished
    again = lab.run(*words, "--dry-run")
    assert Path(again.field("records")) != folder


def test_regression(lab: Lab, tmp_path: Path):
    (folder,) = lab.train(tmp_path, task="stsb", method="mixkd")
    found = metrics(folder)
    assert set(found["student"]["metrics"]["dev"]) == {"pearson", "spearman"}
    line = predictions(folder, "dev")[3]
    assert line["gold"] == 4.2
    assert line["student"] == line["student_logits"][0]


def test_mnli_has_two_dev_splits_and_answers_all_three_test_files(lab: Lab, tmp_path: Path):
    (folder,) = lab.train(tmp_path, task="mnli")
    found = metrics(folder)
    assert set(found["student"]["metrics"]) == set(found["teacher"]["metrics"]) == {"dev", "dev_mm"}
    sizes = {split: len(predictions(folder, split)) for split in ("dev", "dev_mm", "test", "test_mm", "test_ax")}
    assert sizes == {"dev": 15, "dev_mm": 18, "test": 7, "test_mm": 8, "test_ax": 6}
    assert sorted(path.name for path in (folder / "glue").iterdir()) == ["AX.tsv", "MNLI-m.tsv", "MNLI-mm.tsv"]


def test_ax_is_predicted_by_a_model_of_mnli(lab: Lab, tmp_path: Path):
    (folder,) = lab.train(tmp_path, task="ax", method="finetune")
    assert set(metrics(folder)["student"]["metrics"]) == {"dev"}
    assert [path.name for path in (folder / "glue").iterdir()] == ["AX.tsv"]
    assert len((folder / "glue" / "AX.tsv").read_text().splitlines()) == 7


def test_a_terminal_without_our_signs_gets_question_marks(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    assert kdlab.cli.main([str(word) for word in lab.words(tmp_path, "--dry-run")]) == 0
    plain.flush()
    assert b"hardware    1 ? CPU" in plain.buffer.getvalue()
