"""The command that tunes a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dien.cli.output import Jobs, Json, RunsFolder
from dien.errors import ConfigError

TRIALS_SHOWN = 5


def tune(
    data: Annotated[Path, typer.Argument(help="DATA folder, as prepare writes it.")],
    model: Annotated[str, typer.Option("--model", help="Its name, as for train.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="Sets of values to train.")],
    out: RunsFolder,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Training seeds for each trial.")] = 1,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML of keys to set; they are not searched.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set a key, as training.epochs=5; it is not searched."
        ),
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Search for the values with the best validation AUC; best.yaml is for --config of train and compare."""
    from dien.training.compare import compared_configs
    from dien.training.space import search_space

    try:
        from dien.training.tune import tune as tune_model
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ConfigError("dien tune needs Optuna: pip install 'dien[tune]'") from error
    chosen = compared_configs([model], config, settings or ())[model]
    space = search_space(model, config, settings or ())
    found = tune_model(data, model, chosen, space, out, trials=trials, seeds=seeds, jobs=jobs)
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        _print(found, out)
    if any(trial["status"] != "done" for trial in found["trials"]):
        raise typer.Exit(1)


def _print(found: Mapping[str, Any], out: Path) -> None:
    """Print the space, with what mattered in it, and the best trials."""
    from dien.training.space import shown

    done = [trial for trial in found["trials"] if trial["status"] == "done"]
    best = sorted(done, key=lambda trial: -trial["valid_auc"])[:TRIALS_SHOWN]
    importance = found["importance"]
    console = Console(highlight=False)
    keys = Table(box=None, pad_edge=False)
    for name in ("key", "searched", *(("importance",) if importance else ())):
        keys.add_column(name, justify="right" if name == "importance" else "left")
    for key, values in found["space"].items():
        keys.add_row(key, values, *([f"{importance[key]:.2f}"] if importance else []))
    console.print(keys)
    if best:
        table = Table(box=None, pad_edge=False)
        table.add_column("the best first", no_wrap=True)
        for trial in best:
            table.add_column(f"trial {trial['trial']}", justify="right")
        table.add_row("valid AUC", *(f"{trial['valid_auc']:.4f}" for trial in best))
        if found["seeds"] > 1:
            table.add_row("std over seeds", *(f"{trial['valid_auc_std']:.4f}" for trial in best))
        for key in found["space"]:
            table.add_row(key.partition(".")[2], *(shown(trial["values"][key]) for trial in best))
        console.print()
        console.print(table)
    failed = sum(trial["status"] == "failed" for trial in found["trials"])
    counts = f"{len(found['trials'])} trials" + (f", {failed} failed" if failed else "")
    files = ("best.yaml, " if best else "") + "trials.csv, tune.json"
    console.print(f"{counts}: {out} ({files})", soft_wrap=True, markup=False)
