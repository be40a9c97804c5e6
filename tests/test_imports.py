"""Imports go one way, and the words of the command line cost no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kdlab

ROOT = Path(kdlab.__file__).parent

# A part may import itself and the parts on lines above it; parts on one line are sisters and import none of each other.
RANKS: list[tuple[str, ...]] = [
    ("kdlab", "errors"),  # `kdlab` itself is the version number
    ("distributed",),
    ("types", "cache", "metrics", "console", "hardware", "settings_file"),
    ("data", "models", "losses", "ops", "history"),
    ("inference", "augment", "methods"),
    ("progress", "loggers", "checkpointing", "shown"),
    ("training",),
    ("teacher", "generator"),
    ("robustness", "results", "export", "config"),
    ("backbone", "student_plan"),
    ("plan",),
    ("describe", "figures", "evaluate"),
    ("execute",),
    ("cli", "run"),  # one entry: `run` speaks through `cli`, `cli` runs through `run`
    ("__main__",),
]
RANK = {part: rank for rank, parts in enumerate(RANKS) for part in parts}
FRIENDS = {frozenset({"cli", "run"})}
HEAVY = {"torch", "lightning", "transformers", "numpy", "datasets", "omegaconf", "rich", "wandb"}


def part_of(name: str) -> str:
    """``kdlab.data.tasks`` belongs to ``data``."""
    words = name.split(".")
    return words[1] if len(words) > 1 else "kdlab"


def imported(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and module of every import of kdlab, in functions too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append((node.lineno, "." * node.level))
            elif node.module == "kdlab":  # names of modules, or the version
                known = [a.name for a in node.names if (ROOT / a.name).is_dir() or (ROOT / f"{a.name}.py").is_file()]
                found += [(node.lineno, f"kdlab.{name}") for name in known] or [(node.lineno, "kdlab")]
            elif node.module:
                found.append((node.lineno, node.module))
    return [(line, name) for line, name in found if name.startswith((".", "kdlab.")) or name == "kdlab"]


def violations(own: str, source: str, where: str) -> list[str]:
    """What is wrong with a file's imports, with file and line."""
    wrong = []
    for line, name in imported(ast.parse(source)):
        other = part_of(name)
        if name.startswith("."):
            wrong.append(f"{where}:{line}: imports are written in full, not as '{name}'")
        elif other not in RANK:
            wrong.append(f"{where}:{line}: '{other}' has no rank: give it one in RANKS")
        elif other != own and RANK[other] >= RANK[own] and frozenset({own, other}) not in FRIENDS:
            wrong.append(f"{where}:{line}: '{own}' imports '{name}', which stands beside or above it")
    return wrong


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(f.relative_to(ROOT)) for f in FILES])
def test_imports_go_one_way(file):
    name = file.relative_to(ROOT).parts[0].removesuffix(".py")
    own = "kdlab" if name == "__init__" else name
    assert own in RANK, f"{file}: '{own}' has no rank: give it one in RANKS"
    assert violations(own, file.read_text(encoding="utf-8"), str(file)) == []


@pytest.mark.parametrize(
    ("own", "source", "wrong"),
    [
        ("data", "import os\nfrom kdlab.models.encoder import TextEncoder", "f.py:2: 'data' imports 'kdlab.models"),
        ("losses", "from kdlab.ops import mixup", "f.py:1: 'losses' imports 'kdlab.ops'"),
        (
            "methods",
            "def f():\n    from kdlab.training.fit import fit",
            "f.py:2: 'methods' imports 'kdlab.training.fit'",
        ),
        ("types", "import kdlab.data.tasks", "f.py:1: 'types' imports 'kdlab.data.tasks'"),
        ("models", "if TYPE_CHECKING:\n    from kdlab import methods", "f.py:2: 'models' imports 'kdlab.methods'"),
        ("data", "from .tasks import TASKS", "f.py:1: imports are written in full"),
        ("teacher", "from kdlab.nowhere import x", "'nowhere' has no rank"),
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
