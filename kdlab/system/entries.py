"""Whether an entry of the cache is whole: its manifest, and the checksums of its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.system.files import check_whole
from kdlab.system.foreign import read_fields, reason

MANIFEST = "manifest.json"


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """An entry's manifest; None where there is none, or none of kdlab's."""
    path = folder / MANIFEST
    try:
        content = read_fields(path, "it is made again")
    except KdlabError:
        if path.is_file() and not os.access(path, os.R_OK):
            raise _unreadable(path) from None
        return None
    files = content.get("files")
    plain = isinstance(files, dict) and all(isinstance(digest, str) for digest in files.values())
    return content if plain else None


def damage_of(folder: Path, digest_of: Callable[[Path], str]) -> str:
    """What is wrong with an entry, or the empty string.

    Args:
        folder: The entry's.
        digest_of: SHA-256 of a file.

    Raises:
        KdlabError: It is another user's, who doesn't let it be read.
    """
    manifest = manifest_of(folder)
    if manifest is None:
        return f"no readable {MANIFEST}"
    for name, digest in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.is_symlink():
            return f"{name} is missing"
        try:
            if digest_of(path) != digest:
                return f"{name} does not match its checksum"
            check_whole(path)
        except PermissionError as error:
            raise _unreadable(path) from error
        except (OSError, KdlabError) as error:
            return f"{name} can't be read: {reason(error)}"
    return ""


def _unreadable(path: Path) -> KdlabError:
    return KdlabError(
        f"{path} may not be read: it is another user's, so have its permissions changed (chmod a+r), or set "
        "KDLAB_CACHE to a folder of your own."
    )
