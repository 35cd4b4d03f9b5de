"""What a comparison says that the seed of the preparation has drawn is what two seeds draw otherwise."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.data import prepare
from dien.data.log import Log
from dien.data.prepare import impressions, paper, splits, temporal
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByColumn, ByLast, ByRatio, ByTime, ByUser, SplitRule
from dien.data.writer import write
from dien.training.compare import compare, compared_configs
from tests.data.logs import random_log, rows_of

RULES: dict[type, Callable[[int], SplitRule]] = {
    ByTime: lambda seed: ByTime(),
    ByLast: lambda seed: ByLast(),
    ByRatio: lambda seed: ByRatio(),
    ByUser: lambda seed: ByUser(seed),
    ByColumn: lambda seed: ByColumn(),
}
"""Each rule as dien prepare makes it for a seed."""


def log_of(labelled: bool) -> Log:
    """A log that also says where each event belongs."""
    log = random_log(users=30, items=20, events=900, labelled=labelled)
    split = pl.Series("split", np.arange(900) % 3, dtype=pl.Int8)
    return replace(log, events=log.events.with_columns(split))


def preparations() -> dict[str, Callable[[int], Prepared]]:
    """Every recipe and rule on every log that it takes."""
    clicks, labelled = log_of(labelled=False), log_of(labelled=True)
    found: dict[str, Callable[[int], Prepared]] = {
        "paper, last": lambda seed: paper(clicks, seed=seed, targets="last"),
        "paper, all": lambda seed: paper(clicks, seed=seed, targets="all"),
    }
    for what, log in (("clicks", clicks), ("labelled", labelled)):
        found[f"temporal, {what}"] = partial(_temporal, log)
        for rule, make in RULES.items():
            found[f"{rule.__name__}, {what}"] = partial(_impressions, log, make)
    return found


def _temporal(log: Log, seed: int) -> Prepared:
    return temporal(log, seed=seed, warmup=0)


def _impressions(log: Log, make: Callable[[int], SplitRule], seed: int) -> Prepared:
    return impressions(log, make(seed), seed=seed, warmup=0)


PREPARATIONS = preparations()


def test_every_recipe_and_rule_is_asked() -> None:
    rules = {
        value
        for value in vars(splits).values()
        if isinstance(value, type) and issubclass(value, SplitRule) and value is not SplitRule
    }
    assert rules == RULES.keys()
    assert set(prepare.__all__) == {"impressions", "paper", "temporal"}


def positives(prepared: Prepared) -> dict[str, list[Any]]:
    """Of each impression of each split, what no negative changes."""
    return {
        split: [
            (
                row["user"],
                row["time"],
                row["history"],
                [item for item, label in zip(row["items"], row["labels"], strict=True) if label],
            )
            for row in rows_of(prepared, split)
        ]
        for split in prepared.splits
    }


def candidates(prepared: Prepared) -> dict[tuple[str, int], list[str]]:
    """What each user is shown at each time, in whichever split."""
    found: dict[tuple[str, int], list[str]] = {}
    for split in prepared.splits:
        for row in rows_of(prepared, split):
            found[row["user"], row["time"]] = sorted(found.get((row["user"], row["time"]), []) + row["items"])
    return found


@pytest.mark.parametrize("name", PREPARATIONS)
def test_two_seeds_differ_in_just_what_is_said_to_be_drawn(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.training.compare.run_all", lambda *_: None)
    one, other = (PREPARATIONS[name](seed) for seed in (0, 1))
    write(one, tmp_path / "data")
    drawn = compare(
        [tmp_path / "data"], compared_configs(["din"]), tmp_path / "out", show_progress=False
    ).drawn
    assert ("split" in drawn) == (positives(one) != positives(other))
    shown, shown_too = candidates(one), candidates(other)
    both = shown.keys() & shown_too.keys()
    assert both
    assert ("negatives" in drawn) == any(shown[moment] != shown_too[moment] for moment in both)
