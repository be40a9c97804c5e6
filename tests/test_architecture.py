"""Imports go one way, and the words of the command line cost no torch."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from architecture import FLOOR, ROOT, circles, files, graph, module_of, report, room_of, violations
from packaging.version import Version

HEAVY = {"torch", "lightning", "transformers", "numpy", "datasets", "omegaconf", "rich", "wandb"}


@pytest.mark.parametrize("file", files(), ids=[module_of(f) for f in files()])
def test_imports_go_down(file):
    room = room_of(module_of(file))
    assert room in FLOOR, f"{file}: '{room}' stands on no floor: give it one in tests/architecture.py"
    assert violations(room, file.read_text(encoding="utf-8"), str(file)) == []


@pytest.mark.parametrize("rooms", [True, False], ids=["rooms", "modules"])
def test_no_imports_go_round_in_circles(rooms):
    assert circles(graph(rooms)) == []


def test_a_circle_is_found_with_its_members():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert circles(arrows) == [["a", "b", "c"]]


def test_the_report_names_every_room_once():
    text, well = report()
    assert well
    shown = [line.split()[2] for line in text.splitlines() if line.startswith("floor")]
    assert sorted(shown) == sorted({room_of(module_of(file)) for file in files()})


@pytest.mark.parametrize(
    ("own", "source", "wrong"),
    [
        ("models", "import os\nfrom kdlab.data.batches import encode", "f.py:2: 'models' imports 'kdlab.data.batches'"),
        ("losses", "from kdlab.ops import mixup", "f.py:1: 'losses' imports 'kdlab.ops.mixup'"),
        (
            "methods",
            "def f():\n    from kdlab.training.fit import fit",
            "f.py:2: 'methods' imports 'kdlab.training.fit'",
        ),
        ("types", "import kdlab.data.tasks", "f.py:1: 'types' imports 'kdlab.data.tasks'"),
        ("models", "if TYPE_CHECKING:\n    from kdlab import methods", "f.py:2: 'models' imports 'kdlab.methods'"),
        ("data", "from .tasks import TASKS", "f.py:1: imports are written in full"),
        ("training", "from kdlab.nowhere import x", "'nowhere' stands on no floor"),
    ],
)
def test_a_wrong_import_is_found_with_its_line(own, source, wrong):
    (found,) = violations(own, source, "f.py")
    assert wrong in found


def test_a_right_import_is_not_found():
    source = (
        "from kdlab import __version__\nfrom kdlab.data.tasks import X\nfrom kdlab.data import embedded\nimport torch"
    )
    assert violations("data", source, "f.py") == []


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "kdlab", "--help"],
        ["-m", "kdlab.run", "--help"],
        ["-m", "kdlab.run", "--list", "methods"],
        ["-m", "kdlab.run", "--list", "students"],
        ["-m", "kdlab.run", "--list", "tasks"],
        ["-m", "kdlab.run", "--list", "ood"],
        ["-m", "kdlab", "evaluate", "--help"],
    ],
    ids=" ".join,
)
def test_words_alone_import_nothing_heavy(words):
    done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, timeout=60)
    loaded = {
        line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "import time" in line
    }
    assert "argparse" in loaded
    assert done.returncode == 0
    assert done.stdout.strip()
    assert not loaded & HEAVY


def test_the_registry_of_methods_is_literal():
    """So that it can be listed without importing a method."""
    from kdlab.methods import METHODS

    tree = ast.parse((ROOT / "methods" / "__init__.py").read_text(encoding="utf-8"))
    (value,) = [node.value for node in tree.body if isinstance(node, ast.AnnAssign) and node.target.id == "METHODS"]
    assert ast.literal_eval(value) == METHODS
    for name, (where, line) in METHODS.items():
        module, _, _ = where.partition(":")
        assert (ROOT.parent / Path(*module.split("."))).with_suffix(".py").is_file(), name
        assert line


NAMES = {"pyyaml": "yaml", "scikit-learn": "sklearn"}  # package to module, where they differ
NOT_IMPORTED = {"tensorboard"}  # what Lightning's logger writes with


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = {re.split(r"[<>=! ]", line)[0] for line in project["dependencies"]}
    modules = {NAMES.get(name, name).replace("-", "_") for name in packages - NOT_IMPORTED}
    imported = set()
    for file in files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"kdlab"} == modules


def test_the_lowest_versions_are_those_that_were_tried():
    """constraints-lowest.txt pins what the bounds of pyproject.toml say; the whole suite passed with it."""
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    bounds = dict(line.split(">=") for line in lines if not line.startswith("kdlab["))
    text = (ROOT.parent / "constraints-lowest.txt").read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if line and not line.startswith("#"))
    assert {name: Version(pins[name]) for name in bounds if name != "torch"} == {
        name: Version(bound) for name, bound in bounds.items() if name != "torch"
    }


@pytest.mark.parametrize("file", sorted((ROOT.parent / "experiments").rglob("*.py")), ids=lambda file: file.stem)
def test_experiments_import_what_is_there(file):
    """Inside functions too, which only a whole benchmark would run."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kdlab"):
            module = importlib.import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                part = hasattr(module, "__path__") and importlib.util.find_spec(f"{node.module}.{name}") is not None
                assert hasattr(module, name) or part, f"{file}:{node.lineno}: {node.module} has no {name}"
