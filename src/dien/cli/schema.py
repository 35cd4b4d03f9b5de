"""The commands about schemas: a first draft from tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli import options
from dien.cli.output import messages, print_json

schema = typer.Typer(no_args_is_help=True)


@schema.callback()
def about() -> None:
    """Describe your own tables: which columns mean what."""


@schema.command()
def infer(
    interactions: Annotated[
        list[Path], options.argument("FILES", "Clicks or impressions: files, folders or globs.")
    ],
    items: Annotated[list[Path] | None, options.items] = None,
    users: Annotated[list[Path] | None, options.users] = None,
    out: Annotated[
        Path | None, options.option("--out", "FILE", "File to write (default: print on standard output).")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Draft the YAML schema of your tables, each guess with its reason; read it and correct it.

    For example:

        dien schema infer clicks/ --items items.parquet --out schema.yaml
    """
    import yaml

    from dien.data.sources.table import infer
    from dien.files import write_text

    text = infer(interactions, items, users)
    if out is not None:
        write_text(out, text)
    if as_json:
        print_json({"file": out, "schema": yaml.safe_load(text), "text": text})
    elif out is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"schema: {out}")
        messages.print(f"Read it over, then: dien prepare table --schema {out} ...", soft_wrap=True)
