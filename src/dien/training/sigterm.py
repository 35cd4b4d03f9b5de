"""SIGTERM between two batches: training ends where a run can be resumed from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_between_batches() -> Iterator[Callable[[], None]]:
    """Have SIGTERM take effect where the function that is handed out is called, and nowhere else.

    A handler that was there before is called, too, and is back afterwards. In another than the main thread,
    and where the handler is not Python's to put back, SIGTERM does what it did before.

    Yields:
        What raises ``SystemExit`` with the exit code of a process that SIGTERM has ended, if one has come.
    """
    before, came = signal.getsignal(signal.SIGTERM), False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        if callable(before):
            before(number, frame)

    def stop_if_asked() -> None:
        if came:
            raise SystemExit(128 + signal.SIGTERM)

    if before is None or threading.current_thread() is not threading.main_thread():
        yield stop_if_asked
        return
    signal.signal(signal.SIGTERM, note)
    try:
        yield stop_if_asked
        stop_if_asked()
    finally:
        signal.signal(signal.SIGTERM, before)
