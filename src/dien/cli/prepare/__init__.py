"""The commands that make a dataset folder, one for each source."""

from __future__ import annotations

import typer

from dien.cli.prepare.amazon import amazon
from dien.cli.prepare.complete_journey import complete_journey
from dien.cli.prepare.movielens import movielens
from dien.cli.prepare.recbole import recbole
from dien.cli.prepare.synthetic import synthetic
from dien.cli.prepare.table import table

prepare = typer.Typer(no_args_is_help=True)
prepare.command()(amazon)
prepare.command("movielens-100k")(movielens("100k"))
prepare.command("movielens-1m")(movielens("1m"))
prepare.command()(complete_journey)
prepare.command()(table)
prepare.command()(recbole)
prepare.command()(synthetic)


@prepare.callback()
def about() -> None:
    """Make a dataset folder from a click log."""
