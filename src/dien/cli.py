"""The commands: thin. Progress goes to standard error, the result to standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dien.config import ConfigError, load_config, model_config

if TYPE_CHECKING:  # a command imports what it needs: torch and Lightning take seconds
    from dien.data.log import Log

app = typer.Typer(
    help="Deep Interest Evolution Network: from click logs to scores.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
prepare = typer.Typer(help="Make a DATA folder from a click log.", no_args_is_help=True)
app.add_typer(prepare, name="prepare")

messages = Console(stderr=True, highlight=False)


class Recipe(str, Enum):
    """How a log becomes training, validation and test rows."""

    paper = "paper"
    temporal = "temporal"


class Targets(str, Enum):
    """Which behaviours of training users are targets (recipe paper)."""

    last = "last"
    all = "all"


class SplitChoice(str, Enum):
    """The rows to evaluate on."""

    train = "train"
    valid = "valid"
    test = "test"


Data = Annotated[Path, typer.Argument(help="DATA folder, as prepare writes it.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="RUN folder, as train writes it.")]
Out = Annotated[Path, typer.Option("--out", help="DATA folder to write; must not exist.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Split and sampled negatives follow from it alone.")]
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
        with _progress("reading", size, DownloadColumn()) as advance:
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
    from dien.data import recipes
    from dien.data.dataset import Dataset
    from dien.data.writer import check_free, write

    check_free(out)
    log = read()
    with messages.status("preparing"):
        build: Callable[..., Any] = recipes.paper if recipe is Recipe.paper else recipes.temporal
        prepared = build(log, seed=seed, **options)
    with messages.status("writing"):
        write(prepared, out)
    info = Dataset.open(out).info
    rows: dict[str, Any] = {name: info["sizes"][name] for name in ("users", "items", "behaviours")}
    for split, size in info["sizes"]["splits"].items():
        rows[f"{split} rows"] = f"{size['rows']:,} in {size['impressions']:,} impressions"
    rows |= {f"excluded: {what}": count for what, count in info["excluded"].items()}
    _finish({"data": str(out), **info}, rows, f"DATA: {out}", as_json)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="RUN folder to write.")],
    model: Annotated[str | None, typer.Option("--model", help="dien (default) or sum-pooling.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with any configuration keys.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as model.hidden_size=64."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same as --set training.seed=.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run was.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model on DATA; the RUN folder holds all that scoring needs."""
    overrides = [*(settings or []), *([] if seed is None else [f"training.seed={seed}"])]
    if model is not None:
        model_config(model)  # an unknown name gets its own message
        overrides.insert(0, f"model.name={model}")
    run_config = load_config(config, overrides)
    from dien.training import fit

    result = fit(data, run_config, out, resume=resume)
    summary = result.to_dict()
    _finish({"run": str(out), **summary}, summary, f"RUN: {out}", as_json)


@app.command()
def evaluate(
    run: RunFolder,
    split: Annotated[SplitChoice, typer.Option("--split", help="Rows to evaluate on.")] = SplitChoice.test,
    data: Annotated[Path | None, typer.Option("--data", help="DATA folder, if it has moved.")] = None,
    as_json: Json = False,
) -> None:
    """Print AUC, GAUC, LogLoss and calibration."""
    from dien.training import evaluate as evaluate_run

    with _progress("evaluating", None, TextColumn("{task.completed:,} rows")) as advance:
        metrics = evaluate_run(run, data, split=split.value, progress=advance).to_dict()
    _finish({"run": str(run), "split": split.value, **metrics}, metrics, f"RUN: {run}", as_json)


@app.command()
def score(
    run: RunFolder,
    requests: Annotated[Path, typer.Argument(help="Parquet or JSONL: user, history, candidates, context.")],
    out: Annotated[Path, typer.Option("--out", help="Scores: .parquet or .jsonl.")],
    as_json: Json = False,
) -> None:
    """Score a file of requests in raw ids."""
    from dien.serving import Scorer, score_file

    started = time.perf_counter()
    scorer = Scorer.load(run)
    with _progress("scoring", None, TextColumn("{task.completed:,} requests")) as advance:
        result = score_file(scorer, requests, out, advance)
    summary = {**vars(result), "seconds": round(time.perf_counter() - started, 3)}
    _finish({"scores": str(out), **summary}, summary, f"scores: {out}", as_json)


@contextmanager
def _progress(what: str, total: float | None, amount: Any) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; yields what advances it."""
    columns = (TextColumn(what), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda step: progress.advance(task, step)


def _finish(result: Mapping[str, Any], rows: Mapping[str, Any], last: str, as_json: bool) -> None:
    """Print the result: one JSON object, or a short table and a last line."""
    if as_json:
        sys.stdout.write(json.dumps(result, default=str) + "\n")
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), _text(value))
    console = Console(highlight=False)
    console.print(table)
    console.print(last, soft_wrap=True)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


def main() -> None:
    """Run a command: exit code 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    from dien.data.log import DataError
    from dien.run import RunError

    try:
        app()
    except (ConfigError, DataError, RunError) as error:
        messages.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
        sys.exit(1)
