"""The command that trains a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dien.cli import checks, options
from dien.cli.output import finish


def train(
    data: options.DataFolder,
    out: Annotated[Path, options.out_run],
    model: Annotated[str | None, options.model(" (default dien, or the model of --config)")] = None,
    config: Annotated[Path | None, options.config()] = None,
    settings: Annotated[list[str] | None, options.settings()] = None,
    seed: Annotated[
        int | None,
        options.option("--seed", "N", "Random seed; the same as --set training.seed=N.", checks.seed),
    ] = None,
    resume: Annotated[
        bool, options.flag("--resume", "Continue where a stopped run was, to the same weights.")
    ] = False,
    start_from: Annotated[
        Path | None,
        options.option(
            "--from",
            "RUN",
            "Start from the weights of a finished run, whose dataset folder was appended to since.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on a dataset folder; the run folder holds all that scoring needs.

    For example:

        dien train data/shop --model dien --set training.epochs=3 --out runs/shop
    """
    from dien.config import load_config
    from dien.training import fit

    overrides = [*(settings or []), *([] if seed is None else [f"training.seed={seed}"])]
    result = fit(data, load_config(config, overrides, model=model), out, resume=resume, start_from=start_from)
    summary = result.to_dict()
    rows = {name: value for name, value in summary.items() if name not in ("run", "calibration")}
    if result.calibration is not None:
        clicks = result.calibration.clicks
        rows["calibration"] = f"{clicks.scale:.4f} * logit {clicks.shift:+.4f}"
    finish(summary, rows, f"run folder: {out}", as_json)
