"""The commands that are disturbed, and the folder that they find."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

SCHEMA = """\
interactions: {label: label}
features:
  item: {category: }
  context: {device: }
"""


@dataclass(frozen=True)
class Command:
    """A command, run in the folder.

    Attributes:
        name: of the case.
        arguments: of ``dien``.
        target: what it makes or replaces, by its name in the folder.
        once: whether it refuses to be repeated when it was done.
        resumes: whether a part of the target may stay, there or beside it, with which ``--resume`` goes on.
    """

    name: str
    arguments: list[str]
    target: str
    once: bool = False
    resumes: bool = False


_TABLES = ["--items", "items.parquet", "--schema", "schema.yaml"]
_SMALL = ["model.embedding_size=2", "model.hidden_size=4", "training.batch_size=16", "training.epochs=2"]
_SETTINGS = [word for key in (*_SMALL, "training.checkpoint_steps=3") for word in ("--set", key)]

COMMANDS = (
    Command(
        "prepare",
        ["prepare", "table", "--interactions", "log/1.parquet", *_TABLES, "--out", "new"],
        "new",
        once=True,
    ),
    Command(
        "append",
        ["prepare", "table", "--append", "shop", "--interactions", "log/2.parquet", *_TABLES],
        "shop",
        once=True,
    ),
    Command("train", ["train", "shop", "--out", "trained", *_SETTINGS], "trained", resumes=True),
    Command(
        "score", ["score", "run", "requests.jsonl", "--out", "scores.jsonl"], "scores.jsonl", resumes=True
    ),
    Command("inspect", ["inspect", "shop", "--html", "report.html"], "report.html"),
)
FIRST = (
    ["prepare", "table", "--interactions", "log/1.parquet", *_TABLES, "--out", "shop"],
    ["train", "shop", "--out", "run", *_SETTINGS],
)
"""What makes the dataset folder and the run that the commands find."""


def make(folder: Path) -> None:
    """Make the tables and requests, and files that no command may touch or that it replaces."""
    rng = np.random.default_rng(0)
    (folder / "log").mkdir(parents=True)
    for day in (1, 2):
        events = 150
        pl.DataFrame(
            {
                "user": [f"u{u}" for u in rng.integers(0, 12, events)],
                "item": [f"i{i}" for i in rng.integers(0, 20, events)],
                "time": 1_700_000_000 + day * 86_400 + np.sort(rng.integers(0, 80_000, events)),
                "label": rng.integers(0, 2, events),
                "device": rng.choice(["phone", "web"], events),
            }
        ).write_parquet(folder / "log" / f"{day}.parquet")
    items = pl.DataFrame({"item": [f"i{i}" for i in range(20)], "category": [f"c{i % 3}" for i in range(20)]})
    items.write_parquet(folder / "items.parquet")
    (folder / "schema.yaml").write_text(SCHEMA)
    request = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3", "i4"], "device": "web"}
    (folder / "requests.jsonl").write_text(json.dumps(request) + "\n")
    (folder / "scores.jsonl").write_text("from before")
    (folder / "thesis.tex").write_text("years of work")
