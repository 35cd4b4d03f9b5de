"""The command that tunes a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dien.cli import checks, options
from dien.cli.groups import with_groups
from dien.cli.output import Results, print_json
from dien.errors import ConfigError

if TYPE_CHECKING:
    from dien.training.tuning import Tuning

TRIALS_SHOWN = 5


@with_groups
def tune(
    *,
    data: options.DataFolder,
    model: Annotated[str, options.model()],
    trials: Annotated[int, options.option("--trials", "N", "Number of sets of values to try.", checks.count)],
    runs: options.RunsOptions,
    config: Annotated[Path | None, options.config(" Its keys are not searched.")] = None,
    settings: Annotated[list[str] | None, options.settings(" It is not searched.")] = None,
    as_json: options.Json = False,
) -> None:
    """Search for the configuration with the best validation AUC.

    The folder's best.yaml is for --config of dien train and dien compare. For example:

        dien tune data/shop --model dien --trials 30 --out tuned/shop
    """
    from dien.training.compare import compared_configs
    from dien.training.space import search_space

    try:
        from dien.training.tune import tune as tune_model
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ConfigError("dien tune needs Optuna: pip install '.[tune]' in the clone") from error
    chosen = compared_configs([model], config, settings or ())[model]
    space = search_space(model, config, settings or ())
    found = tune_model(data, model, chosen, space, runs.out, trials=trials, seeds=runs.seeds, jobs=runs.jobs)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found, runs.out)
    if any(trial.status != "done" for trial in found.trials):
        raise typer.Exit(1)


def _print(found: Tuning, out: Path) -> None:
    """Print the space, with what mattered in it, and the best trials."""
    from dien.models.space import shown

    done = [trial for trial in found.trials if trial.status == "done"]
    best = sorted(done, key=lambda trial: -(trial.valid_auc or 0.0))[:TRIALS_SHOWN]
    importance = found.importance
    console = Results()
    keys = Table(box=None, pad_edge=False)
    for name in ("key", "searched", *(("importance",) if importance else ())):
        keys.add_column(name, justify="right" if name == "importance" else "left")
    for key, values in found.space.items():
        keys.add_row(key, values, *([f"{importance[key]:.2f}"] if importance else []))
    console.print(keys)
    if best:
        table = Table(box=None, pad_edge=False)
        table.add_column("the best first", no_wrap=True)
        for trial in best:
            table.add_column(f"trial {trial.trial}", justify="right")
        table.add_row("valid AUC", *(f"{trial.valid_auc:.4f}" for trial in best))
        if found.seeds > 1:
            table.add_row("std over seeds", *(f"{trial.valid_auc_std:.4f}" for trial in best))
        for key in found.space:
            table.add_row(key.partition(".")[2], *(shown(trial.values[key]) for trial in best))
        console.print()
        console.print(table)
    failed = sum(trial.status == "failed" for trial in found.trials)
    counts = f"{len(found.trials)} trials" + (f", {failed} failed" if failed else "")
    files = ("best.yaml, " if best else "") + "trials.csv, tune.json"
    console.print(f"{counts}: {out} ({files})", soft_wrap=True)
