"""The command that makes a RUN of a checkpoint of RecBole's DIEN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli.output import Json, finish, messages


def convert_recbole(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint that RecBole saved, a .pth file.")],
    out: Annotated[Path, typer.Option("--out", help="RUN folder to write.")],
    trust: Annotated[
        bool, typer.Option("--trust", help="Read the pickle that it is, and run whatever code is in it.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of RecBole's atomic files, if it has moved.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a RUN of a checkpoint of DIEN in RecBole; needs RecBole, and --trust (docs/recbole.md)."""
    if not trust:
        raise typer.BadParameter(
            f"{checkpoint} is a pickle, as every checkpoint of RecBole's: reading it runs whatever code was "
            "put in it, which may read, change or send all that you can. If you "
            "know who wrote it, add --trust"
        )
    from dien.errors import RunError

    try:
        from dien.recbole import convert
    except ImportError as error:
        raise RunError(str(error)) from error

    with messages.status("converting"):
        run = convert(checkpoint, out, data)
    sizes, of_recbole = run.info["dataset"]["sizes"], run.info["recbole"]
    summary = {**of_recbole, **sizes, "features": len(run.schema.features)}
    finish({"run": str(out), **summary}, summary, f"RUN: {out}", as_json)
