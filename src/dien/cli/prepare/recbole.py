"""The command that prepares RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import DownloadColumn

from dien.cli import checks, options
from dien.cli.groups import with_groups
from dien.cli.output import progress
from dien.cli.prepare.splits import SplitOptions, split_option
from dien.cli.prepare.writing import write_data
from dien.data.rule_names import RuleWithoutColumn

if TYPE_CHECKING:
    from dien.data.log import Log
    from dien.data.prepare.prepared import Prepared


@with_groups
def recbole(
    *,
    folder: Annotated[
        Path, options.argument("DIR", "Folder with NAME.inter, and NAME.user and NAME.item if there are any.")
    ],
    out: Annotated[Path, options.out_data],
    user: Annotated[str, options.column("--user", "the user's id")] = "user_id",
    item: Annotated[str, options.column("--item", "the item's id")] = "item_id",
    time: Annotated[str, options.column("--time", "the time")] = "timestamp",
    time_unit: Annotated[
        Literal["s", "ms", "us", "ns"] | None,
        typer.Option("--time-unit", help="Unit of the time (default: detected from the values)."),
    ] = None,
    label: Annotated[
        str | None,
        options.column(
            "--label", "the label, 0 or 1 (default: label if there is one; else each row is a click)"
        ),
    ] = None,
    threshold: Annotated[
        checks.Threshold | None,
        options.option(
            "--threshold",
            "COLUMN=NUMBER",
            "Instead of a label: this number or more is a click, less is not, as rating=4.",
            checks.threshold,
        ),
    ] = None,
    history: Annotated[
        Literal["clicked", "all"],
        typer.Option(
            "--history", help="clicked: histories hold clicks. all: as in RecBole, whatever the label says."
        ),
    ] = "clicked",
    behaviour: Annotated[
        list[str] | None,
        options.column("--behaviour", "a feature of past behaviours, known only afterwards. Can be repeated"),
    ] = None,
    drop: Annotated[
        list[str] | None, options.column("--drop", "a feature to leave out. Can be repeated")
    ] = None,
    rare_share: Annotated[float | None, options.rare_share("", 0.1)] = None,
    split: Annotated[RuleWithoutColumn, split_option()] = "time",
    chosen: SplitOptions,
    as_json: options.Json = False,
) -> None:
    """Prepare a data set of RecBole: a folder of atomic files (docs/data.md).

    For example:

        dien prepare recbole dataset/ml-100k --threshold rating=4 --out data/ml-100k
    """
    from dien.data.sources import recbole

    if label is not None and threshold is not None:
        raise typer.BadParameter("--label and --threshold both say what is clicked; give one of them")
    fields = recbole.Fields(
        behaviour=tuple(behaviour or ()),
        drop=tuple(drop or ()),
        **({} if rare_share is None else {"rare_share": rare_share}),
        user=user,
        item=item,
        time=time,
        time_unit=time_unit,
        label=label,
        threshold=threshold,
    )
    rule = chosen.rule(split)
    chosen.of_impressions(labelled=label is not None or threshold is not None)  # before any file is read

    def read() -> Log:
        with progress("reading", None, DownloadColumn()) as advance:
            return recbole.read(folder, fields, progress=advance)

    def build(logs: list[Log], scratch: Path) -> Prepared:
        from dien.data.log import HISTORY
        from dien.data.prepare import impressions
        from dien.errors import DataError

        own = HISTORY in logs[0].events.columns
        if own and history == "all":
            raise DataError(
                f"{folder}: --history all, and a column of histories ({item}{recbole.LIST}), both say what "
                f"histories hold; leave the option out, or the column (--drop {item}{recbole.LIST})"
            )
        arguments = chosen.of_impressions(labelled="label" in logs[0].events.columns)
        return impressions(
            logs.pop(), rule, name="recbole", history="row" if own else history, scratch=scratch, **arguments
        )

    write_data(read, build, out, as_json)
