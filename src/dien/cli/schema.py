"""The commands about schemas: a first draft from tables, a schema tried on them, and those that are ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dien.cli import checks, options
from dien.cli.output import Results, finish, messages, print_as_it_is, print_json

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
    user: Annotated[str | None, options.column("--user", "the user's id (default: guessed)")] = None,
    item: Annotated[str | None, options.column("--item", "the item's id (default: guessed)")] = None,
    time: Annotated[str | None, options.column("--time", "the time (default: guessed)")] = None,
    label: Annotated[
        str | None,
        options.column("--label", "the label: 1 clicked, 0 shown and not clicked (default: guessed)"),
    ] = None,
    file_format: Annotated[Literal["csv", "tsv", "jsonl", "parquet"] | None, options.file_format] = None,
    columns: Annotated[checks.Names | None, options.columns] = None,
    separator: Annotated[str | None, options.separator] = None,
    encoding: Annotated[str | None, options.encoding] = None,
    schema: Annotated[
        Path | None,
        options.option(
            "--schema",
            "FILE",
            "YAML file that says how the files of each table are written, where they do not tell it: their "
            "columns, quote, encoding.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        options.option(
            "--out", "FILE", "File to write; it must not exist yet (default: print on standard output)."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Draft the YAML schema of your tables, each guess with its reason; read it and correct it.

    For example:

        dien schema infer clicks/ --items items.parquet --out schema.yaml
    """
    import yaml

    from dien.data.sources.table import infer
    from dien.data.sources.table.infer.texts import texts_of
    from dien.data.sources.table.spec import TableSpec
    from dien.data.sources.table.table_text import TableText
    from dien.errors import DataError
    from dien.files import write_text

    if out is not None and (out.exists() or out.is_symlink()):
        raise DataError(f"{out}: exists already; choose another path or remove it")
    roles = {"user": user, "item": item, "time": time, "label": label}
    named = {role: column for role, column in roles.items() if column is not None}
    written: dict[str, Any] = {
        "format": file_format,
        "columns": columns,
        "separator": separator,
        "encoding": encoding,
    }
    texts = {} if schema is None else texts_of(TableSpec.load(schema), str(schema))
    said = {key: value for key, value in written.items() if value is not None}
    texts["interactions"] = texts.get("interactions", TableText()).model_copy(update=said)
    text = infer(interactions, items, users, named, texts)
    if out is not None:
        write_text(out, text)
    if as_json:
        print_json({"file": out, "schema": yaml.safe_load(text), "text": text})
    elif out is None:
        print_as_it_is(text)
    else:
        Results().print(f"schema: {out}", soft_wrap=True)
        messages.print(f"Read it over, then: dien prepare table --schema {out} ...", soft_wrap=True)


@schema.command()
def check(
    file: Annotated[
        Path, options.argument("FILE", "YAML file of columns and features, or the name of a ready one.")
    ],
    interactions: Annotated[list[Path], options.interactions],
    behaviours: Annotated[list[Path] | None, options.behaviours] = None,
    items: Annotated[list[Path] | None, options.items] = None,
    users: Annotated[list[Path] | None, options.users] = None,
    skip_bad: options.SkipBad = 0,
    as_json: options.Json = False,
) -> None:
    """Try a schema on the first rows of your tables, and print what each column becomes.

    It reads as dien prepare table does, and fails with the first thing that this would refuse. For example:

        dien schema check schema.yaml --interactions clicks/ --items items.parquet
    """
    from dien.data.sources.table.check import check, summary_rows
    from dien.data.sources.table.spec import TableSpec

    checked = check(TableSpec.load(file), interactions, items, users, behaviours, skip_bad)
    last = f"schema: {file}: dien prepare table takes it on these rows"
    finish({"file": str(file), **checked.to_dict()}, summary_rows(checked), last, as_json)


@schema.command(name="list")
def list_(as_json: options.Json = False) -> None:
    """List the ready schemas of published data sets, which --schema takes by name.

    For example:

        dien schema list
    """
    from dien.data.sources.table.ready import READY, about

    if as_json:
        files = {name: {"about": about(name), "file": str(file)} for name, file in READY.items()}
        print_json({"schemas": files})
        return
    width = max(map(len, READY))
    print_as_it_is("".join(f"{name:{width}}  {about(name)}\n" for name in READY))
    messages.print(
        "Each file begins with the command that reads its data set (docs/data.md).", soft_wrap=True
    )
