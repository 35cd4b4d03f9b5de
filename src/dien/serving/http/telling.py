"""Tells an operator what happens, and lets no request wait for it.

Standard error may be a pipe that nobody reads, or a disk that is full: a thread writes to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from time import monotonic

MOST_WAITING = 1000
"""Lines that may wait to be written; others are counted."""
MOST_A_SECOND = 10
"""Lines of one kind that are told in a second; others are counted."""
CLOSE_SECONDS = 5.0
"""Seconds that the end of the server waits for the lines that are not written yet."""


class Telling:
    """Writes lines in a thread.

    Args:
        write: takes a line, and may wait or fail; a line that it fails on is lost.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lines: Queue[str | None] = Queue(MOST_WAITING)
        self._lock = threading.Lock()  # of what was left out
        self._more = 0
        # A daemon: a write that hangs does not keep the process.
        self._thread = threading.Thread(target=self._work, name="telling", daemon=True)
        self._thread.start()

    def tell(self, text: str) -> None:
        """Have a line written; where too many wait, it is counted. Never waits. From any thread."""
        with self._lock:
            try:
                self._lines.put_nowait(_with(text, self._more))
            except Full:
                self._more += 1
            else:
                self._more = 0

    def close(self) -> None:
        """Write what waits, and end the thread; give up where that takes too long."""
        until = monotonic() + CLOSE_SECONDS
        with suppress(Full):
            if self._more:
                self._lines.put(f"and {self._more:,} more", timeout=CLOSE_SECONDS)
            self._lines.put(None, timeout=max(0.0, until - monotonic()))
        self._thread.join(max(0.0, until - monotonic()))

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(Exception):  # a thread that ends would tell nothing ever after
                self._write(line)


class FewLines:
    """Tells at most ten lines a second of what may come thousands of times; the next says how many more came.

    Args:
        told: told the lines.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._until, self._left, self._more = 0.0, 0, 0

    def tell(self, text: str) -> None:
        """Tell a line, or count it. From one thread."""
        now = monotonic()
        if now >= self._until:
            self._until, self._left = now + 1, MOST_A_SECOND
        if not self._left:
            self._more += 1
            return
        self._left -= 1
        more, self._more = self._more, 0
        self._told(_with(text, more))

    def close(self) -> None:
        """Tell how many were left out since the last line."""
        more, self._more = self._more, 0
        if more:
            self._told(f"and {more:,} more")


def _with(text: str, more: int) -> str:
    return f"{text}; and {more:,} more" if more else text
