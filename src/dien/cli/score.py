"""The command that scores: a file of requests, a split of a dataset folder, or pairs of user and item."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import TextColumn

from dien.cli import checks, options
from dien.cli.output import finish, progress


def score(
    run: options.RunFolder,
    out: Annotated[
        Path, options.option("--out", "FILE", "File of scores to write: .parquet, .jsonl or .csv.")
    ],
    requests: Annotated[
        Path | None,
        options.argument("REQUESTS", "Parquet, JSON lines or CSV: user, history, candidates, and features."),
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option(
            "--split", help="Instead of REQUESTS: every impression of this split, with its own history."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        options.option(
            "--pairs",
            "FILE",
            "Instead of REQUESTS: Parquet, JSON lines or CSV with user, item and time, whose histories are "
            "looked up in the dataset folder.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        options.option(
            "--data",
            "DATA",
            "Of --split and --pairs: the dataset folder, if it was moved or has grown since training.",
        ),
    ] = None,
    catalogue: Annotated[
        Path | None,
        options.option(
            "--catalogue",
            "DATA",
            "Of REQUESTS: a dataset folder that has grown since (--append): its new items and users are "
            "known by their features.",
        ),
    ] = None,
    file_format: Annotated[
        Literal["csv", "tsv", "jsonl", "parquet"] | None,
        typer.Option(
            "--format", help="Kind of the file to score, where its name does not say it.", show_default=False
        ),
    ] = None,
    columns: Annotated[
        checks.Names | None,
        options.option(
            "--columns", "NAMES", "Names of its columns, with commas, where it has no header.", checks.names
        ),
    ] = None,
    separator: Annotated[
        str | None,
        options.option(
            "--separator", "TEXT", "What is between its columns, as ';', '::' or '\\t'.", checks.separator
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        options.option("--encoding", "NAME", "Encoding of its text, as latin-1 or gbk.", checks.encoding),
    ] = None,
    base_rate: Annotated[
        float | None,
        options.option(
            "--base-rate",
            "SHARE",
            "Share of clicks among all that is shown, where the log holds sampled negatives or a part of "
            "the rest alone: scores are then probabilities of a click on what is shown.",
            checks.share,
        ),
    ] = None,
    jobs: Annotated[
        int,
        options.option(
            "--jobs",
            "N",
            "Processes that score, each with one thread and a copy of the model; 1 for this process alone, "
            "with all threads.",
            checks.at_once,
        ),
    ] = 1,
    resume: Annotated[
        bool, options.flag("--resume", "Go on where the same command was stopped, to the same scores.")
    ] = False,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Score a file of requests, which hold raw ids, or what a dataset folder holds.

    For example:

        dien score runs/shop requests.jsonl --out scores.jsonl

        dien score runs/shop --split test --out scores.jsonl

        dien score runs/shop --pairs pairs.csv --out scores.csv
    """
    from dien.data.readers.text_format import TextFormat
    from dien.serving import Scorer, score_file, score_pairs, score_split

    given = {"REQUESTS": requests, "--split": split, "--pairs": pairs}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        found = " and ".join(chosen) or "nothing to score"
        raise typer.BadParameter(f"found {found}; give one of REQUESTS, --split and --pairs")
    if data is not None and requests is not None:
        raise typer.BadParameter(
            "--data is of --split and --pairs; for REQUESTS of new items and users, give --catalogue"
        )
    if catalogue is not None and requests is None:
        raise typer.BadParameter(f"--catalogue is of REQUESTS; with {chosen[0]} give --data, which is both")
    text = TextFormat(format=file_format, columns=columns, separator=separator, encoding=encoding)
    if split is not None and text != TextFormat():
        raise typer.BadParameter(
            "--format, --columns, --separator and --encoding are of a file; with --split leave them out"
        )
    started = time.perf_counter()
    what = {"REQUESTS": "requests", "--split": "impressions", "--pairs": "pairs"}[chosen[0]]
    with progress("scoring", None, TextColumn("{task.completed:,} " + what)) as advance:
        if split is not None:
            result = score_split(
                run,
                out,
                data,
                split=split,
                device=device,
                base_rate=base_rate,
                progress=advance,
                jobs=jobs,
                resume=resume,
            )
        elif pairs is not None:
            result = score_pairs(
                run,
                pairs,
                out,
                data,
                device=device,
                base_rate=base_rate,
                text=text,
                progress=advance,
                jobs=jobs,
                resume=resume,
            )
        else:
            assert requests is not None
            scorer = Scorer.load(run, catalogue, device, base_rate)
            result = score_file(scorer, requests, out, advance, text=text, jobs=jobs, resume=resume)
    summary = {**vars(result), "seconds": round(time.perf_counter() - started, 3)}
    if base_rate is not None:
        summary["base_rate"] = base_rate
    rows = {what if name == "requests" else name: value for name, value in summary.items()}
    unknown = rows.pop("unknown_values")
    rows |= {f"as in the log: {name}": value for name, value in rows.pop("as_in_log").items()}
    rows |= {f"times written as {form}": count for form, count in rows.pop("times").items()}
    rows |= {f"unknown values of {name}": count for name, count in unknown.items()}
    finish({"scores": str(out), **summary}, rows, f"scores: {out}", as_json)
