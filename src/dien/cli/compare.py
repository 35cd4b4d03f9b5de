"""The command that compares models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli import checks, options
from dien.cli.groups import with_groups
from dien.cli.output import Results, print_json


@with_groups
def compare(
    *,
    data: Annotated[
        list[Path],
        options.argument("DATA", "Dataset folders: one, or the same log prepared with several --seed."),
    ],
    models: Annotated[
        checks.Names,
        options.option(
            "--models", "NAMES", "Models with commas between, as sum-pooling,din,dien.", checks.names
        ),
    ],
    runs: options.RunsOptions,
    config: Annotated[Path | None, options.config(" Keys below models: NAME: are for one model.")] = None,
    settings: Annotated[list[str] | None, options.settings(" It holds for every model.")] = None,
    as_json: options.Json = False,
) -> None:
    """Train models on the same rows with the same budget, and say how sure their order is.

    For example:

        dien compare data/shop --models sum-pooling,din,dien --seeds 5 --out comparisons/shop
    """
    from dien.reports.comparison_report import markdown, write_reports
    from dien.training.compare import compare as compare_models
    from dien.training.compare import compared_configs
    from dien.training.comparison import read_curves

    configs = compared_configs(models, config, settings or ())
    comparison = compare_models(data, configs, runs.out, seeds=runs.seeds, jobs=runs.jobs)
    write_reports(comparison, read_curves(runs.out, comparison), runs.out)
    if as_json:
        print_json(comparison.to_dict())
    else:
        files = "table.md, report.html, table.csv, runs.csv, pairs.csv, comparison.json"
        console = Results(soft_wrap=True)
        console.print(markdown(comparison, details=False))
        console.print(f"comparison: {runs.out} ({files})")
    if any(run.status != "done" for run in comparison.runs):
        raise typer.Exit(1)
