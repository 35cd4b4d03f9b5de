"""The command line: ``main`` runs a command and turns what happens into an exit code and a message.

What takes long to import is imported in there, so that Ctrl-C is handled from the start.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from dien.cli.stopping import Stopping
from dien.errors import DienError
from dien.room import expect_room, shortage


def main() -> None:
    """Run a command.

    Exit code 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by a terminal that
    was closed.
    """
    # torch's threads wait for each other spinning, also for one whose core another process has. With this
    # they soon sleep instead (docs/performance.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

    _open_what_is_closed()
    _accept_any_text()
    with Stopping() as stopping:
        try:
            code = _run()
        except BaseException as error:
            if not (stopping.number or isinstance(error, KeyboardInterrupt)):
                raise
            code = 130
        if stopping.number or code == 130:
            with suppress(OSError):
                sys.stderr.write(stopping.message + "\n")
            code = stopping.exit_code
        elif not _flushed(silent=bool(code)):
            code = code or 1
    sys.exit(code)


def _run() -> int | str | None:
    """Run a command and give its exit code."""
    try:
        if "--help" not in sys.argv:
            expect_room()
        from dien.cli.commands import app
        from dien.cli.output import plain_warnings

        plain_warnings()
        app()
    except SystemExit as end:
        return end.code
    except DienError as error:
        return _failed(str(error))
    except OSError as error:
        if not _flushed():
            return 1
        if (lacking := shortage(error)) is not None:
            return _lacks(lacking, error)
        name = error.filename if isinstance(error.filename, str) else "a file or standard output"
        return _failed(f"{name}: {error.strerror or error}")
    except BaseException as error:  # a panic of Polars is no Exception
        if (lacking := shortage(error)) is None:
            raise
        return _lacks(lacking, error)
    return 0


def _lacks(what: str, error: BaseException) -> int:
    """Say that there is not enough memory, or not enough threads."""
    said = " ".join(str(error).split())[:300]
    return _failed(f"not enough {what}{f' ({said})' if said else ''}")


def _open_what_is_closed() -> None:
    """Have standard output and error lead somewhere, so that no file of ours takes their place.

    What is written to a closed output fails, as it should: it is lost.
    """
    for number, name, flags in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue
            handle = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, os.fdopen(handle, flags))


def _accept_any_text() -> None:
    """Have standard output and error write out what their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _failed(text: str) -> int:
    with suppress(OSError, ValueError):  # standard error is full or closed: the exit code says it
        try:
            from dien.cli.output import print_error

            print_error(text)
        except (ImportError, MemoryError):
            sys.stderr.write(f"error: {text}\n")
    return 1


def _flushed(silent: bool = False) -> bool:
    """Whether all that was printed has gone where it should; says so where it has not."""
    stream = getattr(sys.stdout, "wrapped", sys.stdout)  # as Typer leaves it after a closed pipe
    try:
        stream.flush()
        return stream is sys.stdout
    except BrokenPipeError:
        reason = "could not be written (Broken pipe)"
    except (OSError, ValueError) as error:
        reason = f"could not be written ({getattr(error, 'strerror', None) or error})"
    sys.stdout = stream
    with suppress(OSError):  # what is still held back would fail again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if not silent:
        _failed(f"standard output: {reason}")
    return False
