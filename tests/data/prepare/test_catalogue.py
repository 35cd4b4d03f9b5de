from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dien.data.dataset import Dataset
from dien.data.prepare import impressions
from dien.data.prepare.append import append
from dien.data.prepare.splits import ByTime
from dien.data.writer import arrays_of, write
from dien.errors import DataError
from tests.data.logs import random_log

RULE = ByTime(0.5, 0.75)


@pytest.fixture
def data(tmp_path) -> Dataset:
    log = random_log(users=20, items=12, events=300, labelled=True)
    items = log.items.with_columns(price=pl.int_range(pl.len()).cast(pl.Float64))
    write(impressions(replace(log, items=items), RULE), tmp_path / "data")
    return Dataset.open(tmp_path / "data")


def without_events(items: pl.DataFrame, users: pl.DataFrame):
    log = random_log(users=3, items=3, events=9)
    return replace(log, events=log.events.clear(), items=items, users=users)


def test_new_items_and_users_come_after_the_others_and_change_nothing_else(data: Dataset, tmp_path) -> None:
    known = data.item_ids.values[3]
    items = pl.DataFrame(
        {"item": ["new", known, "newer"], "category": ["c1", "c9", "never seen"], "price": [1.0, 9, 2]}
    )
    users = pl.DataFrame({"user": ["somebody"]})
    grown = append(data, without_events(items, users), RULE)
    write(grown, tmp_path / "grown")
    after = Dataset.open(tmp_path / "grown")
    after.check()
    assert after.item_ids.values.to_list() == [*data.item_ids.values, "new", "newer"]
    assert after.user_ids.values.to_list() == [*data.user_ids.values, "somebody"]
    assert data.vocabularies["category"].decode(after.items["category"][-2:]).to_list() == ["c1", None]
    assert after.items["item"][-2:].tolist() == [0, 0]  # their ids are unknown to a model
    before, made = arrays_of(data), arrays_of(after)
    for name, array in before.items():
        np.testing.assert_array_equal(made[name][: len(array)], array, name)
    assert after.info.recipe == data.info.recipe
    assert after.info.time == data.info.time


def test_a_catalogue_with_no_new_row_or_without_a_feature_is_refused(data: Dataset) -> None:
    nobody = pl.DataFrame({"user": data.user_ids.values[1:]})
    with pytest.raises(DataError, match="was this log added before"):
        append(data, without_events(pl.DataFrame({"item": data.item_ids.values[1:]}), nobody), RULE)
    with pytest.raises(DataError, match="feature price: expected a numeric column of the items, found none"):
        append(data, without_events(pl.DataFrame({"item": ["new"], "category": ["c1"]}), nobody), RULE)
