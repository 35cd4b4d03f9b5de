"""What commands print: progress on standard error, the result on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="RUN folder, as train writes it.")]
RunsFolder = Annotated[
    Path, typer.Option("--out", help="Folder to write; one of the same command is gone on with.")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at a time, one thread each; as many as cores.")
]

messages = Console(stderr=True, highlight=False)


@contextmanager
def progress(what: str, total: float | None, amount: Any) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; yields what advances it."""
    columns = (TextColumn(what), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def finish(result: Mapping[str, Any], rows: Mapping[str, Any], last: str, as_json: bool) -> None:
    """Print the result: one JSON object, or a short table and a last line."""
    if as_json:
        sys.stdout.write(json.dumps(result, default=str) + "\n")
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), _text(value))
    console = Console(highlight=False)
    console.print(table)
    console.print(last, soft_wrap=True)


def table_of(*columns: str) -> Table:
    """Make a table with a row for each of several things, its figures set right."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)
