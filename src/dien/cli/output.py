"""What commands print: progress, warnings and errors on standard error, the result on standard output."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dien.errors import DienError
from dien.terminal import PlainConsole, visible

messages = PlainConsole(stderr=True)


class Results(PlainConsole):
    """Where every command prints its result for people: standard output, where only this module writes.

    One that is closed is an error, as one that is full. By themselves Rich and Typer end the process without
    a word when a pipe was closed.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does.

        Raises:
            DienError: standard output is full or was closed.
        """
        with _on_standard_output():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Raise what rich has caught."""
        raise


_PACKAGE = str(Path(__file__).parents[1])


@contextmanager
def progress(what: str, total: float | None, amount: Any) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error where that is a terminal; yields what advances it."""
    columns = (TextColumn(what), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def finish(result: Mapping[str, Any], rows: Mapping[str, Any], last: str, as_json: bool) -> None:
    """Print the result: one JSON object, or a short table and a last line."""
    if as_json:
        print_json(result)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(_label(name), _text(value))
    console = Results()
    console.print(table)
    console.print(last, soft_wrap=True)


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object, a line.

    Raises:
        DienError: standard output is full or was closed.
    """
    print_as_it_is(json.dumps(result, default=str) + "\n")


def print_as_it_is(text: str) -> None:
    """Print text that a program or a file takes, to the last character.

    Raises:
        DienError: standard output is full or was closed.
    """
    with _on_standard_output():
        sys.stdout.write(text)


@contextmanager
def _on_standard_output() -> Iterator[None]:
    """See that what is printed gets where it should.

    Raises:
        DienError: standard output is full or was closed.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise DienError(f"standard output: could not be written ({error.strerror})") from error


def print_error(text: str) -> None:
    """Print an error on standard error."""
    messages.print(f"error: {text}", style="red", soft_wrap=True)


def tell(text: str) -> None:
    """Print a line on standard error for as long as it can be had; where it is full or closed, it is lost.

    Past Python's buffer and rich: a thread that hangs in there would hold a lock that the end of the process
    needs, and rich ends the process where a pipe was closed.
    """
    line = visible(text) + "\n"
    with suppress(OSError, ValueError):
        try:
            number = sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):  # no file of the system, as in a notebook
            sys.stderr.write(line)
        else:
            os.write(number, line.encode(errors="backslashreplace"))


def plain_warnings() -> None:
    """Print the warnings of dien as one line each, every text once; others stay as Python prints them."""
    as_python, seen = warnings.showwarning, set[str]()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not (issubclass(category, UserWarning) or filename.startswith(_PACKAGE)):
            as_python(message, category, filename, lineno, file, line)
        elif (text := " ".join(str(message).split())) not in seen:
            seen.add(text)
            messages.print(f"warning: {text}", style="yellow", soft_wrap=True)

    warnings.showwarning = show


def table_of(*columns: str) -> Table:
    """Make a table with a row for each of several things, its figures set right."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def spread(of: Mapping[str, float], form: str) -> str:
    """Write a median with its quartiles.

    Args:
        of: with ``median``, ``low`` and ``high``.
        form: of each, as of :func:`format`.
    """
    return f"{of['median']:{form}} ({of['low']:{form}} to {of['high']:{form}})"


def _label(key: str) -> str:
    """Write a key as people read it: ``valid_auc`` is "valid AUC"; names of columns stay as they are."""
    if key.startswith("features."):
        return key
    text = key.replace("log_loss", "LogLoss")
    if key.isidentifier():  # else it is words, and what has a low line among them is a name
        text = text.replace("_", " ")
    return " ".join(word.upper() if word in ("auc", "gauc") else word for word in text.split(" "))


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
