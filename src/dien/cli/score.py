"""The command that scores a file of requests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from rich.progress import TextColumn

from dien.cli import options
from dien.cli.output import finish, progress


def score(
    run: options.RunFolder,
    requests: Annotated[
        Path,
        options.argument("REQUESTS", "Parquet, JSON lines or CSV: user, history, candidates, and features."),
    ],
    out: Annotated[
        Path, options.option("--out", "FILE", "File of scores to write: .parquet, .jsonl or .csv.")
    ],
    catalogue: Annotated[
        Path | None,
        options.option(
            "--catalogue",
            "DATA",
            "Dataset folder that has grown since (--append): its new items and users are known by their "
            "features.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Score a file of requests, which hold raw ids.

    For example:

        dien score runs/shop requests.jsonl --out scores.jsonl
    """
    from dien.serving import Scorer, score_file

    started = time.perf_counter()
    scorer = Scorer.load(run, catalogue)
    with progress("scoring", None, TextColumn("{task.completed:,} requests")) as advance:
        result = score_file(scorer, requests, out, advance)
    summary = {**vars(result), "seconds": round(time.perf_counter() - started, 3)}
    finish({"scores": str(out), **summary}, summary, f"scores: {out}", as_json)
