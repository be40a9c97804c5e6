"""Files that are written completely or not at all, and fingerprints of their content.

What vouches for other files (a manifest, a record, a mark that a training is done) is written after ``settle`` has
forced those to disk, so that no power loss leaves the mark without them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdlab.errors import KdlabError
from kdlab.system.foreign import door, reason

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _permissions() -> int:
    """What the user's umask leaves of a new file's permissions."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


_PERMISSIONS = _permissions()


def fingerprint(*parts: Any) -> str:
    """SHA-256 of plain values (numbers, strings, lists, dicts) in canonical JSON."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # a path may hold bytes that are no UTF-8


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def files_digest(folder: Path, files: Iterable[Path], digest_of: Callable[[Path], str] = file_digest) -> str:
    """SHA-256 over the names and bytes of files in a folder, ``digest_of`` each."""
    return fingerprint([[p.relative_to(folder).as_posix(), digest_of(p)] for p in sorted(set(files))])


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
    except Exception as error:  # torch, safetensors and tokenizers have errors of their own
        other = isinstance(error, OSError) and error.errno is not None and error.errno not in _FULL
        what = "check the path and its permissions" if other else "make room"
        raise KdlabError(
            f"{path} can't be written ({reason(error)}): {what}, and give the same command again; "
            "what was finished before is kept."
        ) from error


def check_name(path: Path, what: str) -> None:
    """Raises ``KdlabError`` where a folder has a name that libraries can't be given, for they take text.

    Args:
        path: The folder.
        what: What it is, and how to choose another, for the message.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise KdlabError(
            f"{what}: the name {path} is no text here, for it has bytes that are no UTF-8, or the locale knows ASCII "
            "alone (then set PYTHONUTF8=1)."
        ) from error


def write_atomic(path: Path, text: str) -> None:
    """Writes a text file completely or not at all; half characters, as of a path that is no UTF-8, become escapes.

    Raises:
        KdlabError: It can't be written.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file completely or not at all.

    Raises:
        KdlabError: It can't be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            Path(name).chmod(_PERMISSIONS)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def clear_parts(folder: Path) -> None:
    """Removes what a process that was killed while it wrote has left below a folder; nobody else may write there."""
    for part in folder.rglob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Writes a NumPy file, and hears of an error at its very end; ``np.save`` swallows that of the last flush.

    Raises:
        KdlabError: It can't be written.
    """
    array = np.ascontiguousarray(array)
    with writing(path), path.open("wb") as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(array))
        f.write(array.reshape(-1).view(np.uint8).data)
        f.flush()
        os.fsync(f.fileno())


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
            settle(part)
            shutil.rmtree(path, ignore_errors=True)
            part.rename(path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(path.parent)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder that goes away.

    Raises:
        KdlabError: None can be made.
    """
    with door("A temporary folder", "set TMPDIR to a folder that can be written", "can't be made"):
        made = tempfile.TemporaryDirectory(prefix="kdlab-")
    with made as name:
        yield Path(name)


def settle(folder: Path) -> list[Path]:
    """Checks that every file below a folder is whole, gives it the umask's permissions, and forces all to disk.

    Returns:
        The files, in the order of their names.

    Raises:
        KdlabError: One can't be written to the end.
    """
    paths = sorted(folder.rglob("*"))
    files = [path for path in paths if path.is_file()]
    with writing(folder):
        for file in files:
            check_whole(file)
            file.chmod(_PERMISSIONS)
            with file.open("rb") as f:
                os.fsync(f.fileno())
        for inner in [*(path for path in paths if path.is_dir()), folder]:
            sync_folder(inner)
    return files


def sync_folder(folder: Path) -> None:
    """Forces the names in a folder to disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


def check_whole(file: Path) -> None:
    """Raises ``KdlabError`` where an array, weights or JSON of kdlab's own making have been cut short."""
    with door(file, "it was cut short", "is not whole"):
        if file.suffix == ".npy":
            np.load(file, mmap_mode="r", allow_pickle=False)
        elif file.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(file, framework="numpy"):
                pass
        elif file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
        elif file.suffix == ".jsonl" and not file.read_bytes().endswith(b"\n"):
            raise ValueError("its last line has no end")
