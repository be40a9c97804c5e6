"""``kdlab cache``: what is kept between runs."""

from __future__ import annotations

import sys


def _cache(action: str) -> int:
    """``kdlab cache ls|verify|clear``; 1 where an entry is damaged."""
    from kdlab.system.cache import Cache

    cache = Cache()
    if action == "clear":
        sys.stdout.write(f"{cache.clear()} entries removed from {cache.root}\n")
        return 0
    entries = cache.entries(verify=action == "verify")
    for entry in entries:
        state = "" if entry.damage is None else f"  {entry.damage or 'whole'}"
        sys.stdout.write(f"{entry.kind:<8} {entry.size / 1e6:8.1f} MB  {entry.folder.name}  {entry.about}{state}\n")
    total = sum(entry.size for entry in entries) / 1e6
    damaged = sum(bool(entry.damage) for entry in entries)
    said = f", {damaged} damaged (made again when they are next needed)" if damaged else ""
    sys.stdout.write(f"{len(entries)} entries, {total:.1f} MB in {cache.root}{said}\n")
    return 1 if damaged else 0
