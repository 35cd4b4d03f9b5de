"""Progress on standard error: a bar with rate and time left, a line for each epoch."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TypeVar

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dien.terminal import PlainConsole

REFRESH_SECONDS = 0.2

_Shown = TypeVar("_Shown", bound="_Bar")


class _Bar:
    """A bar on a terminal; elsewhere only what is printed beside it.

    Attributes:
        drawn: whether the bar itself is seen.
    """

    def __init__(self, shown: bool, *columns: ProgressColumn) -> None:
        self._shown = shown
        self._console = PlainConsole(stderr=True)
        self.drawn = shown and self._console.is_terminal
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self.drawn)

    def __enter__(self: _Shown) -> _Shown:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def print(self, text: str, bad: bool = False) -> None:
        """Print a line above the bar, in red where it is bad news."""
        if self._shown:
            self._console.print(text, soft_wrap=True, style="red" if bad else None)


class Bar(_Bar):
    """A bar over rows, on a terminal; elsewhere only what is printed beside it.

    Args:
        shown: whether to show anything.
    """

    def __init__(self, shown: bool) -> None:
        super().__init__(
            shown,
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} rows"),
            TextColumn("{task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("", total=0, rate=0.0, visible=False)
        self._rows = self._drawn_rows = 0
        self._drawn = time.perf_counter()

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Start over with another task of ``total`` rows, of which so many are done."""
        self._rows = self._drawn_rows = done
        self._drawn = time.perf_counter()
        self._bar.reset(self._task, description=what, total=total, completed=done, visible=True, rate=0.0)

    def advance(self, rows: int) -> None:
        """Count rows; drawing them now and then costs a step nothing."""
        self._rows += rows
        now = time.perf_counter()
        if (elapsed := now - self._drawn) > REFRESH_SECONDS:
            rate = (self._rows - self._drawn_rows) / elapsed
            self._bar.update(self._task, completed=self._rows, rate=rate)
            self._drawn, self._drawn_rows = now, self._rows


class RunsBar(_Bar):
    """A bar over the epochs of runs side by side, on a terminal; elsewhere only what is printed beside it.

    Args:
        what: is done.
        shown: whether to show anything.
        runs: how many.
        epochs: of all of them, at most.
    """

    def __init__(self, what: str, shown: bool, runs: int, epochs: int) -> None:
        super().__init__(
            shown,
            TextColumn(what),
            BarColumn(),
            TextColumn(
                "{task.completed}/{task.total} epochs at most, {task.fields[ended]}/{task.fields[runs]} runs"
            ),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("", total=epochs, runs=runs, ended=0)

    def update(self, ended: int, epochs: int) -> None:
        """Say how many runs have ended and how many epochs are over."""
        self._bar.update(self._task, completed=epochs, ended=ended)
