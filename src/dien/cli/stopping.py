"""Signals that end a command: what is half done is removed, a line says so, the exit code tells which."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from dien import lock

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Ctrl-C; docker stop or a scheduler; a closed terminal
_GO_ON = {
    "train": "; the same command with --resume goes on",
    "score": "; the same command with --resume goes on",
    "compare": "; the same command goes on",
    "tune": "; the same command goes on",
}


class Stopped(KeyboardInterrupt):
    """Raised in a command, wherever it is, when a signal is to end it; handled as Ctrl-C is."""


class Stopping:
    """Turns signals that end a process into :class:`Stopped` while a block runs.

    A signal that is ignored when the command starts, as with nohup, stays ignored. While modules are imported
    and nothing is half done the process ends at once: many modules do not stand an exception there.

    Attributes:
        number: of the signal that came first; 0 while none has come.
    """

    def __init__(self) -> None:
        self.number, self._since = 0, 0.0
        self._before: dict[int, Any] = {}
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for name in _ENDING:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._raise)
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._again
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            sys.unraisablehook = self._unraisable

    @property
    def message(self) -> str:
        """What is said of a command that was stopped."""
        number = self.number or signal.SIGINT
        what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        return f"stopped by {what}" + _GO_ON.get(next(iter(sys.argv[1:]), ""), "")

    @property
    def exit_code(self) -> int:
        """The exit code of a command that was stopped: 130 by Ctrl-C, 143 by SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self.number and time.monotonic() - self._since < 1:
            return  # one key may send several; what is half done is being removed
        self.number, self._since = self.number or number, time.monotonic()
        if _importing(frame) and not lock.held():
            os.write(2, f"{self.message}\n".encode())
            os._exit(self.exit_code)
        raise Stopped

    def _again(self, unraisable: Any) -> None:
        """Send a signal again that came where no exception can be raised, as in a destructor."""
        if not isinstance(unraisable.exc_value, Stopped):
            self._unraisable(unraisable)
            return
        self._since = 0.0
        timer = threading.Timer(0.01, signal.raise_signal, (self.number,))
        timer.daemon = True
        timer.start()


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
