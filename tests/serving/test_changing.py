"""Scoring where features change over time: what held at a request, and at each behaviour before it."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.run import Run
from dien.serving import Scorer, score_file, score_pairs, score_split
from dien.training import evaluate, fit

LATER = 300_000
"""A second after all changes."""


@pytest.fixture(scope="module")
def log(rich_log: Log) -> Log:
    """The rich log, with the stock of items and the plan of users, which change."""
    rng = np.random.default_rng(2)

    def changes(side: str, rows: int, name: str, values: list[Any]) -> pl.DataFrame:
        times = rng.integers(0, 20, (rows, 5)) * 10_000
        frame = pl.DataFrame(
            {
                side: pl.Series(np.arange(1, rows + 1).repeat(5), dtype=pl.Int32),
                "time": np.sort(times).ravel(),
                name: [values[k] for k in rng.integers(0, len(values), rows * 5)],
            }
        )
        return frame.unique([side, "time"], keep="last", maintain_order=True)

    found = {
        "stock": changes("item", rich_log.items.height, "stock", [None, 1.0, 7.0, 20.0]),
        "plan": changes("user", rich_log.users.height, "plan", [None, "gold", "blue"]),
    }
    return replace(rich_log, changes=found)


@pytest.fixture(scope="module")
def run(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("changing")
    write(temporal(log, warmup=1, negatives=2), folder / "data")
    config = load_config(overrides=["training.epochs=1", "model.max_history=6", "model.hidden_size=6"])
    fit(Dataset.open(folder / "data"), config, folder / "run", show_progress=False)
    return Run.open(folder / "run")


def test_a_split_its_requests_and_its_pairs_score_alike(
    run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    requests = tmp_path / "requests.jsonl"
    flat = ({**r, **r["context"], **r["behaviours"]} for r in rich_requests)
    requests.write_text("".join(json.dumps(request) + "\n" for request in flat))
    pairs = [
        {"user": r["user"], "item": item, "time": r["time"], **r["context"]}
        for r in rich_requests
        for item in r["candidates"]
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    score_split(run, tmp_path / "split.parquet")
    expected = pl.read_parquet(tmp_path / "split.parquet")["scores"].explode().to_numpy()
    score_file(Scorer(run), requests, tmp_path / "requests.parquet")
    score_pairs(run, tmp_path / "pairs.jsonl", tmp_path / "pairs.parquet")
    of_requests = pl.read_parquet(tmp_path / "requests.parquet")["scores"].explode().to_numpy()
    np.testing.assert_allclose(of_requests, expected, atol=1e-6)
    of_pairs = pl.read_parquet(tmp_path / "pairs.parquet")["score"].to_numpy()
    np.testing.assert_allclose(of_pairs, expected, atol=1e-6)
    assert evaluate(run, split="test").rows == len(expected)


def held(log: Log, name: str, one: str, time: int) -> Any:
    """The value that an item or a user had at a time; of a latest one the time is far ahead."""
    changes = log.changes[name]
    side = changes.columns[0]
    number = {"item": log.items, "user": log.users}[side][side].to_list().index(one) + 1
    known = changes.filter((pl.col(side) == number) & (pl.col("time") <= time))[name].to_list()
    return known[-1] if known else None


def test_values_of_a_request_count_in_place_of_those_that_held_and_no_time_means_the_latest(
    run: Run, log: Log, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = Scorer(run)
    request = next(r for r in rich_requests if len(r["history"]) > 3)
    plan = held(log, "plan", request["user"], request["time"])
    stock = [held(log, "stock", item, request["time"]) for item in request["candidates"]]
    scores = scorer.score(**request)
    told = scorer.score(**request, user_features={"plan": plan}, candidate_features={"stock": stock})
    np.testing.assert_allclose(told, scores, atol=1e-6)
    other = [20.0 if value == 1.0 else 1.0 for value in stock]
    assert not np.allclose(scorer.score(**request, candidate_features={"stock": other}), scores, atol=1e-6)
    # time_since is unknown for times that are missing, so that those of a time far ahead are taken away, too.
    asked = {name: value for name, value in request.items() if name != "times"}
    np.testing.assert_allclose(
        scorer.score(**{**asked, "time": None}), scorer.score(**{**asked, "time": LATER}), atol=1e-6
    )


def test_it_is_said_where_the_latest_values_count_for_want_of_a_time(run: Run, tmp_path: Path) -> None:
    row = {"user": "u1", "history": ["i1"], "candidates": ["i2"]}
    (tmp_path / "requests.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.warns(
        UserWarning, match="stock, plan: .* the latest values count.* time and times; add both"
    ):
        score_file(Scorer(run), tmp_path / "requests.jsonl", tmp_path / "scores.jsonl")
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"user": "u1", "item": "i2"}) + "\n")
    with pytest.warns(UserWarning, match="stock, plan: .* the latest values count.* has time; add it"):
        score_pairs(run, tmp_path / "pairs.jsonl", tmp_path / "scores.jsonl")


def test_pairs_after_the_last_known_change_are_counted_unless_they_give_the_value(
    run: Run, tmp_path: Path
) -> None:
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "scores.jsonl"
    rows: list[dict[str, Any]] = [{"user": "u1", "item": f"i{k}", "time": LATER} for k in range(3)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {**rows[0], "time": 1000}]))
    with pytest.warns(UserWarning, match="changes over time") as found:
        score_pairs(run, pairs, out)
    texts = [str(one.message) for one in found]
    assert [text.split(" changes over time, and ")[0] for text in texts] == ["stock", "plan"]
    assert "3 of 4 pairs are later than the last change of it in" in texts[0]
    assert "give them as a column of the pairs" in texts[0]
    pairs.write_text("".join(json.dumps({**row, "stock": 7.0, "plan": "gold"}) + "\n" for row in rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        score_pairs(run, pairs, out)
