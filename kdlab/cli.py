"""The ``kdlab`` command: finds the verb and starts it; verbs stand in ``kdlab/commands``.

Only the standard library is imported until the words of the command line make sense.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kdlab import __version__
from kdlab.commands import VERBS
from kdlab.commands.arguments import Parser
from kdlab.errors import KdlabError, Terminated, nearest
from kdlab.system.shown import clipped, shown

INTERRUPTED = "nothing was lost"
_LONGEST = 2000  # characters of a message


def main(argv: Sequence[str] | None = None) -> int:
    """The ``kdlab`` command.

    Args:
        argv: Words after the command's name; those of the process unless given.

    Returns:
        Exit code: 0 done, 2 the user's error (one sentence on standard error), 130 interrupted, 143 or 129
            terminated.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verb: Any = None

    def work() -> int:
        nonlocal verb
        verb = _find_verb(words)
        return 0 if verb is None else _start(verb, words)

    return guarded(work, lambda: getattr(verb, "INTERRUPTED", INTERRUPTED))


def guarded(work: Callable[[], int], interrupted: Callable[[], str] = lambda: INTERRUPTED) -> int:
    """Does a command's work; what a user or a scheduler can cause ends in a sentence on standard error.

    Args:
        work: Gives the exit code.
        interrupted: What is said of the work so far where it is interrupted or terminated.

    Returns:
        The work's exit code, or one of those of ``main``.
    """
    _open_streams()
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):  # schedulers send the one, a terminal that closes the other
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, _terminated)
    # OpenMP threads that spin while they wait slow a shared machine down many times: measured ×20 on two cores with one
    # other process; set OMP_WAIT_POLICY=active where the machine is yours alone
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our signs gets question marks
    try:
        return work()
    except KdlabError as e:
        _complain(f"error: {e}")
        return 2
    except KeyboardInterrupt as e:
        terminated = isinstance(e, Terminated)
        what = "terminated" if terminated else "interrupted"
        _complain(f"{what}; {interrupted()}.")
        return 128 + e.number if isinstance(e, Terminated) else 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as e:  # a name too long
        where = f": {e.filename}" if e.filename else ""
        _complain(f"error: {e.strerror or e}{where}; what was finished before is kept.")
        return 2


def _complain(text: str) -> None:
    """One bounded line on standard error."""
    sys.stderr.write(f"kdlab: {clipped(shown(' '.join(text.split())), _LONGEST)}\n")


def _open_streams() -> None:
    """Streams that are closed (``>&-``, a service) become silent ones, so that no file is opened in their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace")


def _terminated(number: int, frame: Any) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough
    error = Terminated()
    error.number = number
    raise error


def _find_verb(words: Sequence[str]) -> Any:
    """The verb's module; None where the words ask for nothing but help or the version, which are given."""
    if words and not words[0].startswith("-"):
        if words[0] not in VERBS:
            raise nearest(words[0], VERBS, "command")
        return importlib.import_module(VERBS[words[0]][0])
    top = Parser(
        prog="kdlab",
        description="Distil a fine-tuned BERT-like classifier into a small one when task data is scarce.",
        epilog="commands:\n" + "".join(f"  {name:<12}{line}\n" for name, (_, line) in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="kdlab [-h] [--version] COMMAND …",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"kdlab {__version__}")
    _, extra = top.parse_known_args(list(words))
    top.refuse_extra(extra)
    top.print_help()
    return None


def _start(verb: Any, words: Sequence[str]) -> int:
    """Reads the words behind the verb and has it do its work."""
    example = getattr(verb, "EXAMPLE", "")
    parser = Parser(
        prog=f"kdlab {words[0]}",
        description=verb.__doc__,
        epilog=f"example: {example}" if example else None,
        allow_abbrev=False,
    )
    verb.add_arguments(parser)
    arguments, extra = parser.parse_known_args(list(words[1:]))
    if not getattr(verb, "TAKES_SETTINGS", False):
        parser.refuse_extra(extra)
    arguments.extra, arguments.parser = extra, parser
    try:
        Path.cwd()
    except OSError as e:
        raise KdlabError("The working directory is gone: change to one that is there.") from e
    code: int = verb.main(arguments, words)
    return code


if __name__ == "__main__":
    sys.exit(main())
