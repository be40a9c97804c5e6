"""How far attacks are and how many have succeeded: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kdlab.attacks.attempt import SKIPPED, SUCCEEDED
from kdlab.attacks.outcome import Outcome
from kdlab.system.console import Reporter, duration
from kdlab.system.cost import Meter

_EVERY = 10.0  # seconds between two lines


class AttackProgress:
    """Counts outcomes.

    Args:
        what: In words, at the beginning of a line.
        total: Examples.
        before: Outcomes that are there already.
        reporter: Who is told.
    """

    def __init__(self, what: str, total: int, before: Sequence[Outcome], reporter: Reporter) -> None:
        self._what, self._total, self._reporter = what, total, reporter
        self._before, self._done = len(before), len(before)
        self._attacked = sum(one.status != SKIPPED for one in before)
        self._won = sum(one.status == SUCCEEDED for one in before)
        self._meter, self._said = Meter(), 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> AttackProgress:
        """Starts the bar, where there is a terminal."""
        if self._reporter.terminal:
            columns = TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()
            fooled, left = TextColumn("{task.fields[fooled]}"), TimeRemainingColumn()
            self._bar = Progress(*columns, fooled, left, console=self._reporter.out, transient=True)
            self._task = self._bar.add_task(self._what, total=self._total, completed=self._done, fooled=self._fooled())
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def add(self, one: Outcome) -> None:
        """An outcome more."""
        self._done += 1
        self._attacked += one.status != SKIPPED
        self._won += one.status == SUCCEEDED
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, fooled=self._fooled())
            return
        seconds = self._meter.cost().seconds
        if seconds - self._said > _EVERY or self._done == self._total:
            self._said = seconds
            left = seconds / (self._done - self._before) * (self._total - self._done)
            rest = f", about {duration(left)} left" if self._done < self._total else ""
            self._reporter.say(
                f"  {self._what} {self._done} of {self._total} examples in {duration(seconds)}, {self._fooled()}{rest}"
            )

    def _fooled(self) -> str:
        return f"{100 * self._won / self._attacked:.1f} % fooled" if self._attacked else "none attacked"
