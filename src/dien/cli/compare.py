"""The command that compares models."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dien.cli.output import Jobs, Json, RunsFolder


def compare(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...", help="DATA folders: one, or the same prepared with several --seed."
        ),
    ],
    models: Annotated[str, typer.Option("--models", help="Their names, as sum-pooling,din,dien.")],
    out: RunsFolder,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Training seeds for each DATA.")] = 1,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="YAML of keys for all models, under models: NAME: for one; or a preset's name."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key of every model, as training.epochs=3."
        ),
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Train models on the same rows with the same budget, and say how sure their order is."""
    from dien.reports.comparison_report import markdown, write_reports
    from dien.training.compare import compare as compare_models
    from dien.training.compare import compared_configs, read_curves

    configs = compared_configs(
        [name.strip() for name in models.split(",") if name.strip()], config, settings or ()
    )
    comparison = compare_models(data, configs, out, seeds=seeds, jobs=jobs)
    write_reports(comparison, read_curves(out, comparison), out)
    if as_json:
        sys.stdout.write(json.dumps(comparison) + "\n")
    else:
        typer.echo(markdown(comparison, details=False))
        typer.echo(
            f"comparison: {out} (table.md, report.html, table.csv, runs.csv, pairs.csv, comparison.json)"
        )
    if any(run["status"] != "done" for run in comparison["runs"]):
        raise typer.Exit(1)
