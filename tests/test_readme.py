"""The examples of the README and of docs/, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_fixtures import Lab, metrics, open_lab

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}


def block(language: str, containing: str, text: str = TEXT) -> str:
    """The fenced block of a language that holds some words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (found,) = [b for b in blocks if containing in b]
    return found


def example_files() -> dict[str, str]:
    """The files of docs/extending.md by path: each stands in a block below a line that names it."""
    return dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```", EXTENDING, flags=re.MULTILINE | re.DOTALL))


def write_examples(folder: Path) -> None:
    for name, content in example_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


def test_nothing_is_left_to_be_filled_in():
    assert [name for name, text in PAGES.items() if "@@" in text] == []


def test_the_method_in_one_file_runs(lab: Lab, tmp_path: Path):
    assert "--method logit_matching.py:LogitMatching --task rte logit_matching.weight=0.8" in TEXT
    file = tmp_path / "logit_matching.py"
    file.write_text(block("python", "class LogitMatching"), encoding="utf-8")
    (folder,) = lab.train(tmp_path / "runs", "logit_matching.weight=0.8", method=f"{file}:LogitMatching")
    assert metrics(folder)["method"] == "logit_matching"
    header = (folder / "history" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/ce", "train/match", "val/accuracy"} <= set(header)


@pytest.mark.parametrize(
    ("method", "terms"),
    [
        ("confident_kd.py:ConfidentKD", {"train/ce", "train/soft"}),
        ("logit_critic.py:LogitCritic", {"train/ce", "train/fooled", "train/critic_loss", "train/critic_right"}),
    ],
)
def test_the_methods_of_extending_run(lab: Lab, tmp_path: Path, method: str, terms: set[str]):
    write_examples(tmp_path)
    (folder,) = lab.train(tmp_path / "runs", method=f"{tmp_path}/{method}")
    header = (folder / "history" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert terms <= set(header)


def test_the_task_of_ones_own_runs(lab: Lab, tmp_path: Path):
    (tmp_path / "reviews.yaml").write_text(block("yaml", "name: reviews"), encoding="utf-8")
    for name, count in (("train", 40), ("dev", 12)):
        label = ("1", "positive", "negative", "5")
        lines = [f"the {'man' if i % 2 else 'dog'} sleeps .,{label[i % 4]}" for i in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["body,stars", *lines]) + "\n")
    done = lab.run(
        *("run", "--method", "finetune", "--task", tmp_path / "reviews.yaml", "--teacher", lab.teacher),
        *("--student", "layers:bottom:1", "--out", tmp_path / "runs", "teacher.epochs=1", "training.epochs=1"),
    )
    assert done.code == 0, done.err
    (file,) = (tmp_path / "runs").glob("*/metrics.json")
    assert set(metrics(file.parent)["student"]["metrics"]["dev"]) == {"accuracy", "f1"}


def test_the_task_of_extending_runs(lab: Lab, tmp_path: Path):
    write_examples(tmp_path)
    words = ("--task", tmp_path / "questions.yaml", "--teacher", lab.teacher, "--student", "layers:bottom:1")
    few = ("data.selection=dev", "teacher.epochs=1", "training.epochs=1")
    done = lab.run("run", "--method", "kd", *words, *few, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    (file,) = (tmp_path / "runs").glob("*/metrics.json")
    assert set(metrics(file.parent)["student"]["metrics"]["dev"]) == {"f1", "accuracy"}


def test_every_command_is_one_that_kdlab_knows(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every `kdlab run` line plans on embedded data; what is named in it exists."""
    write_examples(tmp_path)
    monkeypatch.chdir(tmp_path)
    planned = 0
    for page, text in PAGES.items():
        for line in re.findall(r"^kdlab augment (.*[^\\])$", text, flags=re.MULTILINE):
            done = lab.run("augment", *line.split(), "--profile", "embedded", "--no-teacher", "--workers", "1")
            assert done.code == 0, f"{page}: {line}\n{done.err}"
        for line in re.findall(r"^kdlab run (.*?)(?:\s{2,}#.*)?$", text, flags=re.MULTILINE):
            if "--devices" in line or "--method confident_kd " in line:
                continue  # hardware that may not be here, and a method that the reader has moved into the package
            done = lab.run("run", *line.split(), "--profile", "embedded", "--dry-run", "--out", tmp_path / "runs")
            assert done.code == 0, f"{page}: {line}\n{done.err}"
            planned += 1
    assert planned


def test_it_runs_with_postponed_annotations_too(lab: Lab, tmp_path: Path):
    """As every file of kdlab has them, and so will a copy of one."""
    file = tmp_path / "logit_matching.py"
    file.write_text("from __future__ import annotations\n\n" + block("python", "class LogitMatching"), encoding="utf-8")
    plan = lab.run(*lab.words(tmp_path, "logit_matching.weight=0.8", "--dry-run", method=f"{file}:LogitMatching"))
    assert plan.code == 0, plan.err


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert not target or (page.parent / target).is_file(), f"{page.name}: {target}"


@pytest.mark.full
def test_the_examples_stand_in_the_package(tmp_path: Path):
    """In a copy of kdlab with the lines that docs/extending.md adds: the examples' own tests, and the contract's."""
    for name in ("kdlab", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    write_examples(tmp_path)
    for method, line in (("confident_kd", block("python", '    "confident_kd": (', EXTENDING)), ("logit_critic", "")):
        (tmp_path / f"kdlab/methods/{method}.py").write_text(example_files()[f"{method}.py"], encoding="utf-8")
        add = line or '    "logit_critic": ("kdlab.methods.logit_critic:LogitCritic", "a critic of logits"),\n'
        insert(tmp_path / "kdlab/methods/__init__.py", "METHODS: ", add)
    insert(tmp_path / "kdlab/commands/__init__.py", "VERBS: ", block("python", '    "compare": (', EXTENDING))
    later = block("python", '"confident_kd.alpha"', EXTENDING)
    critics = {"weight": 0.5, "width": 32, "critic_learning_rate": 1e-3}
    later += "".join(f'    "logit_critic.{name}": {value},\n' for name, value in critics.items())
    identity = tmp_path / "tests/planning/test_identity.py"
    text = identity.read_text(encoding="utf-8")
    identity.write_text(re.sub(r"^(LATER: .* = \{)", lambda m: f"{m[1]}\n{later}", text, flags=re.MULTILINE))
    chosen = "confident_kd or logit_critic or compare or listed"
    where = [
        "test_confident_kd.py",
        "tests/methods",
        "tests/planning/test_identity.py",
        "tests/commands/test_compare.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *where, "-k", chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def insert(file: Path, after: str, line: str) -> None:
    """Puts a line behind the first that starts so."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(i for i, text in enumerate(lines) if text.startswith(after))
    file.write_text("".join([*lines[: at + 1], line, *lines[at + 1 :]]), encoding="utf-8")
