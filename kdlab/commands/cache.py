"""What is kept between runs, below $KDLAB_CACHE (default: ~/.cache/kdlab)."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from kdlab.commands.arguments import Parser
from kdlab.errors import KdlabError

EXAMPLE = "kdlab cache prune --to 20GB"
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab cache``."""
    parser.add_argument(
        "action",
        choices=("ls", "verify", "prune", "clear"),
        help="list it, check every checksum, remove what was not used for long, or remove all",
    )
    parser.add_argument("--to", metavar="SIZE", help="what prune leaves at most, such as 20GB (of 10^9 bytes)")


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab cache ls|verify|prune|clear``; 1 where an entry is damaged."""
    most = _most(arguments)
    from kdlab.system import upkeep
    from kdlab.system.cache import Cache

    cache = Cache()
    if most is not None:
        removed, left = upkeep.prune(cache, most)
        sys.stdout.write(f"{removed} entries removed from {cache.root}, {left / 1e6:.1f} MB left\n")
        if left > most:
            sys.stdout.write("The others are in use: give the command again when those processes have ended.\n")
        return 0
    if arguments.action == "clear":
        sys.stdout.write(f"{upkeep.clear(cache)} entries removed from {cache.root}\n")
        return 0
    entries = upkeep.entries(cache, verify=arguments.action == "verify")
    for entry in entries:
        state = "" if entry.damage is None else f"  {entry.damage or 'whole'}"
        sys.stdout.write(f"{entry.kind:<8} {entry.size / 1e6:8.1f} MB  {entry.folder.name}  {entry.about}{state}\n")
    total = sum(entry.size for entry in entries) / 1e6
    damaged = sum(bool(entry.damage) for entry in entries)
    note = f", {damaged} damaged (made again when they are next needed)" if damaged else ""
    sys.stdout.write(f"{len(entries)} entries, {total:.1f} MB in {cache.root}{note}\n")
    return 1 if damaged else 0


def _most(arguments: argparse.Namespace) -> int | None:
    """Bytes that may stay; None where nothing is to be pruned.

    Raises:
        KdlabError: ``prune`` without a size, a size without ``prune``, or one that is none.
    """
    if arguments.action != "prune":
        if arguments.to is not None:
            raise KdlabError("--to says what kdlab cache prune leaves: leave it out.")
        return None
    if arguments.to is None:
        raise KdlabError("kdlab cache prune needs --to SIZE, such as --to 20GB.")
    match = _SIZE.fullmatch(arguments.to.strip())
    if match is None:
        raise KdlabError(f"--to {arguments.to[:40]}: it is a size such as 500MB or 20GB.")
    return int(float(match[1]) * 1000 ** _UNITS[match[2].upper()])
