import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table import infer
from dien.data.sources.table.times import TimeParser
from dien.errors import DataError

_FORMS = {
    "yyyymmdd": "%Y%m%d",
    "yyyymmddHH": "%Y%m%d%H",
    "yyyymmddHHMM": "%Y%m%d%H%M",
    "yyyymmddHHMMSS": "%Y%m%d%H%M%S",
    "yymmddHH": "%y%m%d%H",
    "yymmdd": "%y%m%d",
    "yymmddHHMMSS": "%y%m%d%H%M%S",
    "ddmmyyyy": "%d%m%Y",
}
_moments = st.datetimes(datetime(2010, 1, 1), datetime(2026, 1, 1))


@settings(max_examples=100)
@given(
    form=st.sampled_from(sorted(_FORMS)),
    moments=st.lists(_moments, min_size=10, max_size=30),
    kind=st.sampled_from([int, str, float]),
)
def test_dates_written_as_numbers_are_refused_in_any_form(form, moments, kind) -> None:
    values = pl.Series("day", [kind(int(moment.strftime(_FORMS[form]))) for moment in moments])
    with pytest.raises(BadValueError, match=r"seem to write dates .*write them as 2024-01-31"):
        TimeParser(None).parse(values)


@settings(max_examples=100)
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


def test_a_draft_says_why_the_column_named_date_is_no_time(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,date\n" + "".join(f"u{k},i{k},202401{k:02}\n" for k in range(10, 20)))
    with pytest.raises(DataError, match=r"looks like the time.*'date' is none: found 20240110.*yyyymmdd"):
        infer([path], None, None)
