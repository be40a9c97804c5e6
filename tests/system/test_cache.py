"""The cache: built once by whoever comes first, never half, and made again when damaged."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from kdlab.errors import KdlabError
from kdlab.system import upkeep
from kdlab.system.cache import Cache, default_root
from kdlab.system.files import files_digest, fingerprint, write_array, write_atomic

KEY = fingerprint("a key")


def writer(text: str = "content", calls: list[int] | None = None):
    def build(folder: Path) -> None:
        assert list(folder.iterdir()) == []
        if calls is not None:
            calls.append(1)
        (folder / "sub").mkdir()
        (folder / "sub" / "file.txt").write_text(text)

    return build


def left(cache: Cache) -> list[str]:
    """Everything in the cache but locks."""
    return [p.name for p in cache.root.rglob("*") if not p.name.endswith(".lock") and p.is_file()]


def test_an_entry_is_built_once(cache):
    calls: list[int] = []
    first = cache.get_or_make("tokens", KEY, writer(calls=calls), {"task": "rte"})
    again = cache.get_or_make("tokens", KEY, writer("other", calls), {})
    assert first == again == cache.find("tokens", KEY) == cache.path("tokens", KEY)
    assert len(calls) == 1
    assert (first / "sub" / "file.txt").read_text() == "content"
    manifest = json.loads((first / "manifest.json").read_text())
    assert manifest["kind"] == "tokens"
    assert manifest["key"] == KEY
    assert manifest["task"] == "rte"
    assert list(manifest["files"]) == ["sub/file.txt"]
    assert cache.said == []


def test_kinds_and_keys_do_not_mix(cache):
    paths = [cache.get_or_make(k, fingerprint(n), writer(f"{k}{n}"), {}) for k in ("teacher", "logits") for n in (1, 2)]
    assert len(set(paths)) == 4
    assert [(p / "sub" / "file.txt").read_text() for p in paths] == ["teacher1", "teacher2", "logits1", "logits2"]


def test_the_folder_is_named_by_half_the_key(cache):
    assert len(KEY) == 64
    assert cache.path("tokens", KEY) == cache.root / "tokens" / KEY[:32]


def _ask(root: str, log: str) -> None:
    def build(folder: Path) -> None:
        with open(log, "a") as f:  # noqa: PTH123 - appending one line is atomic
            f.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        (folder / "made.txt").write_text(str(os.getpid()))

    entry = Cache(Path(root)).get_or_make("tokens", KEY, build, {})
    Path(f"{log}.{os.getpid()}").write_text((entry / "made.txt").read_text())


def test_four_processes_at_once_build_once(tmp_path):
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_ask, args=(str(tmp_path / "cache"), str(log))) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    (builder,) = log.read_text().split()
    assert [p.read_text() for p in tmp_path.glob("log.*")] == [builder] * 4


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda e: (e / "sub" / "file.txt").write_text("cantent"), "sub/file.txt does not match its checksum"),
        (lambda e: (e / "sub" / "file.txt").unlink(), "sub/file.txt is missing"),
        (lambda e: (e / "manifest.json").unlink(), "no readable manifest.json"),
        (lambda e: (e / "manifest.json").write_text("{"), "no readable manifest.json"),
    ],
)
def test_a_damaged_entry_is_said_and_made_again(cache, harm, said):
    entry = cache.get_or_make("tokens", KEY, writer(), {})
    harm(entry)
    assert cache.find("tokens", KEY) is None
    again = cache.get_or_make("tokens", KEY, writer("new"), {})
    assert again == entry
    assert (again / "sub" / "file.txt").read_text() == "new"
    assert len(cache.said) == 1
    assert said in cache.said[0]
    assert "made again" in cache.said[0]


def test_a_build_that_fails_leaves_nothing(cache):
    def fails(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        cache.get_or_make("tokens", KEY, fails, {})
    assert left(cache) == []
    assert cache.find("tokens", KEY) is None
    assert cache.get_or_make("tokens", KEY, writer(), {}) == cache.path("tokens", KEY)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KdlabError, match="set KDLAB_CACHE"):
        Cache(tmp_path / "file").get_or_make("tokens", KEY, writer(), {})


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "a"))
    assert default_root() == tmp_path / "a"
    monkeypatch.delenv("KDLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert default_root() == tmp_path / "b" / "kdlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert default_root() == tmp_path / "c" / ".cache" / "kdlab"


def test_fingerprints_tell_values_apart_and_ignore_the_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    values = [(1, 2), (2, 1), ([1, 2],), ("1", 2), (1.5, 2), (12,), (), (None,), (True, 2)]
    assert len({fingerprint(*v) for v in values}) == len(values)


def test_folders_are_told_apart_by_names_and_bytes(tmp_path):
    digests = set()
    for i, (name, text) in enumerate([("a.txt", "x"), ("b.txt", "x"), ("a.txt", "y")]):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / name).write_text(text)
        (tmp_path / str(i) / "ignored.log").write_text(str(i))
        digests.add(files_digest(tmp_path / str(i), (tmp_path / str(i)).glob("*.txt")))
    assert len(digests) == 3
    (tmp_path / "0" / "ignored.log").write_text("changed")
    assert files_digest(tmp_path / "0", [*(tmp_path / "0").glob("*.txt"), tmp_path / "0" / "a.txt"]) in digests


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "file.txt"
    write_atomic(file, "old")

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(KdlabError, match="disk full"):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert [p.name for p in file.parent.iterdir()] == ["file.txt"]
    monkeypatch.undo()
    write_atomic(file, "neu: ü")
    assert file.read_text(encoding="utf-8") == "neu: ü"
    write_atomic(file, json.dumps({"path": "caf\udce9"}, ensure_ascii=False))  # é as Latin-1 has it, in a file's name
    assert json.loads(file.read_text(encoding="utf-8")) == {"path": "caf\udce9"}


def test_clearing_touches_nothing_of_anybody_elses(cache):
    """A user may point KDLAB_CACHE at a folder that holds other things."""
    entry_folder = cache.get_or_make("tokens", KEY, writer(), {})
    others = [cache.root / name for name in ("projects/thesis", ".ssh/keys", "tokens/notes", f"photos/{KEY[:32]}")]
    for folder in others:
        folder.mkdir(parents=True)
        (folder / "file").write_text("mine")
    assert [entry.folder for entry in upkeep.entries(cache)] == [entry_folder]
    assert upkeep.clear(cache) == 1
    assert not entry_folder.exists()
    assert all((folder / "file").read_text() == "mine" for folder in others)
    assert not list(cache.root.glob("projects/.*"))


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        '"x"',
        "null",
        "{}",
        '{"files": []}',
        '{"files": {"sub/file.txt": 5}}',
        '{"files": null}',
        "[" * 100_000,
    ],
)
def test_a_manifest_of_another_shape_is_damage_like_any_other(cache, manifest):
    folder = cache.get_or_make("tokens", KEY, writer(), {})
    (folder / "manifest.json").write_text(manifest)
    assert cache.find("tokens", KEY) is None
    assert [entry.damage for entry in upkeep.entries(cache, verify=True)] == ["no readable manifest.json"]
    assert cache.get_or_make("tokens", KEY, writer("again"), {}) == folder
    assert (folder / "sub" / "file.txt").read_text() == "again"
    (folder / "manifest.json").write_text(manifest)
    assert upkeep.clear(cache) == 1
    assert left(cache) == []


def test_an_array_that_was_cut_before_its_checksum_was_taken_is_found(cache):
    def build(folder: Path) -> None:
        write_array(folder / "a.npy", np.arange(1000))

    folder = cache.get_or_make("logits", KEY, build, {})
    whole = (folder / "a.npy").read_bytes()
    (folder / "a.npy").write_bytes(whole[:-100])
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["a.npy"] = digest_of(folder / "a.npy")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert cache.find("logits", KEY) is None
    cache.get_or_make("logits", KEY, build, {})
    assert "a.npy can't be read" in cache.said[0]
    assert (folder / "a.npy").read_bytes() == whole


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_cut_while_it_is_written_becomes_no_entry(cache):
    def build(folder: Path) -> None:
        write_array(folder / "a.npy", np.arange(1000))
        (folder / "a.npy").write_bytes((folder / "a.npy").read_bytes()[:-1])  # as where the last flush fails unheard

    with pytest.raises(KdlabError, match=r"a\.npy is not whole"):
        cache.get_or_make("logits", KEY, build, {})
    assert cache.find("logits", KEY) is None


def test_an_entry_that_can_not_be_loaded_is_made_again(cache):
    loads = []

    def load(folder: Path) -> str:
        loads.append(folder)
        if (content := (folder / "sub" / "file.txt").read_text()) != "new":
            raise AttributeError("no such layer")
        return content

    cache.get_or_make("teacher", KEY, writer("old"), {})
    assert cache.get_or_make("teacher", KEY, writer("new"), {}, load=load) == "new"
    assert len(loads) == 2
    assert cache.get_or_make("teacher", KEY, writer("newer"), {}, load=load) == "new"
    assert len(loads) == 3  # once where it is whole
    assert "no such layer" in cache.said[0]
    assert cache.said[0].endswith("it is made again.")


def test_a_process_killed_between_manifest_and_rename_leaves_no_trace(cache):
    work = cache.root / "teacher" / f".{KEY[:32]}.work"
    work.mkdir(parents=True)
    (work / "manifest.json").write_text('{"files": {}}')
    (work / "kept").write_text("of the killed process")

    def build(folder: Path) -> None:
        assert [p.name for p in folder.iterdir()] == ["kept"]

    folder = cache.get_or_make("teacher", KEY, build, {}, resumable=True)
    assert list(json.loads((folder / "manifest.json").read_text())["files"]) == ["kept"]
    assert cache.find("teacher", KEY) == folder


def test_pruning_takes_remains_of_interrupted_builds_for_entries(cache):
    made = cache.get_or_make("tokens", KEY, writer(), {})
    remains, in_work = (cache.root / "pool" / f".{fingerprint(name)[:32]}.work" for name in ("old", "busy"))
    for folder, time_ in ((remains, 1), (in_work, 2), (made, 3)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rows").write_text("x" * 1000)
        os.utime(folder, (time_, time_))
    files = [p for folder in (remains, in_work, made) for p in folder.rglob("*") if p.is_file()]
    whole = sum(p.stat().st_size for p in files)
    assert upkeep.prune(cache, whole) == (0, whole)
    with FileLock(in_work.with_name(in_work.name.replace(".work", ".lock"))):
        assert upkeep.prune(cache, whole - 1) == (1, whole - 1000)
        assert (remains.exists(), in_work.exists(), made.exists()) == (False, True, True)
        assert upkeep.prune(cache, 0) == (1, 1000)
    assert upkeep.prune(cache, 0) == (1, 0)
    assert upkeep.prune(cache, 0) == (0, 0)


def test_waiting_says_for_whom(cache):
    folder = cache.path("teacher", KEY)
    folder.parent.mkdir(parents=True)
    taken = threading.Event()

    def hold() -> None:
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            taken.set()
            time.sleep(0.3)

    threading.Thread(target=hold).start()
    taken.wait()
    cache.get_or_make("teacher", KEY, writer(), {"task": "rte", "seed": 3})
    assert cache.said == [f"Waiting for another process that makes the teacher of task rte, seed 3 ({folder})."]


def test_a_cache_that_may_only_be_read_is_used(cache, monkeypatch):
    folder = cache.get_or_make("tokens", KEY, writer(), {})

    def refuses(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refuses)
    with pytest.raises(KdlabError, match="can't be written"):
        cache.get_or_make("tokens", KEY, writer(), {})  # it may be written, and so it is another fault
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cache.get_or_make("tokens", KEY, writer(), {}) == folder
    with pytest.raises(KdlabError, match="can't be written"):
        cache.get_or_make("tokens", fingerprint("another"), writer(), {})


def test_a_file_of_another_user_is_not_called_damaged(cache, monkeypatch):
    folder = cache.get_or_make("tokens", KEY, writer(), {})

    def refuses(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("kdlab.system.facts.file_digest", refuses)
    with pytest.raises(KdlabError, match=r"file\.txt may not be read: it is another user's"):
        cache.get_or_make("tokens", KEY, writer("again"), {})
    assert (folder / "sub" / "file.txt").read_text() == "content"


@pytest.mark.parametrize(
    "array", [np.arange(6.0, dtype=np.float32).reshape(2, 3), np.zeros((0,), np.uint8), np.ones((3, 2))[:, 1]]
)
def test_arrays_are_written_as_numpy_writes_them(tmp_path, array):
    write_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_an_array_on_a_full_disk_is_a_sentence():
    with pytest.raises(KdlabError, match=r"/dev/full can't be written \(No space left on device\): make room"):
        write_array(Path("/dev/full"), np.arange(10))
