"""The command that makes a DATA folder of RecBole's atomic files."""

from __future__ import annotations

from enum import Enum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import DownloadColumn

from dien.cli.output import Json, progress
from dien.cli.prepare import (
    FirstAfter,
    Gap,
    LatestRows,
    NegativesBy,
    Out,
    SampledNegatives,
    Seed,
    Split,
    TimeTestFrom,
    TimeValidFrom,
    split_rule,
    write_data,
)

if TYPE_CHECKING:  # a command imports what it needs
    from dien.data.log import Log
    from dien.data.prepare.prepared import Prepared


class RecBoleSplit(str, Enum):
    """How impressions are split."""

    time = "time"
    last = "last"
    ratio = "ratio"
    user = "user"


class History(str, Enum):
    """Which earlier interactions of a user are the history."""

    clicked = "clicked"
    all = "all"


class TimeUnit(str, Enum):
    """What times are counted in."""

    s = "s"
    ms = "ms"
    us = "us"
    ns = "ns"


def prepare_recbole(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of NAME.inter, and of NAME.user, NAME.item if any.")
    ],
    out: Out,
    user: Annotated[str, typer.Option("--user", help="Column of the user's id.")] = "user_id",
    item: Annotated[str, typer.Option("--item", help="Column of the item's id.")] = "item_id",
    time: Annotated[str, typer.Option("--time", help="Column of the time.")] = "timestamp",
    time_unit: Annotated[
        TimeUnit | None, typer.Option("--time-unit", help="Of the time; told by its values where not given.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Column of the label, 0 or 1; label where it is there, else none."),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold", metavar="COLUMN=NUMBER", help="So much or more is clicked, less not: rating=4."
        ),
    ] = None,
    history: Annotated[
        History,
        typer.Option("--history", help="clicked, or all earlier interactions whatever their label."),
    ] = History.clicked,
    behaviour: Annotated[
        list[str] | None,
        typer.Option(
            "--behaviour", metavar="COLUMN", help="Known only afterwards: a feature of past behaviours."
        ),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="COLUMN", help="Leave a column out.")
    ] = None,
    split: Annotated[
        RecBoleSplit,
        typer.Option("--split", help="How impressions are split; ratio is RecBole's, 8:1:1 of each user."),
    ] = RecBoleSplit.time,
    valid_from: TimeValidFrom = None,
    test_from: TimeTestFrom = None,
    gap: Gap = None,
    warmup: FirstAfter = 1,
    negatives: SampledNegatives = None,
    negatives_by: NegativesBy = None,
    max_train_rows: LatestRows = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Prepare a data set of RecBole's atomic files (docs/data.md)."""
    from dien.data.sources import recbole

    if label is not None and threshold is not None:
        raise typer.BadParameter("--label and --threshold both say what is clicked; give one of them")
    fields = recbole.Fields(
        user=user,
        item=item,
        time=time,
        time_unit=time_unit.value if time_unit else None,
        label=label,
        threshold=_column_and_number(threshold) if threshold is not None else None,
        behaviour=tuple(behaviour or ()),
        drop=tuple(drop or ()),
    )
    rule = split_rule(Split(split.value), valid_from, test_from, gap, seed)

    def read() -> Log:
        with progress("reading", None, DownloadColumn()) as advance:
            log = recbole.read(folder, fields, progress=advance)
        if "label" in log.events.columns and (negatives or negatives_by):
            raise typer.BadParameter("--negatives and --negatives-by are for logs without a label")
        return log

    def build(logs: list[Log], scratch: Path) -> Prepared:
        from dien.data.prepare import impressions

        return impressions(
            logs.pop(),  # nobody else holds a large log while its rows are made
            rule,
            name="recbole",
            seed=seed,
            warmup=warmup,
            negatives=negatives or 4,
            negatives_by=negatives_by or "popularity",
            max_train_rows=max_train_rows,
            history=history.value,
            scratch=scratch,
        )

    write_data(read, build, out, False, as_json)


def _column_and_number(text: str) -> tuple[str, float]:
    column, _, number = text.rpartition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = float("nan")
    if not column or not isfinite(limit):
        raise typer.BadParameter(f"--threshold {text}: expected a column and a number, as rating=4")
    return column, limit
