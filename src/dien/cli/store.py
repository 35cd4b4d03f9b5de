"""The command that fills a store of users' behaviours."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.progress import TextColumn

from dien.cli import checks, options
from dien.cli.output import finish, progress
from dien.errors import ConfigError

MOST = 1000

store = typer.Typer(no_args_is_help=True)


@store.callback()
def about() -> None:
    """Keep what a service knows of its users: their newest behaviours."""


@store.command()
def load(
    data: options.DataFolder,
    url: Annotated[
        str,
        options.option(
            "--store",
            "URL",
            "Store to fill: lmdb:PATH (a folder, made where there is none), or redis://HOST:PORT/DB.",
            checks.text,
        ),
    ],
    most: Annotated[
        int,
        options.option(
            "--most",
            "N",
            "Behaviours of a user that are kept, the newest; as --store-most of dien serve.",
            checks.count,
        ),
    ] = MOST,
    as_json: options.Json = False,
) -> None:
    """Fill a store with the behaviours of a dataset folder, so that a service starts knowing its users.

    What was loaded before is left out: the same command can be run again. For example:

        dien store load data/shop --store lmdb:stores/shop
    """
    from contextlib import closing

    from dien.data.dataset import Dataset
    from dien.serving.store import load_store, open_store
    from dien.serving.store.urls import without_password

    if url == "memory:":
        raise ConfigError(
            "store: 'memory:' would end with this command; give lmdb:PATH or redis://HOST:PORT/DB"
        )
    started = time.perf_counter()
    dataset = Dataset.open(data)
    with (
        closing(open_store(url, most=most)) as opened,
        progress("loading", None, TextColumn("{task.completed:,} behaviours")) as advance,
    ):
        loaded = load_store(dataset, opened, most=most, progress=advance)
    summary = {**vars(loaded), "seconds": round(time.perf_counter() - started, 3)}
    rows = dict(summary)
    rows["bytes a behaviour"] = rows.pop("bytes_each")
    rows["features kept as numbers of their interval"] = rows.pop("intervals")
    rows["features left out"] = rows.pop("left_out")
    shown = without_password(url)
    finish({"store": shown, **summary}, rows, f"store: {shown}", as_json)
