"""What the cache holds, and its clearing: ``kdlab cache``."""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from kdlab.errors import KdlabError
from kdlab.system.cache import KINDS, Cache, lock_of, work_of
from kdlab.system.entries import damage_of, manifest_of
from kdlab.system.files import file_digest
from kdlab.system.foreign import reason
from kdlab.system.shown import clipped, listed, shown


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


def _parts(folder: Path) -> tuple[Path, Path]:
    """An entry's folder and the one in which it is being made; either may be missing."""
    return folder, work_of(folder)


def _size(folder: Path) -> int:
    """Bytes of the files in a folder, without those that go meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.lstat().st_size if path.is_file() else 0
    return size


def _changed(folder: Path) -> float:
    """When an entry was last used or worked on; one that has just gone comes first."""
    times = [0.0]
    for path in _parts(folder):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def entries(cache: Cache, verify: bool = False) -> list[Entry]:
    """Every finished entry.

    Args:
        cache: The cache to look into.
        verify: Whether to read every file and compare its checksum.
    """
    entries = []
    for folder in sorted(f for f in _folders(cache.root) if f.is_dir()):
        manifest = manifest_of(folder) or {}
        description = {k: v for k, v in manifest.items() if k not in ("kind", "key", "files")}
        about = clipped(shown(", ".join(f"{k} {v}" for k, v in description.items())))
        damage = damage_of(folder, file_digest) if verify else None
        entries.append(Entry(folder.parent.name, folder, about, _size(folder), damage))
    return entries


def clear(cache: Cache) -> int:
    """Removes every entry and the remains of unfinished ones; returns how many entries there were.

    Waits for an entry that another process is making.

    Raises:
        KdlabError: Some can't be removed; the others are.
    """
    finished, left = 0, []
    for folder in sorted(_folders(cache.root)):
        lock = cache.lock(folder, "clears it")
        finished += folder.is_dir()
        for path in _parts(folder):
            if path.exists():
                shutil.rmtree(path, ignore_errors=True)
                left += [path] if path.exists() else []
        lock.release()
    cache.facts.forget()
    if left:
        raise KdlabError(f"{listed(left)} can't be removed: check whose they are; all else is cleared.")
    return finished


def prune(cache: Cache, most: int) -> tuple[int, int]:
    """Removes entries until the others fit into so many bytes, those first that were not used for the longest time.

    What an interrupted process left of an unfinished entry counts as one. An entry that another process makes or
    reads for the first time is left alone.

    Args:
        cache: The cache to shrink.
        most: Bytes that may stay.

    Returns:
        Entries that were removed, and bytes that are left.
    """
    sizes = {folder: sum(map(_size, _parts(folder))) for folder in sorted(_folders(cache.root), key=_changed)}
    left, removed = sum(sizes.values()), 0
    for folder, size in sizes.items():
        if left <= most:
            break
        if not any(path.exists() for path in _parts(folder)):  # a lock alone
            continue
        lock = FileLock(lock_of(folder))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        except OSError as e:
            raise KdlabError(f"{folder} can't be removed ({reason(e)}): check whose the cache is.") from e
        try:
            for path in _parts(folder):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            lock.release()
        if not any(path.exists() for path in _parts(folder)):
            left, removed = left - size, removed + 1
    return removed, left


def _folders(root: Path) -> set[Path]:
    """Folders of entries, finished or being made; other files in the cache folder are left alone."""
    paths = [p for kind in KINDS if (root / kind).is_dir() for p in (root / kind).iterdir()]
    matches = [(p, re.fullmatch(r"\.?([0-9a-f]{32})(\.work|\.lock)?", p.name)) for p in paths]
    return {p.with_name(match[1]) for p, match in matches if match}
