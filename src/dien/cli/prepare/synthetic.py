"""The command that makes synthetic logs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TextColumn

from dien.cli import checks, options
from dien.cli.output import finish, progress
from dien.cli.prepare.writing import write_data

if TYPE_CHECKING:
    from dien.data.log import Log
    from dien.data.prepare.prepared import Prepared

CATEGORIES = 12  # of the log's items: there are no fewer items
MOST_IDS = 2**31 - 1
MOST_DAYS = 36_500


def synthetic(
    users: Annotated[int, options.option("--users", "N", "Number of users.", checks.whole(1, MOST_IDS))],
    items: Annotated[
        int,
        options.option(
            "--items", "N", f"Number of items, {CATEGORIES} or more.", checks.whole(CATEGORIES, MOST_IDS)
        ),
    ],
    days: Annotated[int, options.option("--days", "N", "Number of days.", checks.whole(1, MOST_DAYS))],
    per_day: Annotated[
        float,
        options.option("--per-day", "NUMBER", "Mean impressions of a user a day.", checks.positive(86_400)),
    ] = 5.0,
    seed: Annotated[int, options.option("--seed", "N", "Random seed of the log.", checks.seed)] = 0,
    rare_share: Annotated[float | None, options.rare_share("--out", 0)] = None,
    out: Annotated[Path | None, options.out_data] = None,
    log: Annotated[
        Path | None,
        options.option(
            "--log", "DIR", "Instead of --out: folder to write the log to, as Parquet files by day."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a click log of which the best possible AUC is known, and prepare it.

    Users' interests drift; the probability of each click is known. For example:

        dien prepare synthetic --users 2000 --items 200 --days 10 --out data/synthetic
    """
    from dien.data.dataset_info import Truth
    from dien.data.prepare import temporal
    from dien.data.sources import synthetic

    if (out is None) == (log is None):
        raise typer.BadParameter("give --out for a dataset folder, or --log for the log alone")
    if log is not None and rare_share is not None:
        raise typer.BadParameter("--rare-share is of a dataset folder (--out), and no option of --log")
    if per_day * days < 1:
        raise typer.BadParameter(
            f"--per-day {per_day:g} in --days {days} is less than one impression a user; raise one of them"
        )
    simulation = synthetic.Simulation(users, items, days, seed, per_day)
    if log is not None:
        with progress("writing", None, TextColumn("{task.completed:,} impressions")) as advance:
            simulation.write(log, progress=advance)
        finish({"log": str(log)}, {}, f"log: {log}", as_json)
        return
    made: list[synthetic.Synthetic] = []

    def read() -> Log:
        made.append(simulation.generate())
        return made[0].log

    def build(logs: list[Log], _: Path) -> Prepared:
        prepared = temporal(logs.pop(), seed=seed, warmup=1, rare_share=rare_share or 0)
        best = synthetic.best_auc(made[0], prepared)
        return replace(prepared, truth=Truth(best_auc=best, click_probability=made[0].rule))

    assert out is not None
    write_data(read, build, out, as_json)
