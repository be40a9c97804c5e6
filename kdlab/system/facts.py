"""What is costly to find out about files, kept in the cache folder for the next process: digests, and how weights fit.

Only a help: a fact that can't be read or written is found out again, and where there is no cache folder none is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.system.files import file_digest, fingerprint, write_atomic
from kdlab.system.foreign import read_fields

FACTS = "facts"
_SMALL = 2**20  # bytes; reading what is smaller takes no longer than looking it up
_SETTLED = 2.0  # seconds; a change within the clock's resolution would leave size and times as they were


class Facts:
    """A folder of facts, each in a file of its own.

    Args:
        root: The cache folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / FACTS

    def digest(self, file: Path) -> str:
        """SHA-256 of a file's bytes, read once for each state of it: size, times of its last change, and inode.

        What was changed in the last two seconds is read, and not remembered.

        Raises:
            OSError: The file can't be read.
        """
        before = file.stat()
        if before.st_size < _SMALL:
            return file_digest(file)
        path = str(file.resolve())
        known = self._read("digest", path)
        if known.get("state") == _state(before):
            return str(known["digest"])
        digest = file_digest(file)
        settled = time.time() - max(before.st_mtime, before.st_ctime) > _SETTLED
        if settled and _state(file.stat()) == _state(before):
            self._write("digest", path, {"state": _state(before), "digest": digest, "file": path})
        return digest

    def known(self, kind: str, about: Any, find_out: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A fact as plain values, found out where it isn't known.

        Args:
            kind: What sort of fact.
            about: Plain values that it depends on, all of them.
            find_out: Its errors are not remembered.
        """
        found = self._read(kind, about).get("fact")
        if not isinstance(found, dict):
            found = find_out()
            self._write(kind, about, {"fact": found})
        return found

    def forget(self) -> None:
        """Removes all of them."""
        for file in self.folder.glob("*.json"):
            file.unlink(missing_ok=True)

    def _file(self, kind: str, about: Any) -> Path:
        return self.folder / f"{kind}-{fingerprint(about)[:32]}.json"

    def _read(self, kind: str, about: Any) -> dict[str, Any]:
        try:
            return read_fields(self._file(kind, about), "it is found out again")
        except KdlabError:
            return {}

    def _write(self, kind: str, about: Any, content: dict[str, Any]) -> None:
        if not self.folder.parent.is_dir():
            return  # a plan that is only looked at makes no cache
        with contextlib.suppress(KdlabError):  # a cache that may only be read, or a full disk: what needs room says so
            write_atomic(self._file(kind, about), json.dumps(content))


def _state(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]
