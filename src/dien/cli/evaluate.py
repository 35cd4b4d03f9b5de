"""The command that evaluates a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import TextColumn
from rich.table import Table

from dien.cli import options
from dien.cli.output import Results, finish, progress, table_of
from dien.cli.whole_run import whole_run_tables

if TYPE_CHECKING:
    from dien.explain import WholeRun
    from dien.run import Run
    from dien.training.metrics import Metrics
    from dien.training.probabilities import Decile


def evaluate(
    run: options.RunFolder,
    split: Annotated[
        Literal["train", "valid", "test"], typer.Option("--split", help="Rows to evaluate on.")
    ] = "test",
    data: Annotated[Path | None, options.moved("DATA", "the dataset folder is")] = None,
    slices: Annotated[
        bool,
        options.flag(
            "--slices",
            "Also by length of history, and by whether the history holds the candidate or it is new.",
        ),
    ] = False,
    behaviours: Annotated[
        bool,
        options.flag(
            "--behaviours",
            "Also by the behaviours of histories: click rate and mean score by their place, age and kind.",
        ),
    ] = False,
    html: Annotated[
        Path | None,
        options.option("--html", "FILE", "Also write a page of that, with attention: one HTML file."),
    ] = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Print AUC, GAUC, LogLoss and calibration of a run; of synthetic logs also the best possible AUC.

    Expected and observed clicks stand by tenths of the scores.

    For example:

        dien evaluate runs/shop --slices

        dien evaluate runs/shop --html shop.html
    """
    from dien.run import Run
    from dien.training import base_rate, truth_share
    from dien.training.evaluate import evaluate_in_detail
    from dien.training.metrics import OF_CONVERSIONS

    opened = Run.open(run)
    with progress("evaluating", None, TextColumn("{task.completed:,} rows")) as advance:
        found = evaluate_in_detail(opened, data, split=split, slices=slices, device=device, progress=advance)
    whole = found.whole
    metrics = whole.to_dict() | base_rate(opened.info.dataset, whole)
    metrics |= truth_share(opened.info.dataset, split, whole.auc)
    if (weight := opened.info.dataset["sizes"].get("splits", {}).get(split, {}).get("weight")) is not None:
        metrics["sum_of_weights"] = weight
    result = {"run": str(run), "split": split, **metrics, "unknown": found.unknown}
    metrics |= {name: value for name, value in whole.flat().items() if value is not None}
    for name in (*OF_CONVERSIONS, "uncalibrated", "deciles"):
        metrics.pop(name, None)
    if whole.deciles and not as_json:
        Results().print(_deciles(whole.deciles), "")
    if slices:
        result["slices"] = {name: part.to_dict() for name, part in found.slices.items()}
        if not as_json:
            notes = [f"{name}: {part.note}" for name, part in found.slices.items() if part.auc is None]
            Results().print(_table(found.slices), *notes, "")
    if behaviours or html is not None:
        seen = _by_behaviours(opened, data, split, device, html)
        result["behaviours"] = seen.to_dict()
        if not as_json:
            tables = whole_run_tables(seen)
            Results().print(*(part for table in tables for part in (table, "")))
    if whole.note is None:
        metrics.pop("note", None)
    for place, shares in found.unknown.items():
        metrics |= {f"unknown {name} ({place})": f"{share:.1%}" for name, share in shares.items() if share}
    page = "" if html is None else f"\nreport: {html}"
    finish(result, metrics, f"run folder: {run}{page}", as_json)


def _by_behaviours(
    run: Run,
    data: Path | None,
    split: Literal["train", "valid", "test"],
    device: str,
    html: Path | None,
) -> WholeRun:
    from dien.explain import whole_run
    from dien.reports.whole_run_page import write_whole_run

    with progress("by behaviours", None, TextColumn("{task.completed:,} rows")) as advance:
        found = whole_run(run, data, split=split, device=device, progress=advance)
    if html is not None:
        write_whole_run([found], html)
    return found


def _deciles(deciles: Sequence[Decile]) -> Table:
    table = table_of("tenth of the scores", "rows", "mean score", "clicked", "expected / observed")
    for number, tenth in enumerate(deciles, 1):
        ratio = "-" if tenth.calibration is None else f"{tenth.calibration:.3f}"
        table.add_row(
            str(number), f"{tenth.rows:,}", f"{tenth.mean_score:.4f}", f"{tenth.click_rate:.4f}", ratio
        )
    return table


def _table(slices: Mapping[str, Metrics]) -> Table:
    table = table_of("slice", "rows", "clicked", "AUC", "GAUC", "LogLoss", "calibration")
    for name, part in slices.items():
        figures = (part.auc, part.gauc, part.log_loss, part.calibration)
        shown = ("-" if figure is None else f"{figure:.4f}" for figure in figures)
        table.add_row(name, f"{part.rows:,}", f"{part.positives / part.rows:.1%}", *shown)
    return table
