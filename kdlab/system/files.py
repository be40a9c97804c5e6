"""Files that are written completely or not at all, and fingerprints of their content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from kdlab.errors import KdlabError


def fingerprint(*parts: Any) -> str:
    """SHA-256 of plain values (numbers, strings, lists, dicts) in canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def folder_digest(folder: Path, patterns: Iterable[str]) -> str:
    """SHA-256 over the names and bytes of a folder's files that match any of the patterns."""
    files = sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()})
    return fingerprint([[p.relative_to(folder).as_posix(), file_digest(p)] for p in files])


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """For code that writes a file: an error such as a full disk, whatever library raises it, becomes one sentence.

    Raises:
        KdlabError: It can't be written.
    """
    try:
        yield
    except KdlabError:
        raise
    except (OSError, RuntimeError, SafetensorError) as e:  # OSError of Python, the others of torch and safetensors
        reason = e.strerror if isinstance(e, OSError) and e.strerror else (str(e).strip().splitlines() or [repr(e)])[0]
        raise KdlabError(
            f"{path} can't be written ({reason}): make room and give the same command again; "
            "what was finished before is kept."
        ) from e


def write_atomic(path: Path, text: str) -> None:
    """Writes a text file completely or not at all.

    Raises:
        KdlabError: It can't be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as f:
                f.write(text)
                f.flush()
                os.fsync(f.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_folder(path: Path, build: Callable[[Path], None]) -> None:
    """Writes a folder under another name and renames it when it is complete; it replaces an older one of that name.

    Raises:
        KdlabError: It can't be written.
    """
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with writing(path):
        try:
            part.mkdir(parents=True)
            build(part)
            for file in part.rglob("*"):
                if file.is_file():
                    _to_disk(file)
            shutil.rmtree(path, ignore_errors=True)
            part.rename(path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def _to_disk(file: Path) -> None:
    with file.open("rb") as f:
        os.fsync(f.fileno())
