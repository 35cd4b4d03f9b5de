"""The commands that look at data: a draft of a schema, and what a DATA folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli.output import Json, finish, messages

schema = typer.Typer(help="Describe your own tables.", no_args_is_help=True)


@schema.command("infer")
def infer_schema(
    interactions: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Interactions: files, folders or globs.")
    ],
    items: Annotated[list[Path] | None, typer.Option("--items", help="Table of items.")] = None,
    users: Annotated[list[Path] | None, typer.Option("--users", help="Table of users.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else printed.")] = None,
) -> None:
    """Draft the YAML schema of your tables, each guess with its reason, to read over and correct."""
    from dien.data.sources.table import infer
    from dien.files import write_text

    text = infer(interactions, items, users)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        messages.print(f"schema: {out}; read it over, then: dien prepare table --schema {out} ...")


def inspect(
    data: Annotated[Path, typer.Argument(help="DATA folder, as prepare writes it.")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Report to write: one self-contained file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a DATA folder and print its sizes, lengths, coverage, and drift between splits."""
    from dien.data.dataset import Dataset
    from dien.data.inspection import inspect_data, summary_rows
    from dien.reports.data_report import write_html

    with messages.status("reading"):
        inspection = inspect_data(Dataset.open(data))
    if html is not None:
        write_html(inspection, html)
    last = f"DATA: {data}" + (f"\nreport: {html}" if html is not None else "")
    finish(inspection.to_dict(), summary_rows(inspection), last, as_json)
