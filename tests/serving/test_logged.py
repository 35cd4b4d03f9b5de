"""Scoring what a dataset folder holds: a split and pairs, with histories looked up, as when evaluating."""

import csv
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
from dien.data.prepare.append import append
from dien.data.prepare.splits import ByTime
from dien.data.sources.table import prepare
from dien.data.vocabulary import Ids
from dien.data.writer import write
from dien.errors import DataError, DienError, RunError
from dien.run import Run
from dien.serving import ScoredFile, Scorer, score_pairs, score_split
from dien.serving.logged import Logged
from dien.training import evaluate, fit
from dien.training.metrics import MetricStream


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read a file of scores of any kind; in CSV lists and numbers are JSON."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    plain = ("user", "item")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {name: cell if name in plain else json.loads(cell or "null") for name, cell in row.items()}
        for row in rows
    ]


def pairs_of(requests: list[dict[str, Any]], path: Path) -> Path:
    """Write a row for each candidate of requests, without what a dataset knows itself."""
    rows = (
        {"user": r["user"], "item": item, "time": r["time"], **r["context"]}
        for r in requests
        for item in r["candidates"]
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_a_split_scores_as_its_impressions_one_by_one(
    rich_run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"scores.{kind}"
    result = score_split(rich_run, out)
    scorer, rows = Scorer(rich_run), rows_of(out)
    assert result.requests == len(rows) == len(rich_requests)
    assert result.candidates == sum(len(request["candidates"]) for request in rich_requests)
    for number, (row, request) in enumerate(zip(rows, rich_requests, strict=True)):
        assert (row["user"], row["candidates"]) == (request["user"], request["candidates"])
        assert (row["time"], row["impression"]) == (request["time"], number)
        np.testing.assert_allclose(row["scores"], scorer.score(**request), atol=1e-6)


def test_the_metrics_of_the_scores_of_a_split_are_those_of_evaluate(rich_run: Run, tmp_path: Path) -> None:
    score_split(rich_run, tmp_path / "scores.parquet", split="valid")
    scored = pl.read_parquet(tmp_path / "scores.parquet").explode("candidates", "scores", "labels")
    stream = MetricStream()
    scores = scored["scores"].to_numpy()
    users = scored["user"].rank("dense").to_numpy()
    stream.update(np.log(scores / (1 - scores)).astype(np.float32), scored["labels"].to_numpy(), users)
    found, expected = stream.compute(), evaluate(rich_run, split="valid")
    assert found.rows == expected.rows
    for name in ("log_loss", "calibration"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-5)
    for name in ("auc", "gauc"):  # a pair of all but equal scores may change places by rounding
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-3)


def test_pairs_score_as_the_candidates_of_their_impressions_in_any_order_and_at_once(
    rich_run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = pairs_of(rich_requests, tmp_path / "pairs.jsonl")
    scorer = Scorer(rich_run)
    expected = np.concatenate([scorer.score(**request) for request in rich_requests])
    result = score_pairs(rich_run, pairs, tmp_path / "scores.jsonl")
    rows = rows_of(tmp_path / "scores.jsonl")
    np.testing.assert_allclose([row["score"] for row in rows], expected, atol=1e-6)
    given = [json.loads(line) for line in pairs.read_text().splitlines()]
    assert [(r["user"], r["item"], r["time"]) for r in rows] == [
        (g["user"], g["item"], g["time"]) for g in given
    ]
    assert (result.requests, result.candidates, result.missing_context) == (len(given), len(given), ())

    order = np.random.default_rng(0).permutation(len(given))
    lines = pairs.read_text().splitlines(keepends=True)
    pairs.write_text("".join(lines[k] for k in order))
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 7)
    found = score_pairs(rich_run, pairs, tmp_path / "mixed.jsonl")
    mixed = [row["score"] for row in rows_of(tmp_path / "mixed.jsonl")]
    np.testing.assert_allclose(mixed, expected[order], atol=1e-6)

    monkeypatch.setattr("dien.serving.logged.ENTRIES_AT_ONCE", 20)  # of two histories or three
    looked_up: list[int] = []
    alone = Logged._score
    monkeypatch.setattr(
        Logged, "_score", lambda self, user, *rest: looked_up.append(len(user)) or alone(self, user, *rest)
    )
    assert score_pairs(rich_run, pairs, tmp_path / "parts.jsonl") == found
    assert len(looked_up) > 2 * len(given) / 7
    parts = [row["score"] for row in rows_of(tmp_path / "parts.jsonl")]
    np.testing.assert_allclose(parts, expected[order], atol=1e-6)


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_pairs_without_a_time_have_all_behaviours_and_neighbours_share_a_history(
    small_run: Run, small_log: Log, tmp_path: Path, kind: str
) -> None:
    users = ["u1", "u1", "u1", "nobody", "u2", "u1"]
    pairs = pl.DataFrame({"user": users, "item": ["1", "2", "new", "3", "3", "1"], "hour": ["7"] * 5 + ["x"]})
    path = tmp_path / f"pairs.{kind}"
    {"jsonl": pairs.write_ndjson, "parquet": pairs.write_parquet, "csv": pairs.write_csv}[kind](path)
    with pytest.warns(UserWarning, match=r"of 6 candidates match .* there is no time: .* give time ") as told:
        result = score_pairs(small_run, path, tmp_path / f"scores.{kind}")
    rows, scorer = rows_of(tmp_path / f"scores.{kind}"), Scorer(small_run)
    for row, (user, item, hour) in zip(rows, pairs.iter_rows(), strict=True):
        history = small_log.events.filter(pl.col("user") == user)["item"].to_list()
        assert (row["user"], row["item"], row["time"]) == (user, item, None)
        alone = scorer.score(user, history, [item], {"hour": hour})
        np.testing.assert_allclose(row["score"], alone[0], atol=1e-6)
    assert (result.unknown_users, result.unknown_candidates, result.unknown_values) == (1, 1, {"hour": 1})
    read = small_run.config.model.match_history
    own = [small_log.events.filter(user=user).height for user in ("u1", "u1", "u2")]
    assert max(own) < read
    assert result.behaviours == sum(own)  # u1's is read once for three pairs
    assert result.untimed_behaviours == sum(own)
    assert 0 < result.ageless_matches < 5  # neither of the user nor of the item that nobody knows
    assert str(told[0].message).startswith(f"{result.ageless_matches} of 6")


def test_features_of_items_and_users_count_in_place_of_the_datasets(rich_run: Run, tmp_path: Path) -> None:
    given = [{"price": 3.0, "age": 20.0}, {"price": None, "age": 20.0}, {"price": 9.0, "age": None}]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"user": "u1", "item": "i2", "time": 0, **one}) + "\n" for one in given)
    )
    result = score_pairs(rich_run, pairs, tmp_path / "s.jsonl")
    assert (result.described_candidates, result.described_users, result.behaviours) == (2, 2, 0)
    for row, one in zip(rows_of(tmp_path / "s.jsonl"), given, strict=True):
        alone = Scorer(rich_run).score(
            "u1", [], ["i2"], candidate_features={"price": [one["price"]]}, user_features={"age": one["age"]}
        )
        np.testing.assert_allclose(row["score"], alone[0], atol=1e-6)


def test_a_dataset_that_has_grown_has_newer_histories_and_what_is_new_is_unknown(
    rich_run: Run, rich_data: Dataset, rich_log: Log, tmp_path: Path
) -> None:
    new = pl.DataFrame({"item": ["brand-new"], "category": ["new"]})
    items = pl.concat([rich_log.items, new], how="diagonal")
    later = rich_log.events.head(40).with_columns(
        pl.col("time") + 10_000_000,
        item=pl.when(pl.int_range(40) % 5 == 0).then(pl.lit("brand-new")).otherwise("item"),
        action=pl.lit("new-action"),
        hour=pl.lit("new-hour"),
    )
    numbered = later.with_columns(
        pl.Series(name, Ids.of(table[name]).encode(later[name]))
        for name, table in (("user", rich_log.users), ("item", items))
    )
    grown = tmp_path / "grown"
    log = replace(rich_log, events=numbered, items=items)
    write(append(rich_data, log, ByTime(0.5, 0.6), warmup=1, negatives=2), grown)
    result = score_split(rich_run, tmp_path / "s.jsonl", grown)
    assert result.requests == Dataset.open(grown).info.sizes.splits["test"].impressions > 0
    assert result.unknown_candidates > 0
    rows = rows_of(tmp_path / "s.jsonl")
    assert any("brand-new" in row["candidates"] for row in rows)

    user = later["user"][0]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"user": user, "item": "i1", "hour": "new-hour"}) + "\n")
    before, after = (
        score_pairs(rich_run, pairs, tmp_path / f"{k}.jsonl", d) for k, d in enumerate((None, grown))
    )
    assert before.unknown_values == after.unknown_values == {"hour": 1}
    assert rows_of(tmp_path / "0.jsonl") != rows_of(tmp_path / "1.jsonl")  # another history


def test_times_of_pairs_are_refused_where_the_log_has_an_order_alone(tmp_path: Path) -> None:
    log = pl.DataFrame({"user": [f"u{k % 4}" for k in range(80)], "item": [f"i{k % 7}" for k in range(80)]})
    prepare(log, tmp_path / "data", schema={"interactions": {"time": {"order": "file"}}})
    config = load_config(overrides=["training.epochs=1"], model="sum-pooling")
    fit(tmp_path / "data", config, tmp_path / "run", show_progress=False)
    pairs, out = tmp_path / "pairs.csv", tmp_path / "s.csv"
    pairs.write_text("user,item,time\nu1,i1,1700000000\n")
    with pytest.raises(DataError, match="has an order and no times: the numbers of its rows, from 1 to 80"):
        score_pairs(tmp_path / "run", pairs, out)
    pairs.write_text("user,item\nu1,i1\n")
    assert score_pairs(tmp_path / "run", pairs, out).behaviours == 20


def test_what_cannot_be_scored_is_refused_with_a_remedy_and_nothing_is_written(
    rich_run: Run, rich_data: Dataset, small_data: Dataset, tmp_path: Path
) -> None:
    requests, pairs, out = tmp_path / "r.jsonl", tmp_path / "p.jsonl", tmp_path / "s.jsonl"
    requests.write_text('{"user": "u1", "history": ["i1"], "candidates": ["i2"]}\n')
    pairs.write_text('{"user": "u1", "item": "i2", "time": "soon"}\n')
    nothing = tmp_path / "n.jsonl"
    nothing.write_text('{"user": "u1", "item": "i2"}\n{"user": "u1", "item": null}\n')
    cases: list[tuple[Any, type[DienError], str]] = [
        (lambda: score_pairs(rich_run, nothing, out), DataError, r"line 2: column 'item'.*never null; mend"),
        (lambda: score_pairs(rich_run, requests, out), DataError, "requests with a history each"),
        (lambda: Scorer(rich_run) and score_pairs(rich_run, pairs, out), DataError, "line 1: column 'time'"),
        (lambda: score_pairs(rich_run, pairs, pairs), DataError, "is the file of pairs"),
        (lambda: score_split(rich_run, rich_data.path / "s.jsonl"), DataError, "lies in the dataset folder"),
        (lambda: score_split(rich_run, tmp_path / "s.txt"), DataError, "expected a name ending in"),
        (lambda: score_split(rich_run, out, small_data), RunError, "has no feature"),
    ]
    for call, kind, said in cases:
        with pytest.raises(kind, match=said):
            call()
    with pytest.raises(ValueError, match="split is 'all'"):
        score_split(rich_run, out, split="all")  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"r.jsonl", "p.jsonl", "n.jsonl"}


@pytest.mark.parametrize("timed", [False, True])
def test_rows_with_histories_of_their_own_score_as_their_batches_and_no_pair_does(
    timed: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "user": [f"u{row % 6}" for row in range(120)],
            "item": rng.integers(0, 9, 120),
            "label": [row % 2 for row in range(120)],
            "split": ["train", "train", "valid", "valid", "test", "test"] * 20,
            "hist": [rng.integers(0, 9, row % 5 + 1).tolist() for row in range(120)],
        }
    )
    schema = {"interactions": {"label": "label", "split": "split", "history": "hist"}}
    if timed:  # the rows, and not what stands in their histories
        log = log.with_columns(time=pl.Series(range(1_700_000_000, 1_700_000_120)))
        schema["interactions"]["time"] = "time"
    data = prepare(log, tmp_path / "data", schema=schema, split="column")
    config = load_config(None, ["training.epochs=1", "model.max_history=3"])
    run = Run.open(fit(data, config, tmp_path / "run", show_progress=False).run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # without an age are all matches here, those of training, too
        result = score_split(run, tmp_path / "scores.parquet", split="test")
        assert (result.ageless_matches > 0) == timed
        Scorer(run).score("0", ["1"], ["1"])
    scored = pl.read_parquet(tmp_path / "scores.parquet")
    scorer = Scorer(run)
    test = log.filter(pl.col("split") == "test").rows_by_key("user", named=True)
    for user, rows in scored.partition_by("user", as_dict=True).items():
        for row, own in zip(rows.to_dicts(), test[user[0]], strict=True):
            assert row["candidates"] == [str(own["item"])]
            history = [str(item) for item in own["hist"]]
            np.testing.assert_allclose(
                row["scores"], scorer.score(user[0], history, row["candidates"]), atol=1e-6
            )
    with pytest.raises(
        DataError, match="each of its rows has a history of its own, so that none can be looked"
    ):
        score_pairs(run, tmp_path / "pairs.jsonl", tmp_path / "pairs.parquet")


def test_processes_and_a_stop_on_the_way_change_no_score_of_a_split_or_of_pairs(
    rich_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.serving.split.IMPRESSIONS_AT_ONCE", 7)
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 20)
    split = score_split(rich_run, tmp_path / "split.jsonl")
    rows = rows_of(tmp_path / "split.jsonl")
    given = [{"user": r["user"], "item": item, "time": r["time"]} for r in rows for item in r["candidates"]]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(pair) + "\n" for pair in given))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    def of_split(out: Path, **options: Any) -> ScoredFile:
        return score_split(rich_run, out, **options)

    def of_pairs(out: Path, **options: Any) -> ScoredFile:
        return score_pairs(rich_run, pairs, out, **options)

    for score in (of_split, of_pairs):
        whole = score(tmp_path / "whole.jsonl")
        assert whole.requests == (len(rows) if score is of_split else len(given))
        assert score(tmp_path / "two.jsonl", jobs=2) == whole
        with pytest.raises(KeyboardInterrupt):
            score(tmp_path / "stopped.jsonl", progress=stop, jobs=2)
        assert score(tmp_path / "stopped.jsonl", resume=True) == whole
        scores = (tmp_path / "whole.jsonl").read_bytes()
        assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "stopped.jsonl").read_bytes() == scores
    assert split.candidates == len(given)
