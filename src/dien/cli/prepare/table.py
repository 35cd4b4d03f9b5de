"""The command that prepares one's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from rich.progress import DownloadColumn

from dien.cli import checks, options
from dien.cli.groups import with_groups
from dien.cli.output import progress
from dien.cli.prepare.splits import SplitOptions, split_option
from dien.cli.prepare.writing import write_data
from dien.data.rule_names import RuleName

if TYPE_CHECKING:
    from dien.data.log import Log
    from dien.data.prepare.events import History
    from dien.data.prepare.prepared import Prepared
    from dien.data.tables import SplitName


@with_groups
def table(
    *,
    interactions: Annotated[
        list[Path] | None,
        options.option(
            "--interactions",
            "FILES",
            "Clicks or impressions: a file, a folder or a glob. Can be repeated. --append can do without.",
        ),
    ] = None,
    train: Annotated[
        list[Path] | None,
        options.option(
            "--train",
            "FILES",
            "Interactions to train with, where the log is split already, in place of --interactions. Can be "
            "repeated.",
        ),
    ] = None,
    valid: Annotated[
        list[Path] | None, options.option("--valid", "FILES", "Those to validate with, beside --train.")
    ] = None,
    test: Annotated[
        list[Path] | None, options.option("--test", "FILES", "Those to test with, beside --train.")
    ] = None,
    out: Annotated[Path | None, options.out_data] = None,
    append: Annotated[
        Path | None,
        options.option(
            "--append",
            "DATA",
            "Dataset folder to add later interactions to, or new items and users alone, instead of --out.",
        ),
    ] = None,
    behaviours: Annotated[list[Path] | None, options.behaviours] = None,
    items: Annotated[list[Path] | None, options.items] = None,
    users: Annotated[list[Path] | None, options.users] = None,
    schema: Annotated[
        Path | None,
        options.option(
            "--schema",
            "FILE",
            "YAML file of columns and features (dien schema infer drafts one), or the name of a ready one "
            "(dien schema list).",
        ),
    ] = None,
    user: Annotated[str | None, options.column("--user", "the user's id (default user)")] = None,
    item: Annotated[str | None, options.column("--item", "the item's id (default item)")] = None,
    time: Annotated[str | None, options.column("--time", "the time (default time)")] = None,
    order: Annotated[
        Literal["file"] | None,
        typer.Option(
            "--order",
            help="file: the log has no time, and its rows stand in order. (In the schema, interactions.time: "
            "{order: file}.)",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None,
        options.column(
            "--label", "the label: 1 clicked, 0 shown and not clicked. Without one, each row is a click"
        ),
    ] = None,
    file_format: Annotated[Literal["csv", "tsv", "jsonl", "parquet"] | None, options.file_format] = None,
    columns: Annotated[checks.Names | None, options.columns] = None,
    separator: Annotated[str | None, options.separator] = None,
    encoding: Annotated[str | None, options.encoding] = None,
    skip_bad: options.SkipBad = 0,
    history: Annotated[
        Literal["clicked", "all"] | None,
        typer.Option(
            "--history",
            help="What a history holds. clicked: what has label 1 (default). all: every interaction, "
            "whatever the label says, as views, carts and purchases where the label is a purchase.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        RuleName | None,
        split_option(" column: as interactions.split of the schema says. (Default time.)"),
    ] = None,
    chosen: SplitOptions,
    as_json: options.Json = False,
) -> None:
    """Prepare your own Parquet, CSV or JSON lines, with or without labels (docs/data.md).

    Options about the interactions, as --user or --columns, go before what the schema says. For example:

        dien prepare table --interactions clicks/ --items items.parquet --schema schema.yaml --out data/shop

        dien prepare table --interactions clicks.csv --user uid --item sku --time ts --out data/shop
    """
    from dien.data.dataset import Dataset
    from dien.data.sources import table
    from dien.data.sources.table.forms import Label
    from dien.data.sources.table.time_keys import Order

    if (out is None) == (append is None):
        raise typer.BadParameter("give --out to make a dataset folder, or --append to add to one")
    parts = {"train": train, "valid": valid, "test": test}
    by_split = {name: paths for name, paths in parts.items() if paths}
    if by_split and (train is None or interactions or split not in (None, "column")):
        raise typer.BadParameter(
            f"--{next(iter(by_split))}: a log that is split already has --train, and maybe --valid and "
            "--test, and neither --interactions nor another --split"
        )
    if interactions is None and not by_split and (append is None or behaviours or not (items or users)):
        raise typer.BadParameter(
            "give --interactions; without them --append adds the new rows of --items and --users alone"
        )
    rule = chosen.rule("column" if by_split else split or "time")
    spec = table.TableSpec.load(schema) if schema is not None else table.TableSpec()
    given: dict[str, Any] = {"user": user, "item": item, "time": time}
    if order is not None:
        if time is not None:
            raise typer.BadParameter("--time and --order exclude each other; leave one out")
        given["time"] = Order(order=order)
    given["label"] = None if label is None else Label(column=label)
    given |= {"format": file_format, "columns": columns, "separator": separator, "encoding": encoding}
    named = {name: value for name, value in given.items() if value is not None}
    spec = spec.model_copy(update={"interactions": spec.interactions.model_copy(update=named)})
    arguments = chosen.of_impressions(labelled=spec.interactions.labelled)
    earlier = Dataset.open(append) if append is not None else None
    if behaviours is not None and history is not None:
        raise typer.BadParameter(
            f"--history {history} and --behaviours both say what histories hold; give one of them"
        )
    if history is not None and spec.interactions.history is not None:
        raise typer.BadParameter(
            f"--history {history} and interactions.history of the schema both say what histories hold; give "
            "one of them"
        )
    if earlier is not None and history not in (None, earlier.info.recipe.history):
        raise typer.BadParameter(
            f"--history {history}: the histories of {append} were prepared with --history "
            f"{earlier.info.recipe.history}; leave the option out, or prepare all the data again with --out"
        )

    def read() -> Log:
        nonlocal earlier
        if append is not None:
            earlier = Dataset.open(append)  # again: another process may have added to it before it was locked
        with progress("reading", None, DownloadColumn()) as advance:
            log = cast("Mapping[SplitName, list[Path]]", by_split) or interactions
            return table.read(
                log, items, users, spec, behaviours=behaviours, skip_bad=skip_bad, progress=advance
            )

    def build(logs: list[Log], scratch: Path) -> Prepared:
        from dien.data.prepare import impressions
        from dien.data.prepare.append import append as append_to

        if earlier is not None:
            return append_to(earlier, logs.pop(), rule, scratch=scratch, **arguments)
        held: History = history or ("clicked" if behaviours is None else "behaviours")
        if spec.interactions.history is not None:
            held = "row"
        return impressions(logs.pop(), rule, history=held, scratch=scratch, **arguments)

    path = append or out
    assert path is not None
    write_data(read, build, path, as_json, overwrite=append is not None)
