"""The one exception a user may see: a sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KdlabError(Exception):
    """An error a user can cause and mend.

    The command line prints the message as one sentence on standard error and ends with exit code 2; nothing computed
    before it is lost. Every message names what was found, where (file, line or field), and what to do.
    """


class MethodError(KdlabError, ValueError):
    """A method that does not do what it declares; a mistake of its author, said as a sentence like every other."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived: the process ends as after Ctrl-C.

    Attributes:
        number: Of the signal.
    """

    number = 15


def nearest(name: str, known: Iterable[str], what: str) -> KdlabError:
    """An error for an unknown name that lists the nearest known ones, and all of them where they are few.

    Args:
        name: What the user wrote.
        known: The names that exist.
        what: The kind of thing, as a noun ("method", "task", "setting").

    Returns:
        The error, to be raised by the caller.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    parts = [f"There is no {what} '{name[:80]}'" + (f": did you mean {' or '.join(close)}?" if close else ".")]
    if len(names) <= 30:
        parts.append(f"Known: {', '.join(names)}.")
    return KdlabError(" ".join(parts))
