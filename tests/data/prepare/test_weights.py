"""Weights of rows on their way from a log to batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.log import WEIGHT, Log
from dien.data.prepare import impressions, paper
from dien.data.prepare.append import append
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime
from dien.data.sources.table import TableSpec, read
from dien.data.tables import SPLITS
from dien.data.writer import write
from dien.errors import DataError
from tests.data.datasets import stored
from tests.data.logs import random_log, same_split


def weight_of(user: str, time: int) -> float:
    """The weight that the events of a user and second have in these tests."""
    return float((int(user[1:]) * 31 + time) % 5) / 4


def weighted(log: Log) -> Log:
    weights = [weight_of(user, time) for user, time in log.events.select("user", "time").iter_rows()]
    return replace(log, events=log.events.with_columns(pl.Series(WEIGHT, weights, dtype=pl.Float32)))


def expect_weights_of_moments(prepared: Prepared) -> None:
    users = prepared.user_ids.values.to_list()
    for split in prepared.splits.values():
        of_row = np.repeat(np.arange(len(split)), np.diff(split.offsets))
        expected = [weight_of(users[split.user[i]], int(split.time[i])) for i in of_row]
        assert split.weight is not None
        assert split.weight.tolist() == expected


@pytest.mark.parametrize("labelled", [True, False])
def test_a_row_has_the_weight_of_its_event_and_a_sampled_negative_that_of_its_positive(labelled):
    log = random_log(users=12, items=30, events=400, labelled=labelled)
    prepared = impressions(weighted(log), ByTime(0.6, 0.8), negatives=3)
    expect_weights_of_moments(prepared)
    bare = impressions(log, ByTime(0.6, 0.8), negatives=3)
    assert all(same_split(_without_weights(prepared), bare, name) for name in SPLITS)


def _without_weights(prepared: Prepared) -> Prepared:
    return replace(prepared, splits={n: replace(s, weight=None) for n, s in prepared.splits.items()})


def test_each_negative_of_a_basket_has_the_weight_of_its_own_positive():
    log = random_log(users=3, items=30, events=90)
    own = [float(k) for k in range(1, 91)]
    log = replace(log, events=log.events.with_columns(pl.Series(WEIGHT, own, dtype=pl.Float32)))
    split = impressions(log, ByTime(0.6, 0.8), negatives=2, warmup=0).splits["train"]
    assert max(np.diff(split.offsets)) > 3  # a basket of several
    for begin, end in zip(split.offsets, split.offsets[1:], strict=False):
        clicked, weight = split.label[begin:end] == 1, split.weight[begin:end]
        assert weight[~clicked].tolist() == np.repeat(weight[clicked], 2).tolist()


def test_both_rows_of_a_target_of_the_paper_have_its_weight():
    expect_weights_of_moments(paper(weighted(random_log(users=40, items=30, events=400)), targets="all"))


def test_appending_keeps_the_weight_of_every_row(tmp_path):
    log = weighted(random_log(users=20, items=50, events=600, labelled=True))
    both = append_half(log, log, tmp_path / "DATA")
    expect_weights_of_moments(both)
    write(both, tmp_path / "DATA", overwrite=True)
    Dataset.open(tmp_path / "DATA").check()


@pytest.mark.parametrize("first", [True, False])
def test_weights_and_none_cannot_be_appended_to_each_other(first, tmp_path):
    log = random_log(users=20, items=50, events=600, labelled=True)
    one, other = (weighted(log), log) if first else (log, weighted(log))
    was, comes = ("with", "without") if first else ("without", "with")
    with pytest.raises(DataError, match=f"prepared {was} weights, the new log comes {comes}; .*interactions"):
        append_half(one, other, tmp_path / "DATA")


def append_half(first: Log, second: Log, folder: Path) -> Prepared:
    """Write the first half of a log, and append the second half of another."""
    users, items = first.users["user"].to_list(), first.items["item"].to_list()

    def half(log: Log, keep: pl.Expr) -> Log:
        events = log.events.filter(keep)
        rows = [
            pl.Series("user", [users.index(u) + 1 for u in events["user"]], dtype=pl.Int32),
            pl.Series("item", [items.index(i) + 1 for i in events["item"]], dtype=pl.Int32),
        ]
        return replace(log, events=events.with_columns(rows))

    cut = int(first.events["time"].median())
    data = stored(impressions(half(first, pl.col("time") <= cut), ByTime(0.6, 0.8)), folder)
    return append(data, half(second, pl.col("time") > cut), ByTime(0.4, 0.7))


@given(st.integers(1, 40), st.booleans())
def test_a_batch_has_the_weights_of_its_rows_over_the_mean_of_the_training_rows(data, size, shuffle):
    split = data.splits["train"]
    seen = []
    for batch in Batches(data, "train", batch_size=size, max_history=5, shuffle=shuffle).epoch(0):
        expected = split.weight[batch.rows].astype(np.float64) / split.weight.astype(np.float64).mean()
        np.testing.assert_allclose(batch.weight.numpy(), expected, rtol=1e-6)
        seen += batch.weight.tolist()
    assert np.mean(seen) == pytest.approx(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    log = weighted(random_log(users=20, items=30, events=400, labelled=True))
    return stored(impressions(log, ByTime(0.6, 0.8)), tmp_path_factory.mktemp("weights") / "DATA")


def test_a_folder_with_weights_has_a_format_and_files_of_its_own(data):
    assert data.info.format == 3
    assert [(data.path / name / "weight.npy").is_file() for name in SPLITS] == [True] * 3
    for name, split in data.splits.items():
        assert data.info.sizes.splits[name].weight == split.weight.sum(dtype=np.float64)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_checking_finds_a_weight_that_is_none(data, wrong, tmp_path):
    split = data.splits["test"]
    weight = split.weight.copy()
    weight[-1] = wrong
    broken = replace(data, splits={**data.splits, "test": replace(split, weight=weight)})
    with pytest.raises(DataError, match=r"test/weight.npy: row .* is out of range"):
        broken.check()


def test_weights_that_leave_nothing_to_train_on_are_refused(tmp_path):
    log = random_log(users=20, items=30, events=400, labelled=True)
    log = replace(log, events=log.events.with_columns(pl.lit(0.0, pl.Float32).alias(WEIGHT)))
    prepared = impressions(log, ByTime(0.6, 0.8))
    with pytest.raises(DataError, match=r"the weights of all [\d,]+ training rows are 0"):
        write(prepared, tmp_path / "DATA")
    assert not (tmp_path / "DATA").exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([0.5, 2.0, 0.0], [0.5, 2.0, 0.0]),
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        (["0.5", "", " 2 "], [0.5, 1.0, 2.0]),
        ([None, float("nan"), 3.0], [1.0, 1.0, 3.0]),
    ],
)
def test_a_weight_that_is_missing_is_1_and_counted(given, kept, tmp_path):
    log = read_with(given, tmp_path)
    assert log.events[WEIGHT].to_list() == kept
    missing = sum(one in (None, "") or one != one for one in given)
    assert log.excluded.get("interactions without a weight (kept, weight 1)", 0) == missing


@pytest.mark.parametrize("wrong", [-0.5, float("inf"), 1e39, "heavy", True])
def test_a_weight_that_is_none_is_named_with_its_row_and_column(wrong, tmp_path):
    column = [str(one) for one in (1.0, wrong, 1.0)] if isinstance(wrong, str) else [wrong] * 3
    where = "row 2" if isinstance(wrong, str) else "row 1"
    with pytest.raises(DataError, match=rf"{where}: column 'w': found .*expected a weight: a finite number"):
        read_with(column, tmp_path)


def read_with(weights: list, folder: Path) -> Log:
    """Read a log of three clicks whose column ``w`` is their weights."""
    rows = {"user": ["a"] * 3, "item": ["x", "y", "z"], "time": [1_600_000_000 + k for k in range(3)]}
    pl.DataFrame({**rows, "w": pl.Series(weights, strict=False)}).write_parquet(folder / "log.parquet")
    spec = TableSpec.of({"interactions": {"weight": "w"}}, "test")
    return read([folder / "log.parquet"], None, None, spec)
