"""The cache between runs: teachers, tokenised data and clean logits, each under a fingerprint of all it depends on.

An entry is a folder ``<root>/<kind>/<key>`` with a ``manifest.json`` that lists every file with its SHA-256. It is
built under a temporary name while a lock is held and renamed when it is complete, so that nobody sees half an entry and
eight processes that ask for one teacher train it once. A damaged entry is rebuilt.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdlab.errors import KdlabError
from kdlab.system.distributed import barrier, broadcast, rank, world_size
from kdlab.system.files import _to_disk, file_digest, write_atomic, writing

MANIFEST = "manifest.json"
Say = Callable[[str], None]


def default_root() -> Path:
    """``$KDLAB_CACHE``, else ``$XDG_CACHE_HOME/kdlab``, else ``~/.cache/kdlab``."""
    if root := os.environ.get("KDLAB_CACHE"):
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kdlab"


KINDS = ("teacher", "generator", "tokens", "logits")


@dataclass(frozen=True)
class Entry:
    """One entry as ``kdlab cache`` shows it.

    Attributes:
        kind: One of ``KINDS``.
        folder: Its folder.
        about: Its description from the manifest.
        size: Bytes.
        damage: What is wrong with it; empty where nothing is, None where it was not checked.
    """

    kind: str
    folder: Path
    about: str
    size: int
    damage: str | None


class Cache:
    """A folder of fingerprinted entries.

    Args:
        root: Folder of the entries; None takes ``default_root()``.
        say: Called with a sentence when an entry was damaged and is made again.
    """

    def __init__(self, root: Path | None = None, say: Say = lambda _: None) -> None:
        try:
            self.root = (root or default_root()).expanduser()
        except RuntimeError as e:
            raise KdlabError(f"KDLAB_CACHE={root or default_root()}: there is no such home folder.") from e
        self.say = say
        self._builds_alone = False  # whether rank 0 is building an entry that the others wait for

    def path(self, kind: str, key: str) -> Path:
        """The entry's folder, whether it exists or not."""
        return self.root / kind / key[:32]

    def find(self, kind: str, key: str) -> Path | None:
        """The entry's folder where it exists and every file matches its checksum, else None."""
        folder = self.path(kind, key)
        return folder if folder.is_dir() and not _damage(folder) else None

    def entries(self, verify: bool = False) -> list[Entry]:
        """Every finished entry.

        Args:
            verify: Whether to read every file and compare its checksum.
        """
        entries = []
        for folder in sorted(f for f in self._folders() if f.is_dir()):
            try:
                manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                manifest = {}
            description = {k: v for k, v in manifest.items() if k not in ("kind", "key", "files")}
            about = ", ".join(f"{k} {v}" for k, v in description.items())
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
            entries.append(Entry(folder.parent.name, folder, about, size, _damage(folder) if verify else None))
        return entries

    def clear(self) -> int:
        """Removes every entry and the remains of unfinished ones; returns how many entries there were.

        Waits for an entry that another process is making.
        """
        entries = self.entries()
        for folder in self._folders():
            lock = self._lock(folder)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(folder.with_name(f".{folder.name}.work"), ignore_errors=True)
            lock.release()
        return len(entries)

    def _folders(self) -> set[Path]:
        """Folders of entries, finished or being made; other files in the cache folder are left alone."""
        paths = [p for kind in KINDS if (self.root / kind).is_dir() for p in (self.root / kind).iterdir()]
        matches = [(p, re.fullmatch(r"\.?([0-9a-f]{32})(\.work|\.lock)?", p.name)) for p in paths]
        return {p.with_name(match[1]) for p, match in matches if match}

    def get_or_make(
        self,
        kind: str,
        key: str,
        build: Callable[[Path], None],
        about: dict[str, Any],
        resumable: bool = False,
        on_all_ranks: bool = False,
    ) -> Path:
        """The entry's folder, built first where it is missing or damaged.

        Args:
            kind: One of ``KINDS``.
            key: Fingerprint of everything that the content depends on.
            build: Writes the content into the (temporary, empty) folder that it is called with.
            about: Description of the entry for people, written into the manifest.
            resumable: Whether ``build`` can resume from what it had written when it was killed.
            on_all_ranks: Whether every process of this run builds (a training over several devices); otherwise rank 0
                builds and the others wait.

        Raises:
            KdlabError: The cache folder cannot be written.
        """
        if self._builds_alone and world_size() > 1:
            raise ValueError(f"{kind} is asked for where rank 0 alone builds another entry: ask for it before")
        folder = self.path(kind, key)
        lock = self._lock(folder) if rank() == 0 else None
        try:
            if broadcast(lock is not None and self._is_missing(kind, folder)):
                work = folder.with_name(f".{folder.name}.work")
                if lock is not None:
                    self._builds_alone = not on_all_ranks
                    try:
                        self._build(work, build, {"kind": kind, "key": key, **about}, resumable)
                    finally:
                        self._builds_alone = False
                    work.rename(folder)
                elif on_all_ranks:
                    build(work)
                barrier()
            return folder
        finally:
            if lock is not None:
                lock.release()

    def _lock(self, folder: Path) -> FileLock:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.with_name(f".{folder.name}.lock"))
            lock.acquire()
        except OSError as e:
            raise KdlabError(
                f"The cache folder {folder.parent} can't be written ({e.strerror}): set KDLAB_CACHE to one that can."
            ) from e
        return lock

    def _is_missing(self, kind: str, folder: Path) -> bool:
        """Whether the entry must be built; a damaged one is removed first."""
        if not folder.is_dir():
            return True
        damage = _damage(folder)
        if damage:
            self.say(f"The cached {kind} {folder} is damaged ({damage}): it is made again.")
            shutil.rmtree(folder)
        return bool(damage)

    def _build(self, work: Path, build: Callable[[Path], None], about: dict[str, Any], resumable: bool) -> None:
        """Builds the entry in the folder ``work``, which the lock reserves for this process."""
        if work.exists() and not resumable:
            shutil.rmtree(work)
        try:
            work.mkdir(exist_ok=True)
            build(work)
            files = sorted(p for p in work.rglob("*") if p.is_file())
            with writing(work):
                for file in files:
                    _to_disk(file)
            sums = {p.relative_to(work).as_posix(): file_digest(p) for p in files}
            write_atomic(work / MANIFEST, json.dumps({**about, "files": sums}, indent=1))
        except Exception:
            if not resumable:
                shutil.rmtree(work, ignore_errors=True)
            raise


def _damage(folder: Path) -> str:
    """What is wrong with an entry, or the empty string."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return f"no readable {MANIFEST}"
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if file_digest(path) != digest:
            return f"{name} does not match its checksum"
    return ""
