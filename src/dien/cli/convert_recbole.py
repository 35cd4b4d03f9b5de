"""The command that makes a run folder of a checkpoint of RecBole's DIEN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli import options
from dien.cli.output import finish, messages


def convert_recbole(
    checkpoint: Annotated[
        Path, options.argument("CHECKPOINT", "Checkpoint that RecBole saved, a .pth file.")
    ],
    out: Annotated[Path, options.out_run],
    *,
    trust: Annotated[
        bool, options.flag("--trust", "Read the checkpoint, a pickle, which can run any code that is in it.")
    ] = False,
    data: Annotated[Path | None, options.moved("DIR", "the folder of atomic files is")] = None,
    as_json: options.Json = False,
) -> None:
    """Make a run folder of a checkpoint of RecBole's DIEN.

    Needs RecBole: pip install '.[recbole]' in the clone (docs/recbole.md). For example:

        dien convert-recbole saved/DIEN.pth --trust --out runs/ml-100k
    """
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
    sizes, of_recbole = run.info.dataset["sizes"], run.info.recbole or {}
    summary = {**of_recbole, **sizes, "features": len(run.schema.features)}
    finish({"run": str(out), **summary}, summary, f"run folder: {out}", as_json)
