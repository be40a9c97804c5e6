"""The cache between runs: teachers, tokenised data and clean logits, each under a fingerprint of all it depends on.

An entry is a folder ``<root>/<kind>/<key>`` with a ``manifest.json`` that lists every file with its SHA-256. It is
built under a temporary name while a lock is held and renamed when it is complete, so that nobody sees half an entry and
eight processes that ask for one teacher train it once. A damaged entry is rebuilt. Large files are read for their
checksum once for each state of them; ``kdlab cache verify`` reads them again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from kdlab.errors import KdlabError
from kdlab.system.distributed import barrier, broadcast, rank, world_size
from kdlab.system.entries import MANIFEST, damage_of
from kdlab.system.facts import Facts
from kdlab.system.files import (
    check_name,
    clear_parts,
    file_digest,
    settle,
    sync_folder,
    write_atomic,
    writing,
)
from kdlab.system.foreign import door, reason

Say = Callable[[str], None]
T = TypeVar("T")


def default_root() -> Path:
    """``$KDLAB_CACHE``, else ``$XDG_CACHE_HOME/kdlab``, else ``~/.cache/kdlab``.

    Raises:
        KdlabError: There is no home folder, as for a user without an entry in passwd, or none of that name.
    """
    named = os.environ.get("KDLAB_CACHE")
    try:
        if named:
            return Path(named).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "kdlab"
    except RuntimeError as error:
        what = f"KDLAB_CACHE={named}: there is no such home folder" if named else "There is no home folder here"
        raise KdlabError(f"{what}: set KDLAB_CACHE to a folder that can be written.") from error


KINDS = ("teacher", "generator", "tokens", "logits", "pool", "attacks", "answers")


def work_of(folder: Path) -> Path:
    """Where an entry is built before it gets its name."""
    return folder.with_name(f".{folder.name}.work")


def lock_of(folder: Path) -> Path:
    """The file whose lock an entry's builder holds."""
    return folder.with_name(f".{folder.name}.lock")


class Cache:
    """A folder of fingerprinted entries.

    Args:
        root: Folder of the entries; None takes ``default_root()``.
        say: Called with a sentence when an entry was damaged and is made again.
    """

    def __init__(self, root: Path | None = None, say: Say = lambda _: None) -> None:
        self.root = root or default_root()
        check_name(self.root, "Set KDLAB_CACHE to another folder")
        self.say = say
        self.facts = Facts(self.root)
        self._builds_alone = False  # whether rank 0 is building an entry that the others wait for

    def path(self, kind: str, key: str) -> Path:
        """The entry's folder, whether it exists or not."""
        return self.root / kind / key[:32]

    def find(self, kind: str, key: str) -> Path | None:
        """The entry's folder where it exists and every file matches its checksum, else None."""
        folder = self.path(kind, key)
        return folder if folder.is_dir() and not damage_of(folder, self.facts.digest) else None

    def get_or_make(
        self,
        kind: str,
        key: str,
        build: Callable[[Path], None],
        about: dict[str, Any],
        resumable: bool = False,
        on_all_ranks: bool = False,
        load: Callable[[Path], T] = lambda folder: folder,  # type: ignore[assignment,return-value]
    ) -> T:
        """An entry's content, built first where it is missing or damaged.

        Args:
            kind: One of ``KINDS``.
            key: Fingerprint of everything that the content depends on.
            build: Writes the content into the (temporary, empty) folder that it is called with.
            about: Description of the entry for people, written into the manifest.
            resumable: Whether ``build`` can resume from what it had written when it was killed.
            on_all_ranks: Whether every process of this run builds (a training over several devices); otherwise rank 0
                builds and the others wait.
            load: Makes of the entry's folder what is returned, the folder itself unless given; where it raises on an
                entry that is there, the entry is made again.

        Raises:
            KdlabError: The cache folder cannot be written, or the entry may not be read.
        """
        if self._builds_alone and world_size() > 1:
            raise ValueError(f"{kind} is asked for where rank 0 alone builds another entry: ask for it before")
        folder = self.path(kind, key)
        lock = self._lock_or_use(kind, folder, about) if rank() == 0 else None
        loaded: list[T] = []

        def check(entry: Path) -> None:
            loaded.append(load(entry))

        try:
            if broadcast(lock is not None and self._is_missing(kind, folder, check)):
                work = work_of(folder)
                if lock is not None:
                    self._builds_alone = not on_all_ranks
                    try:
                        self._build(work, build, {"kind": kind, "key": key, **about}, resumable)
                    finally:
                        self._builds_alone = False
                    with writing(folder):
                        work.rename(folder)
                        sync_folder(folder.parent)
                elif on_all_ranks:
                    build(work)
                barrier()
                loaded.clear()
            with contextlib.suppress(OSError):  # a cache of somebody else's
                os.utime(folder)  # when it was last used, for ``prune``
            return loaded[0] if loaded else load(folder)
        finally:
            if lock is not None:
                lock.release()

    def _lock_or_use(self, kind: str, folder: Path, about: dict[str, Any]) -> FileLock | None:
        """The entry's lock; None where the cache is another's, who lets it be read, and holds the entry whole."""
        try:
            return self.lock(folder, f"makes the {kind} of {', '.join(f'{k} {v}' for k, v in about.items())}")
        except KdlabError:
            if folder.is_dir() and not os.access(folder.parent, os.W_OK) and not damage_of(folder, self.facts.digest):
                return None
            raise

    def lock(self, folder: Path, does: str) -> FileLock:
        """Locks an entry; says what the process does that has to be waited for."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(lock_of(folder))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self.say(f"Waiting for another process that {does} ({folder}).")
                lock.acquire()
        except OSError as e:
            raise KdlabError(
                f"The cache folder {folder.parent} can't be written ({reason(e)}): set KDLAB_CACHE to one that can."
            ) from e
        return lock

    def _is_missing(self, kind: str, folder: Path, check: Callable[[Path], object]) -> bool:
        """Whether the entry must be built; one that is damaged or can't be loaded is removed first."""
        if not os.path.lexists(folder):
            return True
        damage = damage_of(folder, self.facts.digest) if folder.is_dir() else "it is no folder"
        if not damage:
            try:
                with door(folder, "it is made again"):
                    check(folder)
            except KdlabError as error:
                damage = reason(error)
        if damage:
            self.say(f"The cached {kind} {folder} is damaged ({damage}): it is made again.")
            with writing(folder):
                if folder.is_symlink() or not folder.is_dir():
                    folder.unlink()
                else:
                    shutil.rmtree(folder)
        return bool(damage)

    def _build(self, work: Path, build: Callable[[Path], None], about: dict[str, Any], resumable: bool) -> None:
        """Builds the entry in the folder ``work``, which the lock reserves for this process."""
        if work.exists() and not resumable:
            shutil.rmtree(work)
        try:
            with writing(work):
                work.mkdir(exist_ok=True)
                clear_parts(work)
                (work / MANIFEST).unlink(missing_ok=True)  # of a process that was killed before the renaming
            build(work)
            sums = {p.relative_to(work).as_posix(): file_digest(p) for p in settle(work)}
            write_atomic(work / MANIFEST, json.dumps({**about, "files": sums}, indent=1))
        except Exception:
            if not resumable:
                shutil.rmtree(work, ignore_errors=True)
            raise
