"""New items and users of a dataset that has grown since the run was trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare.append import append
from dien.data.prepare.splits import ByTime
from dien.data.writer import write
from dien.errors import RunError
from dien.run import Run
from dien.serving import Scorer

NEW = {"category": "c1", "tags": ["tag2", "never seen"], "price": 12.5}


@pytest.fixture(scope="module", params=["alone", "with interactions"])
def later(
    request: Any, rich_data: Dataset, rich_log: Log, tmp_path_factory: pytest.TempPathFactory
) -> Dataset:
    """The dataset with a new item and user, alone or with later interactions, whose vocabularies grow."""
    items = pl.concat([rich_log.items, pl.DataFrame({"item": ["fresh"], **{k: [v] for k, v in NEW.items()}})])
    users = pl.concat([rich_log.users, pl.DataFrame({"user": ["somebody"], "age": [33.0]})])
    events = rich_log.events.clear()
    if request.param == "with interactions":
        items = items.with_columns(pl.when(pl.col("item") == "i3").then(pl.lit("c9")).otherwise("category"))
        events = rich_log.events.with_columns(pl.col("time") + 1_000_000, pl.lit("fresh").alias("item"))
    numbers = {
        side: table.select(side, pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row"))
        for side, table in (("item", items), ("user", users))
    }
    for side, table in numbers.items():
        joined = events.join(table, on=side, how="left", maintain_order="left")
        events = joined.drop(side).rename({"row": side})
    log = replace(rich_log, events=events, items=items, users=users)
    path: Path = tmp_path_factory.mktemp("later") / "data"
    write(append(rich_data, log, ByTime(0.5, 0.75), negatives=2), path)
    return Dataset.open(path)


def test_a_new_item_and_user_score_by_their_features(
    rich_run: Run, later: Dataset, rich_requests: list[dict[str, Any]]
) -> None:
    before, after = Scorer(rich_run), Scorer.load(rich_run.path, later.path)
    for request in rich_requests[:5]:
        of_new = {**request, "user": "somebody", "candidates": ["fresh", *request["candidates"]]}
        known = [None] * len(request["candidates"])
        told = before.score(
            **of_new,
            candidate_features={name: [value, *known] for name, value in NEW.items()},
            user_features={"age": 33.0},
        )
        np.testing.assert_array_equal(after.score(**of_new), told)
        assert not np.allclose(before.score(**of_new)[0], told[0])


def test_what_a_run_knows_scores_as_before(
    rich_run: Run, later: Dataset, rich_requests: list[dict[str, Any]]
) -> None:
    before, after = Scorer(rich_run), Scorer(rich_run, later)
    for request in rich_requests[:5]:
        np.testing.assert_array_equal(after.score(**request), before.score(**request))


def test_a_dataset_that_is_another_is_refused(rich_run: Run, small_data: Dataset) -> None:
    with pytest.raises(RunError, match="or score without --catalogue"):
        Scorer(rich_run, small_data)
