"""What is remembered of files: digests by their state, and facts by what they depend on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.system import facts as module
from kdlab.system import upkeep
from kdlab.system.cache import Cache
from kdlab.system.facts import Facts
from kdlab.system.files import file_digest, fingerprint

LARGE = b"weights " * 2**18  # 2 MiB


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read for their digest."""
    seen: list[Path] = []

    def counted(path: Path) -> str:
        seen.append(path)
        return file_digest(path)

    monkeypatch.setattr(module, "file_digest", counted)
    return seen


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute has passed since the test's files were written."""
    now = time.time
    monkeypatch.setattr(module.time, "time", lambda: now() + 60)


def weights(folder: Path, content: bytes = LARGE) -> Path:
    file = folder / "model.safetensors"
    file.write_bytes(content)
    return file


def facts_in(folder: Path) -> Facts:
    """Those of a cache folder that is there."""
    (folder / "cache").mkdir(exist_ok=True)
    return Facts(folder / "cache")


@pytest.mark.usefixtures("later")
def test_a_large_file_is_read_once_for_each_of_its_states(tmp_path: Path, reads: list[Path]) -> None:
    file = weights(tmp_path)
    digests = [facts_in(tmp_path).digest(file) for _ in range(3)]
    assert (digests, reads) == ([file_digest(file)] * 3, [file])
    changed = bytearray(LARGE)
    changed[-1] ^= 1
    times = file.stat()
    weights(tmp_path, bytes(changed))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # of the same size and age, as it seems
    assert facts_in(tmp_path).digest(file) == file_digest(file) != digests[0]
    assert len(reads) == 2


@pytest.mark.usefixtures("later")
def test_a_file_in_the_place_of_another_is_read(tmp_path: Path, reads: list[Path]) -> None:
    facts, file = facts_in(tmp_path), weights(tmp_path)
    first = facts.digest(file)
    other = tmp_path / "other"
    other.write_bytes(LARGE[::-1])
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert facts.digest(file) != first
    assert len(reads) == 2


def test_what_was_just_changed_is_not_remembered(tmp_path: Path, reads: list[Path]) -> None:
    facts, file = facts_in(tmp_path), weights(tmp_path)
    assert facts.digest(file) == facts.digest(file)
    assert len(reads) == 2
    assert not facts.folder.exists()


@pytest.mark.usefixtures("later")
def test_no_cache_is_made_for_it(tmp_path: Path) -> None:
    Facts(tmp_path / "nowhere").digest(weights(tmp_path))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": 3}', '{"fact": 3}'])
def test_a_damaged_fact_is_found_out_again(tmp_path: Path, content: str) -> None:
    facts, file = facts_in(tmp_path), weights(tmp_path)
    facts.digest(file)
    assert facts.known("fit", [1, "a"], lambda: {"missing": []}) == {"missing": []}
    for kept in facts.folder.iterdir():
        kept.write_text(content)
    assert facts.digest(file) == file_digest(file)
    assert facts.known("fit", [1, "a"], lambda: {"missing": ["x"]}) == {"missing": ["x"]}
    assert facts.known("fit", [1, "a"], lambda: pytest.fail("it is known")) == {"missing": ["x"]}
    assert facts.known("fit", [2, "a"], dict) == {}


def test_an_error_is_no_fact(tmp_path: Path) -> None:
    facts = Facts(tmp_path)

    def fails() -> dict[str, object]:
        raise KdlabError("The weights hold NaN.")

    with pytest.raises(KdlabError, match="NaN"):
        facts.known("fit", 1, fails)
    assert facts.known("fit", 1, lambda: {"fine": True}) == {"fine": True}


@pytest.mark.usefixtures("later")
def test_a_cache_that_cant_be_written_costs_time_and_nothing_else(tmp_path: Path, reads: list[Path]) -> None:
    (tmp_path / "file").write_text("no folder")
    facts, file = Facts(tmp_path / "file"), weights(tmp_path)
    assert facts.digest(file) == facts.digest(file) == file_digest(file)
    assert facts.known("fit", 1, dict) == {}
    assert len(reads) == 2


@pytest.mark.usefixtures("later")
def test_verify_reads_what_use_believes(cache: Cache, reads: list[Path]) -> None:
    key = fingerprint("an entry")
    folder = cache.get_or_make("generator", key, lambda f: (f / "big.bin").write_bytes(LARGE), {})
    assert cache.find("generator", key) == cache.find("generator", key) == folder
    assert [path.name for path in reads] == ["big.bin"]  # when it was first used, though twice asked for
    assert [entry.damage for entry in upkeep.entries(cache, verify=True)] == [""]
    spoiled = bytearray(LARGE)
    spoiled[5] ^= 1
    state = module._state
    before = state((folder / "big.bin").stat())
    (folder / "big.bin").write_bytes(bytes(spoiled))
    with pytest.MonkeyPatch.context() as patch:  # as when a disk gives back other bytes than it was given
        patch.setattr(module, "_state", lambda found: before if found.st_size == len(LARGE) else state(found))
        assert cache.find("generator", key) == folder
    assert [entry.damage for entry in upkeep.entries(cache, verify=True)] == ["big.bin does not match its checksum"]
    assert cache.find("generator", key) is None
    assert upkeep.clear(cache) == 1
    assert list(cache.facts.folder.iterdir()) == []
