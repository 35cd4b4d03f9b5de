"""The commands that make a DATA folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import DownloadColumn, TextColumn

from dien.cli.output import Json, finish, messages, progress

if TYPE_CHECKING:  # a command imports what it needs
    from dien.data.log import Log
    from dien.data.prepare.prepared import Prepared
    from dien.data.prepare.splits import SplitRule

prepare = typer.Typer(help="Make a DATA folder from a click log.", no_args_is_help=True)


class Recipe(str, Enum):
    """How a log becomes training, validation and test rows."""

    paper = "paper"
    temporal = "temporal"


class Targets(str, Enum):
    """Which behaviours of training users are targets (recipe paper)."""

    last = "last"
    all = "all"


Out = Annotated[Path, typer.Option("--out", help="DATA folder to write; must not exist.")]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        help="What is drawn follows from it alone: negatives; the split of users (paper, --split user).",
    ),
]
RecipeOption = Annotated[
    Recipe, typer.Option("--recipe", help="paper: last behaviour of each user; temporal: by date.")
]
TargetsOption = Annotated[
    Targets | None,
    typer.Option("--targets", help="[paper] last (default) or all behaviours of training users."),
]
NegativesOption = Annotated[
    int | None, typer.Option("--negatives", min=1, help="[temporal] sampled for each positive (default 4).")
]
WarmupOption = Annotated[
    int | None,
    typer.Option("--warmup", min=0, help="[temporal] behaviours before a user's first target (default 5)."),
]
CapOption = Annotated[
    int | None,
    typer.Option("--max-train-rows", min=1, help="[temporal] keep the latest so many training rows."),
]
ValidFrom = Annotated[
    str | None, typer.Option("--valid-from", help="[temporal] date, or share of behaviours (default 0.8).")
]
TestFrom = Annotated[
    str | None, typer.Option("--test-from", help="[temporal] date, or share of behaviours (default 0.9).")
]


@prepare.command("amazon")
def prepare_amazon(
    reviews: Annotated[Path, typer.Option("--reviews", help="Reviews, JSON lines, gzip or plain.")],
    meta: Annotated[Path, typer.Option("--meta", help="Metadata, JSON or Python literals, gzip or plain.")],
    out: Out,
    recipe: RecipeOption = Recipe.paper,
    seed: Seed = 0,
    targets: TargetsOption = None,
    negatives: NegativesOption = None,
    warmup: WarmupOption = None,
    max_train_rows: CapOption = None,
    valid_from: ValidFrom = None,
    test_from: TestFrom = None,
    skip_bad: Annotated[int, typer.Option("--skip-bad", min=0, help="Bad lines to tolerate.")] = 0,
    as_json: Json = False,
) -> None:
    """Prepare Amazon reviews (2014 form)."""
    from dien.data.sources import amazon

    options = _recipe_options(recipe, targets, negatives, warmup, max_train_rows, valid_from, test_from)

    def read() -> Log:
        size = sum(path.stat().st_size for path in (reviews, meta) if path.is_file())
        with progress("reading", size, DownloadColumn()) as advance:
            return amazon.read(reviews, meta, skip_bad=skip_bad, progress=advance)

    _prepare(read, recipe, seed, options, out, as_json)


@prepare.command("complete-journey")
def prepare_complete_journey(
    out: Out,
    recipe: RecipeOption = Recipe.temporal,
    seed: Seed = 0,
    targets: TargetsOption = None,
    negatives: NegativesOption = None,
    warmup: WarmupOption = None,
    max_train_rows: CapOption = None,
    valid_from: ValidFrom = None,
    test_from: TestFrom = None,
    as_json: Json = False,
) -> None:
    """Prepare The Complete Journey: a year of supermarket purchases (extra `quickstart`)."""
    from dien.data.sources import complete_journey

    options = _recipe_options(recipe, targets, negatives, warmup, max_train_rows, valid_from, test_from)

    def read() -> Log:
        with messages.status("reading"):
            return complete_journey.read()

    _prepare(read, recipe, seed, options, out, as_json)


def _prepare_movielens(edition: str) -> Callable[..., None]:
    def command(
        out: Out,
        recipe: RecipeOption = Recipe.temporal,
        seed: Seed = 0,
        targets: TargetsOption = None,
        warmup: WarmupOption = None,
        max_train_rows: CapOption = None,
        valid_from: ValidFrom = None,
        test_from: TestFrom = None,
        cache: Annotated[Path, typer.Option("--cache", help="Where the download is kept.")] = Path(
            "data/cache"
        ),
        as_json: Json = False,
    ) -> None:
        from dien.data.sources import movielens

        options = _recipe_options(recipe, targets, None, warmup, max_train_rows, valid_from, test_from)

        def read() -> Log:
            with messages.status("reading"):
                return movielens.read(edition, cache, on_terms=messages.print)  # type: ignore[arg-type]

        _prepare(read, recipe, seed, options, out, as_json)

    return command


for _edition in ("1m", "100k"):
    prepare.command(f"movielens-{_edition}", help=f"Fetch and prepare MovieLens-{_edition.upper()}.")(
        _prepare_movielens(_edition)
    )


def _recipe_options(
    recipe: Recipe,
    targets: Targets | None,
    negatives: int | None,
    warmup: int | None,
    max_train_rows: int | None,
    valid_from: str | None,
    test_from: str | None,
) -> dict[str, Any]:
    """Keep the options that were given; refuse those the recipe does not have."""
    of_paper = {"targets": targets.value if targets else None}
    of_temporal = {
        "negatives": negatives,
        "warmup": warmup,
        "max_train_rows": max_train_rows,
        "valid_from": _moment("--valid-from", valid_from),
        "test_from": _moment("--test-from", test_from),
    }
    own, other = (of_paper, of_temporal) if recipe is Recipe.paper else (of_temporal, of_paper)
    for name, value in other.items():
        if value is not None:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is no option of the recipe {recipe.value}")
    return {name: value for name, value in own.items() if value is not None}


def _moment(option: str, text: str | None) -> float | datetime | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {text}: expected a share as 0.8 or a date as 2017-10-01"
        ) from None


def _prepare(
    read: Callable[[], Log], recipe: Recipe, seed: int, options: dict[str, Any], out: Path, as_json: bool
) -> None:
    def build(logs: list[Log], _: Path) -> Prepared:
        from dien.data.prepare import paper, temporal

        made: Callable[..., Prepared] = paper if recipe is Recipe.paper else temporal
        return made(logs.pop(), seed=seed, **options)

    write_data(read, build, out, False, as_json)


def write_data(
    read: Callable[[], Log],
    build: Callable[[list[Log], Path], Prepared],
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Read a log, prepare it, write it, say what it came to."""
    from dien.data.dataset import Dataset
    from dien.data.writer import check_free, scratch_beside, write

    check_free(out, overwrite)
    with scratch_beside(out) as scratch:
        logs = [read()]
        with messages.status("preparing"):
            prepared = build(logs, scratch)
        with messages.status("writing"):
            write(prepared, out, overwrite)
    info = Dataset.open(out).info
    rows: dict[str, Any] = {name: info["sizes"][name] for name in ("users", "items", "behaviours")}
    for split, size in info["sizes"]["splits"].items():
        rows[f"{split} rows"] = f"{size['rows']:,} in {size['impressions']:,} impressions"
    rows |= {f"excluded: {what}": count for what, count in info["excluded"].items()}
    if "truth" in info:
        rows["best AUC of any model (test)"] = info["truth"]["best_auc"]["test"]
    finish({"data": str(out), **info}, rows, f"DATA: {out}", as_json)


class Split(str, Enum):
    """How impressions are split."""

    time = "time"
    last = "last"
    ratio = "ratio"
    user = "user"
    column = "column"


Files = list[Path] | None
TimeValidFrom = Annotated[
    str | None, typer.Option("--valid-from", help="[time] date, or share of behaviours (default 0.8).")
]
TimeTestFrom = Annotated[
    str | None, typer.Option("--test-from", help="[time] date, or share of behaviours (default 0.9).")
]
Gap = Annotated[
    int | None, typer.Option("--gap", min=0, help="[time] seconds before both that are in no split.")
]
FirstAfter = Annotated[
    int, typer.Option("--warmup", min=0, help="Behaviours before a user's first impression.")
]
SampledNegatives = Annotated[
    int | None, typer.Option("--negatives", min=1, help="[no label] sampled for each positive (default 4).")
]
NegativesBy = Annotated[
    str | None,
    typer.Option("--negatives-by", help="[no label] popularity (default), uniform, or an item feature."),
]
LatestRows = Annotated[
    int | None, typer.Option("--max-train-rows", min=1, help="Keep the latest so many training rows.")
]


@prepare.command("table")
def prepare_table(
    interactions: Annotated[
        list[Path],
        typer.Option(
            "--interactions", help="Clicks or impressions: a file, a folder or a glob. May be repeated."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="DATA folder to write; must not exist.")] = None,
    items: Annotated[Files, typer.Option("--items", help="Table of items and their features.")] = None,
    users: Annotated[Files, typer.Option("--users", help="Table of users and their features.")] = None,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", help="YAML of columns and features; dien schema infer drafts it."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="Column of the user's id.")] = None,
    item: Annotated[str | None, typer.Option("--item", help="Column of the item's id.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="Column of the time.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Column of the label, 0 or 1; none: every row is a click.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="How impressions are split.")] = Split.time,
    valid_from: TimeValidFrom = None,
    test_from: TimeTestFrom = None,
    gap: Gap = None,
    warmup: FirstAfter = 1,
    negatives: SampledNegatives = None,
    negatives_by: NegativesBy = None,
    max_train_rows: LatestRows = None,
    seed: Seed = 0,
    append: Annotated[
        Path | None, typer.Option("--append", help="DATA folder to add to, in place of --out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prepare your own Parquet, CSV or JSON lines, with or without labels (docs/data.md)."""
    from dien.data.sources import table

    if (out is None) == (append is None):
        raise typer.BadParameter("give --out to make a DATA folder, or --append to add to one")
    spec = table.TableSpec.load(schema) if schema is not None else table.TableSpec()
    columns = {"user": user, "item": item, "time": time, "label": label}
    named = {name: column for name, column in columns.items() if column is not None}
    spec = spec.model_copy(update={"interactions": spec.interactions.model_copy(update=named)})
    if spec.interactions.label is not None and (negatives or negatives_by):
        raise typer.BadParameter("--negatives and --negatives-by are for logs without a label")
    rule = split_rule(split, valid_from, test_from, gap, seed)
    options: dict[str, Any] = {
        "seed": seed,
        "warmup": warmup,
        "negatives": negatives or 4,
        "negatives_by": negatives_by or "popularity",
        "max_train_rows": max_train_rows,
    }

    def read() -> Log:
        with progress("reading", None, DownloadColumn()) as advance:
            return table.read(interactions, items, users, spec, progress=advance)

    def build(logs: list[Log], scratch: Path) -> Prepared:
        from dien.data.dataset import Dataset
        from dien.data.prepare import impressions
        from dien.data.prepare.append import append as append_to

        if append is not None:
            return append_to(Dataset.open(append), logs.pop(), rule, scratch=scratch, **options)
        return impressions(
            logs.pop(),  # nobody else holds a large log while its rows are made
            rule,
            seed=seed,
            warmup=warmup,
            negatives=options["negatives"],
            negatives_by=options["negatives_by"],
            max_train_rows=max_train_rows,
            scratch=scratch,
        )

    path = append or out
    assert path is not None
    write_data(read, build, path, append is not None, as_json)


def split_rule(
    split: Split, valid_from: str | None, test_from: str | None, gap: int | None, seed: int
) -> SplitRule:
    """Make the rule of the options; refuse those it does not have."""
    from dien.data.prepare import splits

    of_time = {"--valid-from": valid_from, "--test-from": test_from, "--gap": gap}
    if split is not Split.time and (given := [name for name, value in of_time.items() if value is not None]):
        raise typer.BadParameter(f"{given[0]} is no option of --split {split.value}")
    if split is Split.time:
        return splits.ByTime(
            _moment("--valid-from", valid_from) or 0.8, _moment("--test-from", test_from) or 0.9, gap or 0
        )
    if split is Split.last:
        return splits.ByLast()
    if split is Split.ratio:
        return splits.ByRatio()
    return splits.ByUser(seed) if split is Split.user else splits.ByColumn()


@prepare.command("synthetic")
def prepare_synthetic(
    users: Annotated[int, typer.Option("--users", min=1, help="How many users.")],
    items: Annotated[int, typer.Option("--items", min=1, help="How many items.")],
    days: Annotated[int, typer.Option("--days", min=1, help="How many days.")],
    per_day: Annotated[float, typer.Option("--per-day", help="Mean impressions of a user and day.")] = 5.0,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", help="DATA folder to write.")] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Folder to write the log to, as Parquet by day, instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make logs whose truth is known: interests that drift, clicks by a stated probability."""
    from dien.data.prepare import temporal
    from dien.data.sources import synthetic

    if (out is None) == (log is None):
        raise typer.BadParameter("give --out for a DATA folder, or --log for the log alone")
    if log is not None:
        with progress("writing", None, TextColumn("{task.completed:,} impressions")) as advance:
            synthetic.write_log(log, users, items, days, seed, per_day=per_day, progress=advance)
        finish({"log": str(log)}, {}, f"log: {log}", as_json)
        return
    made: list[synthetic.Synthetic] = []

    def read() -> Log:
        made.append(synthetic.generate(users, items, days, seed, per_day=per_day))
        return made[0].log

    def build(logs: list[Log], _: Path) -> Prepared:
        prepared = temporal(logs.pop(), seed=seed, warmup=1)
        truth = {
            "best_auc": synthetic.best_auc(made[0], prepared),
            "click_probability": made[0].rule,
        }
        return replace(prepared, truth=truth)

    assert out is not None
    write_data(read, build, out, False, as_json)
