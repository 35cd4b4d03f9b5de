import warnings
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dien.data.sources.table import TableSpec, prepare, read
from dien.errors import DataError

_ORDER = {"interactions": {"time": {"order": "file"}, "label": "label"}}


def _read(tmp_path: Path, schema: dict, **frames: pl.DataFrame) -> pl.DataFrame:
    paths = [tmp_path / f"{name}.parquet" for name in frames]
    for path, frame in zip(paths, frames.values(), strict=True):
        frame.write_parquet(path)
    return read(paths, None, None, TableSpec.of(schema, "schema")).events


@pytest.mark.parametrize(
    ("day", "hour"),
    [("2023-11-15", "07:30:00"), (20231115, "07:30"), ("20231115", "073000"), ("15 Nov 2023", "7:30 AM")],
)
def test_a_time_in_several_columns_is_joined(tmp_path, day, hour) -> None:
    frame = pl.DataFrame({"user": [1, 1], "item": [1, 2], "day": [day] * 2, "at": [hour, f" {hour} "]})
    events = _read(tmp_path, {"interactions": {"time": ["day", "at"]}}, log=frame)
    assert events["time"].to_list() == [1700033400] * 2


def test_joined_columns_of_types_and_of_folders_are_taken(tmp_path) -> None:
    typed = pl.DataFrame({"day": ["2023-11-15"], "at": ["07:30:00"]}).select(
        pl.col("day").str.to_date(), "at", user=1, item=2
    )
    assert _read(tmp_path, {"interactions": {"time": ["day", "at"]}}, log=typed)["time"][0] == 1700033400
    folder = tmp_path / "log" / "dt=20231115"
    folder.mkdir(parents=True)
    pl.DataFrame({"user": [1], "item": [2], "at": ["07:30"]}).write_csv(folder / "a.csv")
    spec = TableSpec.of({"interactions": {"time": ["dt", "at"]}}, "schema")
    assert read([tmp_path / "log"], None, None, spec).events["time"].to_list() == [1700033400]


def test_what_cannot_be_joined_is_refused_with_its_place(tmp_path) -> None:
    schema = {"interactions": {"time": ["day", "at"]}}
    good = {"user": [1], "item": [2], "day": ["2023-11-15"], "at": ["07:30"]}
    for change, says in (
        ({"at": ["25:30"]}, "row 1: column 'day [+] at': found '2023-11-15 25:30'; expected a time"),
        ({"at": [None]}, "row 1: column 'at': found nothing; expected a part of the time"),
        (
            {"at": [[7]]},
            "row 1: column 'at': found .7. in a column of lists.*expected text, dates or numbers, which",
        ),
    ):
        with pytest.raises(DataError, match=says):
            _read(tmp_path, schema, log=pl.DataFrame({**good, **change}))
    with pytest.raises(DataError, match=r"no column 'at'.*interactions.time names it"):
        _read(tmp_path, schema, log=pl.DataFrame(good).drop("at"))


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("day", ["2023-11-15", 20231115, date(2023, 11, 15), datetime(2023, 11, 15)])
def test_the_second_of_two_columns_may_count_from_the_start_of_the_day(
    unit: str, per_second: int, day: Any, tmp_path: Path
) -> None:
    of_day = [0, 27_000, 86_399]
    frame = pl.DataFrame({"user": [1] * 3, "item": [1, 2, 3], "day": [day] * 3})
    frame = frame.with_columns(at=pl.Series([second * per_second for second in of_day]))
    schema = {"interactions": {"time": ["day", "at"], "time_unit": unit}}
    expected = [1_700_006_400 + second for second in of_day]
    as_text = frame.with_columns(pl.col("at").cast(pl.String))
    for one in frame, as_text, frame.with_columns(pl.col("at").cast(pl.Float64)):
        assert _read(tmp_path, schema, log=one)["time"].to_list() == expected
    zone = {"interactions": {**schema["interactions"], "time_zone": "Europe/Berlin"}}
    assert _read(tmp_path, zone, log=frame)["time"].to_list() == [second - 3600 for second in expected]


def test_what_is_no_count_of_a_day_is_refused_with_what_to_write(tmp_path: Path) -> None:
    good = {"user": [1], "item": [2], "day": ["2023-11-15"]}
    schema = {"interactions": {"time": ["day", "at"], "time_unit": "ms"}}
    for at, says in (
        (
            86_400_000,
            r"'at': found 86400000; expected milliseconds from the start of the day, less than 86,4",
        ),
        (-1, "found -1; expected milliseconds from the start"),
        (
            "07:30",
            "found '07:30'; expected milliseconds.*take it out where the column writes the time of the",
        ),
        (None, "found nothing; expected a part of the time"),
    ):
        with pytest.raises(DataError, match=f"row 1: column .*{says}"):
            _read(tmp_path, schema, log=pl.DataFrame({**good, "at": [at]}))
    with pytest.raises(
        DataError, match=r"where at counts from the start of the day, say interactions.time_unit: ms"
    ):
        _read(
            tmp_path, {"interactions": {"time": ["day", "at"]}}, log=pl.DataFrame({**good, "at": [526_309]})
        )
    with pytest.raises(DataError, match="time_unit of several columns is of the second of two"):
        TableSpec.of({"interactions": {"time": ["day", "at", "x"], "time_unit": "ms"}}, "schema")


def _ordered(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"user": [k % 3 for k in range(rows)], "item": [k % 7 for k in range(rows)], "label": [1] * rows}
    )


def test_of_a_log_without_a_time_the_order_of_all_rows_is_the_time(tmp_path) -> None:
    events = _read(tmp_path, _ORDER, a=_ordered(300_000), b=_ordered(5))
    assert events["time"].to_list() == list(range(1, 300_006))


def test_rows_that_lack_a_value_keep_their_number_and_a_part_of_a_time_is_one(tmp_path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,day,at\n" + "u,i,2023-11-15,07:30\n,i,2023-11-15,07:30\nu,j,2023-11-15,\n" * 2)
    order = TableSpec.of({"interactions": {"time": {"order": "file"}}}, "schema")
    assert read([path], None, None, order, skip_bad=9).events["time"].to_list() == [1, 3, 4, 6]
    joined = TableSpec.of({"interactions": {"time": ["day", "at"]}}, "schema")
    log = read([path], None, None, joined, skip_bad=9)
    assert log.events["time"].to_list() == [1700033400]
    assert log.excluded["rows without time (column 'at')"] == 2


def test_rows_in_order_are_split_by_shares_and_by_user_and_the_folder_says_so(tmp_path) -> None:
    data = prepare(_ordered(100), tmp_path / "DATA", schema=_ORDER)
    assert data.info.times is not None
    assert data.info.times.ordered
    assert data.info.split_rule == "by order: validation from row 81, test from row 91"
    assert [len(data.splits[name]) for name in ("valid", "test")] == [10, 10]
    for rule in ("last", "ratio", "user"):
        prepare(_ordered(100), tmp_path / rule, schema=_ORDER, split=rule)
    with pytest.raises(DataError, match="has an order and no time"):
        prepare(_ordered(100), tmp_path / "DATA", schema=_ORDER, append=True)


def test_times_that_are_appended_in_another_zone_are_warned_of_and_in_another_unit_are_not(tmp_path) -> None:
    frame = _ordered(100).select("user", "item", time=pl.int_range(100) * 5000 + 1_600_000_000)
    prepare(frame, tmp_path / "DATA")
    later = frame.with_columns((pl.col("time") + 10**6) * 1000)
    with warnings.catch_warnings(record=True) as caught:
        prepare(later, tmp_path / "DATA", append=True)
    assert not [one for one in caught if "write times" in str(one.message)]
    text = frame.with_columns(pl.from_epoch(pl.col("time") + 10**7).dt.strftime("%d.%m.%Y %H:%M:%S"))
    schema = {"interactions": {"time_format": "%d.%m.%Y %H:%M:%S", "time_zone": "Asia/Tokyo"}}
    with pytest.warns(UserWarning, match='write times as "%d.%m.%Y.*, Asia/Tokyo where .* before, they were'):
        prepare(text, tmp_path / "DATA", schema=schema, append=True)


def test_an_hour_of_another_zone_is_not_appended(tmp_path) -> None:
    def schema(zone: str) -> dict:
        return {"features": {"context": {"hour": {"from_time": "hour", "zone": zone}}}}

    frame = _ordered(100).select("user", "item", time=pl.int_range(100) * 5000 + 1_600_000_000)
    prepare(frame, tmp_path / "DATA", schema=schema("UTC"))
    later = frame.with_columns(pl.col("time") + 10**6)
    with pytest.raises(
        DataError, match="its feature hour is the hour in UTC, and in the new schema it is not"
    ):
        prepare(later, tmp_path / "DATA", schema=schema("Asia/Kolkata"), append=True)
    assert "hour" in prepare(later, tmp_path / "DATA", schema=schema("UTC"), append=True).info.from_time


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"features": {"behaviour": {"time_since": None}}}, "features.behaviour.time_since: needs times"),
        ({"features": {"context": {"h": {"from_time": "hour"}}}}, "features.context.h: needs times"),
        ({"behaviours": {"time": {"order": "file"}}}, "is for the interactions alone"),
    ],
)
def test_what_needs_times_is_refused_where_there_is_an_order_alone(tmp_path, more, says) -> None:
    with pytest.raises(DataError, match=says):
        _read(tmp_path, {**_ORDER, **more}, log=_ordered(9))


@pytest.mark.parametrize("key", ["time_unit", "time_format", "time_zone"])
def test_keys_of_times_do_not_go_with_an_order(key) -> None:
    value = {"time_unit": "s", "time_format": "%Y%m%d", "time_zone": "UTC"}[key]
    with pytest.raises(DataError, match=f"{key} is of times, and time is"):
        TableSpec.of({"interactions": {"time": {"order": "file"}, key: value}}, "schema")
