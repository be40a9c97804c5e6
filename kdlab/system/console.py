"""Output for people: lines and tables; plain lines where standard output is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kdlab.system.shown import shown


class Reporter:
    """Prints to the user's terminal.

    Args:
        quiet: Whether to print nothing at all (every process but the first).
        who: Stands in front of each line where several processes print side by side; then there are no bars.
    """

    def __init__(self, quiet: bool = False, who: str = "") -> None:
        self.quiet = quiet
        self.who = f"[{who}] " if who else ""
        self.terminal = sys.stdout is not None and sys.stdout.isatty() and not who
        self.out = Console(highlight=False, soft_wrap=True, force_terminal=self.terminal, quiet=quiet)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)

    def say(self, text: str) -> None:
        """One line on standard output."""
        self.out.print(self.who + shown(text), markup=False)

    def warn(self, text: str) -> None:
        """One line on standard error."""
        self.err.print(f"{self.who}kdlab: warning: {shown(text)}", markup=False, style="yellow")

    def announce(self, text: str) -> None:
        """One line that stands out."""
        self.out.print(f"*** {shown(text)} ***", markup=False, style="bold reverse" if self.terminal else None)

    def rows(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values under a title."""
        width = max(len(name) for name, _ in rows)
        self.out.print(title, markup=False, style="bold")
        for name, value in rows:
            self.out.print(f"  {shown(name):<{width}}  {shown(value)}", markup=False)

    def table(self, header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
        """A table; plain columns where standard output is not a terminal."""
        header, body = [shown(str(c)) for c in header], [[shown(str(c)) for c in row] for row in body]
        if self.terminal:
            table = Table(*(Column(Text(name)) for name in header))
            for row in body:
                table.add_row(*map(Text, row))
            self.out.print(table)
            return
        widths = [max(len(str(row[i])) for row in [header, *body]) for i in range(len(header))]
        for row in [header, *body]:
            self.say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    """Seconds in readable units: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"
