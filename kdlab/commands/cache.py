"""What is kept between runs, below $KDLAB_CACHE (default: ~/.cache/kdlab)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kdlab.commands.arguments import Parser


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab cache``."""
    parser.add_argument("action", choices=("ls", "verify", "clear"), help="list it, check every checksum, or remove it")


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab cache ls|verify|clear``; 1 where an entry is damaged."""
    from kdlab.system.cache import Cache

    cache = Cache()
    if arguments.action == "clear":
        sys.stdout.write(f"{cache.clear()} entries removed from {cache.root}\n")
        return 0
    entries = cache.entries(verify=arguments.action == "verify")
    for entry in entries:
        state = "" if entry.damage is None else f"  {entry.damage or 'whole'}"
        sys.stdout.write(f"{entry.kind:<8} {entry.size / 1e6:8.1f} MB  {entry.folder.name}  {entry.about}{state}\n")
    total = sum(entry.size for entry in entries) / 1e6
    damaged = sum(bool(entry.damage) for entry in entries)
    note = f", {damaged} damaged (made again when they are next needed)" if damaged else ""
    sys.stdout.write(f"{len(entries)} entries, {total:.1f} MB in {cache.root}{note}\n")
    return 1 if damaged else 0
