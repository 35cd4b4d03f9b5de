"""Conversions, the label beside the click, on their way from a log to batches."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.log import CONVERSION, Log
from dien.data.prepare import impressions, paper
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime
from dien.data.sources.table import TableSpec, read
from dien.data.tables import SPLITS
from dien.data.writer import write
from dien.errors import DataError
from tests.data.datasets import stored
from tests.data.logs import random_log
from tests.data.prepare.test_weights import append_half


def made(user: str, time: int) -> int:
    """The conversion of the clicks of a user and second in these tests: 1, 0, or -1 where it is not known."""
    return (int(user[1:]) * 7 + time) % 3 - 1


def converted(log: Log) -> Log:
    events = log.events if "label" in log.events.columns else log.events.with_columns(label=1)
    values = [made(u, t) * y for u, t, y in events.select("user", "time", "label").iter_rows()]
    return replace(log, events=log.events.with_columns(pl.Series(CONVERSION, values, dtype=pl.Int8)))


def expect_conversions_of_clicks(prepared: Prepared) -> None:
    users = prepared.user_ids.values.to_list()
    assert prepared.schema.conversion
    for split in prepared.splits.values():
        of_row = np.repeat(np.arange(len(split)), np.diff(split.offsets))
        of_moment = np.array([made(users[split.user[i]], int(split.time[i])) for i in of_row], int)
        assert split.conversion is not None
        assert split.conversion.tolist() == (of_moment * split.label).tolist()


@pytest.mark.parametrize("labelled", [True, False])
def test_a_click_has_its_conversion_and_a_negative_has_none(labelled):
    log = converted(random_log(users=12, items=30, events=400, labelled=labelled))
    expect_conversions_of_clicks(impressions(log, ByTime(0.6, 0.8), negatives=2))
    expect_conversions_of_clicks(paper(log))


def test_appending_keeps_the_conversion_of_every_row_and_wants_it_in_both(tmp_path):
    bare = random_log(users=20, items=50, events=600, labelled=True)
    log = converted(bare)
    both = append_half(log, log, tmp_path / "DATA")
    expect_conversions_of_clicks(both)
    write(both, tmp_path / "DATA", overwrite=True)
    Dataset.open(tmp_path / "DATA").check()
    with pytest.raises(
        DataError, match=r"prepared without conversions, .*comes with.*interactions.conversion"
    ):
        append_half(bare, log, tmp_path / "BARE")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    log = converted(random_log(users=20, items=30, events=400, labelled=True))
    return stored(impressions(log, ByTime(0.6, 0.8)), tmp_path_factory.mktemp("conversions") / "DATA")


def test_a_batch_has_the_conversions_of_its_rows_and_nan_where_they_are_not_known(data):
    assert (data.info.format, data.schema.conversion) == (3, True)
    split = data.splits["train"]
    for batch in Batches(data, "train", batch_size=30, max_history=5, shuffle=True).epoch(0):
        stored = split.conversion[batch.rows].astype(float)
        np.testing.assert_array_equal(batch.conversion.numpy(), np.where(stored < 0, np.nan, stored))
    for name in SPLITS:
        assert data.info.sizes.splits[name].conversions == (data.splits[name].conversion == 1).sum()


@pytest.mark.parametrize(("wrong", "label"), [(2, 1), (-2, 1), (1, 0)])
def test_checking_finds_a_conversion_that_is_none_or_has_no_click(data, wrong, label):
    split = data.splits["test"]
    conversion = split.conversion.copy()
    conversion[np.flatnonzero(split.label == label)[0]] = wrong
    broken = replace(data, splits={**data.splits, "test": replace(split, conversion=conversion)})
    with pytest.raises(DataError, match=r"test/conversion.npy: row .* is out of range"):
        broken.check()


def read_with(conversions: list, folder: Path, label: str | None = "y") -> Log:
    """Read a log of four rows, the second of them no click."""
    rows = {"user": ["a"] * 4, "item": list("wxyz"), "time": [1_600_000_000 + k for k in range(4)]}
    bought = pl.Series("bought", conversions, strict=False)
    pl.DataFrame({**rows, "y": [1, 0, 1, 1], "bought": bought}).write_parquet(folder / "log.parquet")
    spec = TableSpec.of({"interactions": {"label": label, "conversion": "bought"}}, "test")
    return read([folder / "log.parquet"], None, None, spec)


@pytest.mark.parametrize(
    "given",
    [[1, 1, 0, None], ["1", "true", "0", " "], [1.0, 1.0, 0.0, float("nan")], [True, True, False, None]],
)
def test_conversions_are_of_clicks_and_what_is_not_known_is_counted(given, tmp_path):
    log = read_with(given, tmp_path)
    assert log.events[CONVERSION].to_list() == [1, 0, 0, -1]
    assert log.excluded == {
        "conversions without a click (kept, not converted)": 1,
        "clicks whose conversion is not known (kept)": 1,
    }


def test_without_a_label_every_row_may_lead_to_a_conversion(tmp_path):
    assert read_with([1, 1, 0, None], tmp_path, label=None).events[CONVERSION].to_list() == [1, 1, 0, -1]


@pytest.mark.parametrize(
    ("given", "row"),
    [
        ([1, 0, 2, 1], 3),
        ([None, 0.5, 1.0, None], 2),
        (["true", "", "0", "yes"], 4),
        (["nan", "1", "0", ""], 1),
        ([None, date(2024, 1, 2), None, None], 2),
        ([[1], [0], [1], [0]], 1),
    ],
)
def test_a_conversion_that_is_neither_0_nor_1_is_named_with_its_row_and_what_mends_it(given, row, tmp_path):
    with pytest.raises(DataError) as raised:
        read_with(given, tmp_path)
    said = str(raised.value)
    assert f"row {row}: column 'bought': found " in said
    assert "expected 0 or 1, or false or true, or null (in CSV an empty field) where it is not known" in said
    assert said.endswith("leave interactions.conversion out")
