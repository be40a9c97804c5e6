"""What masked LM and sentence encoder have said, kept between commands: the victim has no part in it.

One SQLite file a model; a key is a hash of the texts that were asked for. A file that can't be read is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from kdlab.system.files import writing

FILE = "answers.sqlite"
_LOCK = "opening.lock"
_PATIENCE = 60.0  # seconds that another command may write for
_AT_ONCE = 500  # keys of a query


class Store:
    """Answers of one model, by what it was asked.

    Args:
        folder: Where the file lies, which must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        with writing(self._file), FileLock(folder / _LOCK):
            try:
                self._base = _opened(self._file)
            except sqlite3.DatabaseError as error:
                if "locked" in str(error):  # by another command, which writes: it is not damaged
                    raise
                for part in folder.glob(f"{FILE}*"):
                    part.unlink()
                self._base = _opened(self._file)

    def answers(self, asked: Sequence[str], find: Callable[[list[int]], list[bytes]]) -> list[bytes]:
        """Answers to what is asked, those that are not known yet from the model.

        Args:
            asked: N questions.
            find: Gives the model's answers to the questions at some positions.
        """
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in asked]
        known = self._known(list(dict.fromkeys(keys)))
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in known}
        if first:
            new = dict(zip(first, find(list(first.values())), strict=True))
            known |= new
            with contextlib.suppress(sqlite3.Error), self._base:  # a full disk, another command that writes
                self._base.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", new.items())
        return [known[key] for key in keys]

    def close(self) -> None:
        """Closes the file."""
        self._base.close()

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        with contextlib.suppress(sqlite3.DatabaseError):
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                found.update(self._base.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", some))
        return found


def _opened(file: Path) -> sqlite3.Connection:
    base = sqlite3.connect(file, timeout=_PATIENCE)
    try:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=OFF")  # what is lost is asked for again
        with base:
            base.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
        base.execute("SELECT key, answer FROM answers LIMIT 1").fetchall()
    except sqlite3.DatabaseError:
        base.close()
        raise
    return base
