"""The arguments and options that commands share, each spelled once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dien.cli import checks
from dien.presets import PRESETS

Check = Callable[[Any], Any]


def argument(metavar: str, help: str, check: Check = checks.path) -> Any:
    """Make an argument, which is checked."""
    return typer.Argument(metavar=metavar, parser=check, help=help)


def option(name: str, metavar: str, help: str, check: Check = checks.path) -> Any:
    """Make an option with a value, which is checked."""
    return typer.Option(name, metavar=metavar, parser=check, help=help)


def flag(name: str, help: str) -> Any:
    """Make an option without a value."""
    return typer.Option(name, metavar="", help=help)


def tagged(tag: str, help: str) -> str:
    """Begin a help text with where the option counts, as ``[temporal]``."""
    return f"[{tag}] {help}" if tag else help


DataFolder = Annotated[Path, argument("DATA", "Dataset folder, as dien prepare writes it.")]
RunFolder = Annotated[Path, argument("RUN", "Run folder, as dien train writes it.")]
Json = Annotated[bool, flag("--json", "Print one JSON object on standard output, and nothing else there.")]

out_data = option("--out", "DATA", "Dataset folder to write; it must not exist yet.")
out_run = option("--out", "RUN", "Run folder to write.")
Seed = Annotated[
    int,
    option("--seed", "N", "Random seed of the sampled negatives and of a split by user.", checks.seed),
]
interactions = option(
    "--interactions", "FILES", "Clicks or impressions: a file, a folder or a glob. Can be repeated."
)
behaviours = option(
    "--behaviours",
    "FILES",
    "Behaviours in a log of their own, as views, carts and purchases: they alone make the histories. "
    "Can be repeated.",
)
items = option("--items", "FILES", "Table of items and their features.")
users = option("--users", "FILES", "Table of users and their features.")

SkipBad = Annotated[
    int,
    option(
        "--skip-bad",
        "N",
        "Leave out up to N rows that lack a user, an item, a time or a label.",
        checks.whole(0),
    ),
]


@dataclass(frozen=True)
class RunsOptions:
    """The options of commands that train several runs."""

    out: Annotated[
        Path,
        option("--out", "DIR", "Folder to write. The same command for the same folder continues its work."),
    ]
    seeds: Annotated[
        int, option("--seeds", "N", "Number of training seeds: 0, 1, 2 and so on.", checks.whole(1, 1000))
    ] = 1
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            "N",
            "Runs at the same time, one thread each (default: one a core).",
            checks.at_once,
        ),
    ] = None


def moved(metavar: str, what: str) -> Any:
    """Make the option ``--data`` of a command that knows where the data was."""
    return option("--data", metavar, f"Where {what} now, if it was moved after training.")


Device = Annotated[
    str,
    option(
        "--device",
        "NAME",
        "Where the model computes: auto (the first GPU of CUDA, else the processor), cpu, cuda, cuda:N or "
        "mps.",
        checks.text,
    ),
]


def column(name: str, help: str) -> Any:
    """Make an option that names a column."""
    return option(name, "COLUMN", f"Column of {help}.", checks.text)


file_format = typer.Option(
    "--format", help="Kind of the interactions' files, where their names do not say it.", show_default=False
)
columns = option(
    "--columns",
    "NAMES",
    "Names of the interactions' columns, with commas, where they have no header.",
    checks.names,
)
separator = option(
    "--separator",
    "TEXT",
    "What is between the interactions' columns, as ';', '::' or '\\t'.",
    checks.separator,
)
encoding = option(
    "--encoding", "NAME", "Encoding of the interactions' text, as latin-1 or gbk.", checks.encoding
)


def model(more: str = "") -> Any:
    """Make the option ``--model``."""
    return option(
        "--model",
        "NAME",
        f"Model, as dien, din or sum-pooling{more}. A name that no model has lists them all.",
        checks.text,
    )


def config(more: str = "") -> Any:
    """Make the option ``--config``."""
    presets = ", ".join(PRESETS)
    return option("--config", "FILE", f"YAML file of configuration keys, or a preset: {presets}.{more}")


def settings(more: str = "") -> Any:
    """Make the option ``--set``."""
    help = f"Set a configuration key, as model.hidden_size=64. Can be repeated.{more}"
    return option("--set", "KEY=VALUE", help, checks.text)


def valid_from(tag: str) -> Any:
    """Make the option ``--valid-from``."""
    help = "Validation starts here: a date (UTC), or a share of the behaviours by time (default 0.8)."
    return option("--valid-from", "WHEN", tagged(tag, help), checks.moment)


def test_from(tag: str) -> Any:
    """Make the option ``--test-from``."""
    help = "The test starts here: a date (UTC), or a share of the behaviours by time (default 0.9)."
    return option("--test-from", "WHEN", tagged(tag, help), checks.moment)


def warmup(tag: str, default: str = "") -> Any:
    """Make the option ``--warmup``."""
    help = f"Behaviours a user must have before the first impression{default}."
    return option("--warmup", "N", tagged(tag, help), checks.whole(0, 2**31 - 1))


def negatives(tag: str) -> Any:
    """Make the option ``--negatives``."""
    return option("--negatives", "N", tagged(tag, "Sampled for each positive (default 4)."), checks.sampled)


def rare_share(tag: str, default: float) -> Any:
    """Make the option ``--rare-share``."""
    help = (
        "Share of the ids and other values that training has once which are unknown to a model, so that "
        f'"unknown" is trained (default {default:g}).'
    )
    return option("--rare-share", "FRACTION", tagged(tag, help), checks.fraction)


def max_train_rows(tag: str) -> Any:
    """Make the option ``--max-train-rows``."""
    return option("--max-train-rows", "N", tagged(tag, "Keep only the latest N training rows."), checks.count)
