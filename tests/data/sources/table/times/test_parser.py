import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table import TableSpec, infer, read
from dien.data.sources.table.times import TimeParser
from dien.data.times import Times
from dien.errors import DataError


@settings(max_examples=40)
@given(
    seconds=st.lists(st.integers(631_152_000, int(time.time())), min_size=1, max_size=30),
    unit=st.sampled_from([1, 1000, 10**6, 10**9]),
)
def test_times_from_1990_until_today_are_read_without_a_word(seconds, unit) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = TimeParser(None).parse(pl.Series([second * unit for second in seconds]))
    assert found.to_list() == seconds


def _warned(values: list[object], unit: str | None = None) -> list[str]:
    parser = TimeParser(unit)  # type: ignore[arg-type]
    parser.start_file("log.csv")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parser.parse(pl.Series("day", values))
        parser.parse(pl.Series("day", values))
    return [str(one.message) for one in caught]


def test_times_before_1990_and_after_tomorrow_are_warned_of_once_a_file() -> None:
    (said,) = _warned([1_600_000_000, 500, 600])
    assert said.startswith(
        "log.csv: column 'day': 2 of 3 times looked at are before 1990, as 500, read as seconds"
    )
    assert "set interactions.time_unit: s" in said
    (said,) = _warned(["1970-01-01", "2020-01-01"])
    assert "as '1970-01-01'" in said
    later = datetime.now(timezone.utc) + timedelta(days=30)
    (said,) = _warned([later.date()])
    assert "later than tomorrow" in said


def test_who_names_the_unit_may_count_from_another_start_but_is_told_of_dates() -> None:
    assert _warned([1, 500, 600], "s") == []
    (said,) = _warned([20240105, 20240106], "s")
    assert "they seem to write dates (yyyymmdd)" in said


def test_a_draft_reads_the_column_named_date_and_says_how(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,date\n" + "".join(f"u{k},i{k},202401{k:02}\n" for k in range(10, 20)))
    draft = infer([path], None, None)
    assert "time: date" in draft
    assert "# dates as yyyymmdd" in draft


def _days(*days: str) -> pl.Series:
    return pl.Series("day", [int(f"202311{day}") for day in days])


def test_all_files_write_dates_alike_and_the_rows_of_a_file_do() -> None:
    parser = TimeParser(None)
    parser.start_file("a.csv")
    parser.parse(_days("01", "02"))
    parser.start_file("b.csv")
    with pytest.raises(DataError, match=r"b.csv: its times are seconds, those of a.csv dates as yyyymmdd"):
        parser.parse(pl.Series([1_600_000_000]))
    parser = TimeParser(None)
    parser.parse(pl.Series([1_600_000_000]))
    with pytest.raises(BadValueError, match="as in the rows before"):
        parser.parse(pl.Series(["2023-11-01"]))


def test_times_without_a_zone_are_those_of_the_zone_that_is_given() -> None:
    text = pl.Series(["2023-07-01 12:00:00", "2023-12-01 12:00:00", "2023-12-01 12:00:00Z"])
    typed = pl.Series([datetime(2023, 7, 1, 12), datetime(2023, 12, 1, 12)])
    aware = pl.Series([datetime(2023, 7, 1, 12, tzinfo=timezone.utc)])
    summer, winter = 1688205600, 1701428400
    parser = TimeParser(None, zone="Europe/Berlin")
    assert parser.parse(text).to_list() == [summer, winter, winter + 3600]
    assert parser.parse(typed).to_list() == [summer, winter]
    assert parser.parse(typed.dt.date()).to_list() == [summer - 12 * 3600, winter - 12 * 3600]
    assert parser.parse(aware).to_list() == [summer + 2 * 3600]
    assert parser.times == Times(form="iso", zone="Europe/Berlin")
    days = TimeParser(None, zone="Europe/Berlin")
    assert days.parse(pl.Series([20231201])).to_list() == [winter - 12 * 3600]


def test_a_time_that_a_zone_had_twice_is_the_first_and_counted_and_one_it_never_had_is_refused() -> None:
    parser, excluded = TimeParser(None, zone="Europe/Berlin"), {}
    autumn = pl.Series(["2023-10-29 02:30:00", "2023-10-29 03:30:00"])
    assert parser.parse(autumn).to_list() == [1698539400, 1698546600]
    parser.end(excluded)
    assert list(excluded.values()) == [1]
    assert "came twice" in next(iter(excluded))
    with pytest.raises(BadValueError, match="expected a time that Europe/Berlin had") as raised:
        parser.parse(pl.Series(["2023-03-26 01:30:00", "2023-03-26 02:30:00"]))
    assert raised.value.index == 1


def test_a_zone_that_no_time_needs_is_said() -> None:
    for values in ([1_600_000_000], ["2020-01-01 00:00:00Z"]):
        parser = TimeParser(None, zone="Europe/Berlin")
        parser.parse(pl.Series(values))
        with pytest.warns(UserWarning, match="time_zone is Europe/Berlin, but no time needs it"):
            parser.end({})


@pytest.mark.parametrize("zone", ["+05:30", "-03:00", "Europe/Berlin", "UTC"])
def test_typed_times_of_any_zone_are_the_moments_that_they_are(zone: str, tmp_path: Path) -> None:
    times = pa.array([1_700_000_000_000, 1_700_000_060_000], pa.timestamp("ms", zone))
    pa.parquet.write_table(
        pa.table({"user": ["u", "v"], "item": ["i", "j"], "time": times}), tmp_path / "a.parquet"
    )
    made = read([tmp_path / "a.parquet"], None, None, TableSpec())
    assert made.events["time"].to_list() == [1_700_000_000, 1_700_000_060]
