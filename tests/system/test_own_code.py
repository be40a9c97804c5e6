"""Classes by name, from a registry or from a user's own file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.system.own_code import about_class, find_class

REGISTRY = {"encoder": ("json:JSONEncoder", "one line"), "decoder": ("json:JSONDecoder", "another")}
OWN = """
from __future__ import annotations

import dataclasses
import json


@dataclasses.dataclass
class Mine(json.JSONEncoder):
    size: int = 3


class Other:
    pass


number = 1
"""


def found(name: str) -> type[json.JSONEncoder]:
    return find_class(name, REGISTRY, json.JSONEncoder, "thing")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def test_a_class_of_the_registry():
    assert found("encoder") is json.JSONEncoder


def test_a_class_of_a_file(own: Path):
    kind = found(f"{own}:Mine")
    assert issubclass(kind, json.JSONEncoder)
    assert kind().size == 3  # a dataclass finds its module
    assert sys.modules[kind.__module__].number == 1


def test_files_of_one_name_are_two_modules(own: Path, tmp_path: Path):
    other = tmp_path / "other" / "own.py"
    other.parent.mkdir()
    other.write_text(OWN.replace("size: int = 3", "size: int = 4"))
    first, second = found(f"{own}:Mine"), found(f"{other}:Mine")
    assert (first().size, second().size) == (3, 4)
    assert first.__module__ != second.__module__


def test_a_path_under_the_home_folder(own: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(own.parent))
    assert found("~/own.py:Mine")().size == 3
    assert about_class("~/own.py:Mine") == about_class(f"{own}:Mine")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encodr", r"There is no thing 'encodr': did you mean encoder or decoder\? Known: decoder, encoder"),
        ("decoder", "decoder is no subclass of json.encoder.JSONEncoder"),
        ("{own}", r"--thing .*own\.py names a file without a class: write .*own\.py:Class"),
        ("{own}:Other", "is no subclass of json.encoder.JSONEncoder"),
        ("{own}:number", "is no subclass"),
        ("{own}:Mien", r"There is no class in .*own\.py 'Mien': did you mean Mine\?"),
        ("{own}:", "There is no class in .*Known: Mine, Other"),
        ("none.py:Mine", r"There is no file none\.py: give --thing path/to/file\.py:Class"),
        ("{folder}:Mine", "There is no thing"),
    ],
)
def test_what_is_not_there_is_named(own: Path, name: str, message: str):
    with pytest.raises(KdlabError, match=message):
        found(name.replace("{own}", str(own)).replace("{folder}", str(own.parent)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise KeyError('x')\n", "KeyError: 'x'"),
        ("\0", "can't be imported"),
    ],
)
def test_a_file_that_can_t_be_imported_leaves_nothing_behind(tmp_path: Path, body: str, message: str):
    file = tmp_path / "own.py"
    file.write_text(body)
    before = set(sys.modules)
    with pytest.raises(KdlabError, match=f"own.py can't be imported.*{message}" if message[0] != "c" else message):
        found(f"{file}:Mine")
    assert not [name for name in set(sys.modules) - before if name.startswith("kdlab_user_")]
    file.write_text(OWN)
    assert found(f"{file}:Mine")().size == 3


def test_what_a_class_is_known_by(own: Path):
    assert about_class("encoder") == ["encoder"]
    name, digest = about_class(f"{own}:Mine")
    assert name == "Mine"
    assert about_class(f"{own}:Mine") == ["Mine", digest]
    own.write_text(OWN + "\n")
    assert about_class(f"{own}:Mine")[1] != digest
