"""The commands: thin. Progress goes to standard error, the result to standard output."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TextColumn

from dien.cli.bench import bench
from dien.cli.compare import compare
from dien.cli.convert_recbole import convert_recbole
from dien.cli.data import inspect, schema
from dien.cli.evaluate import evaluate
from dien.cli.output import Json, RunFolder, finish, messages, progress
from dien.cli.prepare import prepare
from dien.cli.prepare_recbole import prepare_recbole
from dien.cli.tune import tune
from dien.config import MODELS, load_config
from dien.errors import DienError

app = typer.Typer(
    help="Deep Interest Evolution Network: from click logs to scores.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # in which [time] is a word, not a style
    pretty_exceptions_enable=False,
)
prepare.command("recbole")(prepare_recbole)
app.add_typer(prepare, name="prepare")
app.add_typer(schema, name="schema")
app.command()(inspect)
app.command()(bench)
app.command()(compare)
app.command()(tune)
app.command("convert-recbole")(convert_recbole)

Data = Annotated[Path, typer.Argument(help="DATA folder, as prepare writes it.")]


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="RUN folder to write.")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help=f"One of: {', '.join(MODELS)}. Without: dien."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML with any configuration keys, or a preset's name.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as model.hidden_size=64."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same as --set training.seed=.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run was.")] = False,
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="RUN", help="Start warm from a finished RUN; DATA must extend its own."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model on DATA; the RUN folder holds all that scoring needs."""
    overrides = [*(settings or []), *([] if seed is None else [f"training.seed={seed}"])]
    run_config = load_config(config, overrides, model=model)
    from dien.training import fit

    result = fit(data, run_config, out, resume=resume, start_from=start_from)
    summary = result.to_dict()
    finish({"run": str(out), **summary}, summary, f"RUN: {out}", as_json)


app.command()(evaluate)  # here, so that --help lists it between train and score


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
    with progress("scoring", None, TextColumn("{task.completed:,} requests")) as advance:
        result = score_file(scorer, requests, out, advance)
    summary = {**vars(result), "seconds": round(time.perf_counter() - started, 3)}
    finish({"scores": str(out), **summary}, summary, f"scores: {out}", as_json)


def main() -> None:
    """Run a command: exit code 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    # torch's threads wait for each other spinning, also for one whose core another process has. With this
    # they soon sleep instead (docs/performance.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

    try:
        app()
    except DienError as error:
        messages.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
        sys.exit(1)
