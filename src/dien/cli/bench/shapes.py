"""The command that measures models on random batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.progress import TextColumn
from rich.table import Table

from dien.cli import checks, options
from dien.cli.output import Results, print_json, progress, spread, table_of
from dien.errors import ConfigError


def shapes(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        options.option(
            "--shape",
            "NAME",
            "mean-15, full, paired or request (default: all of them). Can be repeated.",
            checks.text,
        ),
    ] = None,
    rounds: Annotated[int, options.option("--rounds", "N", "Measurements of each shape.", checks.count)] = 11,
    threads: Annotated[
        int | None,
        options.option("--threads", "N", "Threads (default: as many as PyTorch takes).", checks.at_once),
    ] = None,
    settings: Annotated[list[str] | None, options.settings(" Keys of the model only.")] = None,
    profile: Annotated[
        bool, options.flag("--profile", "Also measure the stages of a training step.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Measure this machine: rows/s of training and scoring, on random batches of the paper's sizes.

    For example:

        dien bench --shape mean-15 --profile
    """
    if context.invoked_subcommand is not None:
        _expect_no_options(context)
        return
    for setting in settings or ():
        if not setting.startswith("model."):
            raise ConfigError(f"--set {setting}: nothing of it is measured; expected a key of the model")
    from dien.bench import SHAPES, measure, measurements, paper
    from dien.config import load_config

    config = load_config(None, settings or (), paper())
    if config.model.filter_by is not None:
        raise ConfigError(
            "--set model.filter_by: histories of dien bench are drawn as long as a model reads them, so that "
            "nothing is searched; leave it out, and set model.max_history"
        )
    chosen = list(dict.fromkeys(names or SHAPES))
    total = measurements(chosen, rounds, profile)
    with progress("measuring", total, TextColumn("{task.completed} of {task.total}")) as advance:
        result = measure(config, chosen, rounds=rounds, threads=threads, profiled=profile, progress=advance)
    if as_json:
        print_json(result)
        return
    console = Results(soft_wrap=True)
    console.print(
        f"dien {result['dien']}, torch {result['torch']}, CPU backend {result['backend']}, "
        f"threads: {result['threads']}; median (quartiles) of {rounds} rounds\n"
    )
    console.print(_rates(result["shapes"]))
    for name, shape in result["shapes"].items():
        if "profile" in shape:
            found = shape["profile"]
            console.print(f"\na step of training, {name}: {shape['about']}; {shape['steps']:,.0f} behaviours")
            console.print(_stages(found))
            console.print(f"unobserved: {found['step_ms']:.2f} ms ({found['difference']:+.1%} in the sum)")


def _expect_no_options(context: typer.Context) -> None:
    """Refuse options before the name of a command: they are those of this one, and would be lost.

    Raises:
        BadParameter: there is one.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"found {parameter.opts[0]} before {context.invoked_subcommand}, where it has no effect; "
                "give options after the name of their command"
            )


def _rates(shapes: Mapping[str, Any]) -> Table:
    table = table_of("shape", "", "ms a batch", "rows/s")
    for name, shape in shapes.items():
        for mode in ("train", "score"):
            if mode in shape:
                milliseconds, rate = shape[mode]["milliseconds"], shape[mode]["rows_per_second"]
                table.add_row(name, mode, spread(milliseconds, ".2f"), spread(rate, ",.0f"))
    return table


def _stages(profile: Mapping[str, Any]) -> Table:
    parts = ("forward_ms", "backward_ms", "update_ms")
    table = table_of("stage", "forward ms", "backward ms", "update ms", "share", "GFLOP", "GFLOP/s")
    for name, stage in profile["stages"].items():
        work = (f"{stage['gflop']:.2f}", f"{stage['gflop_per_second']:.0f}") if stage["gflop"] else ("", "")
        table.add_row(name, *_milliseconds(stage[part] for part in parts), f"{stage['share']:.1%}", *work)
    stages = profile["stages"].values()
    sums = [sum(stage[part] for stage in stages) for part in parts]
    gflop = sum(stage["gflop"] for stage in stages)
    rate = f"{1e3 * gflop / profile['sum_ms']:.0f}"
    table.add_row(f"sum: {profile['sum_ms']:.2f} ms", *_milliseconds(sums), "100.0%", f"{gflop:.2f}", rate)
    return table


def _milliseconds(values: Iterable[float]) -> list[str]:
    return [f"{value:.2f}" if value else "" for value in values]
