"""Answers that are kept between commands, by what was asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kdlab.attacks.store import FILE, Store
from kdlab.errors import KdlabError


class Model:
    """Answers a question with itself in capitals, and remembers what it was asked."""

    def __init__(self, asked: Sequence[str]) -> None:
        self.questions = asked
        self.asked: list[str] = []

    def find(self, places: list[int]) -> list[bytes]:
        self.asked += [self.questions[i] for i in places]
        return [self.questions[i].upper().encode("utf-8", "surrogatepass") for i in places]


def ask(store: Store, *questions: str) -> list[str]:
    """What the model is asked; the answers must be right."""
    model = Model(questions)
    answers = store.answers(questions, model.find)
    assert [answer.decode("utf-8", "surrogatepass") for answer in answers] == [one.upper() for one in questions]
    return sorted(model.asked)


def test_each_question_is_asked_once(tmp_path: Path):
    store = Store(tmp_path)
    assert ask(store) == []
    assert ask(store, "a", "b", "a", "") == ["", "a", "b"]
    assert ask(store, "b", "c", "c", "a") == ["c"]
    assert ask(store, "a", "b", "c") == []
    store.close()
    assert ask(Store(tmp_path), "c", "b", "d", "") == ["d"]


def test_half_characters_and_empty_answers(tmp_path: Path):
    store = Store(tmp_path)
    assert ask(store, "\ud800", "\ud801", "\0") == ["\0", "\ud800", "\ud801"]
    assert ask(store, "\ud800", "\ud801", "\0") == []
    assert store.answers(["x"], lambda _: [b""]) == [b""]
    assert store.answers(["x"], lambda _: pytest.fail("asked again")) == [b""]


def test_more_questions_than_one_query_takes(tmp_path: Path):
    store, many = Store(tmp_path), [f"q{i}" for i in range(1234)]
    assert len(ask(store, *many)) == 1234
    assert ask(store, *reversed(many), "new") == ["new"]


def spoil_wholly(file: Path) -> None:
    file.write_bytes(b"no database at all, but long enough to have a header" * 20)


def spoil_head(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"x" * 60 + content[60:])


def spoil_table(file: Path) -> None:
    with sqlite3.connect(file) as base:
        base.execute("DROP TABLE answers")
        base.execute("CREATE TABLE answers (other TEXT)")
    base.close()


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("spoil", [spoil_wholly, spoil_head, spoil_table, cut_short, empty])
def test_a_damaged_file_is_made_anew(tmp_path: Path, spoil: Callable[[Path], None]):
    many = [f"q{i}" for i in range(300)]
    store = Store(tmp_path)
    ask(store, *many)
    store.close()
    spoil(tmp_path / FILE)
    store = Store(tmp_path)
    assert len(ask(store, *many)) == 300
    assert ask(store, *many) == []
    store.close()
    assert ask(Store(tmp_path), *many) == []


def test_damage_that_shows_later_costs_another_question_alone(tmp_path: Path):
    many = [f"q{i}" for i in range(2000)]
    store = Store(tmp_path)
    ask(store, *many)
    store.close()
    file = tmp_path / FILE
    content = file.read_bytes()
    third = len(content) // 3
    file.write_bytes(content[:third] + b"\xff" * third + content[2 * third :])
    assert set(ask(Store(tmp_path), *many)) <= set(many)  # whatever is left, the answers are right


def test_several_at_a_time(tmp_path: Path):
    first, second = Store(tmp_path), Store(tmp_path)
    assert ask(first, "a") == ["a"]
    assert ask(second, "a", "b") == ["b"]
    assert ask(first, "a", "b") == []
    first.close()
    assert ask(second, "c") == ["c"]
    second.close()
    assert ask(Store(tmp_path), "a", "b", "c") == []


def test_opened_by_many_threads_at_once(tmp_path: Path):
    for round_ in range(6):
        folder = tmp_path / str(round_)
        folder.mkdir()

        def opened(number: int, folder: Path = folder) -> None:
            store = Store(folder)
            ask(store, "shared", f"own {number}")
            store.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(opened, range(8)))
        assert ask(Store(folder), "shared", *(f"own {i}" for i in range(8))) == []


def test_while_another_command_writes_answers_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kdlab.attacks.store._PATIENCE", 0.05)
    ask(Store(tmp_path), "a", "b")
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = Store(tmp_path)
    assert ask(store, "a", "c") == ["c"]
    assert ask(store, "a", "c") == ["c"]  # it could not be kept
    other.execute("COMMIT")
    assert ask(store, "a", "c") == ["c"]
    assert ask(Store(tmp_path), "a", "b", "c") == []


def test_a_file_that_is_locked_is_not_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kdlab.attacks.store._PATIENCE", 0.05)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE answers (key BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
    with pytest.raises(KdlabError, match="database is locked"):
        Store(tmp_path)
    other.execute("INSERT INTO answers VALUES (?, ?)", (b"0", b"1"))
    other.execute("COMMIT")
    Store(tmp_path).close()
    assert other.execute("SELECT * FROM answers").fetchall() == [(b"0", b"1")]
    other.close()
    with sqlite3.connect(tmp_path / FILE) as base:
        assert base.execute("SELECT * FROM answers").fetchall() == [(b"0", b"1")]


def test_a_folder_that_can_t_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(KdlabError, match=r"answers\.sqlite can't be written"):
        Store(tmp_path / "file")
