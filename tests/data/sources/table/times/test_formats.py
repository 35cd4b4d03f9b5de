from datetime import datetime, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.times.formats import pattern_of

_FORMATS = (
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%y %H:%M:%S",
    "%A, %d. %b %Y (%H:%M:%S)",
    "%Y%m%d%H%M%S",
    "%d%b%Y:%H:%M:%S.%f",
    "%Y-%d-%m %H.%M.%S %z",
)
_moments = st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
)


@settings(max_examples=40)
@given(moments=st.lists(_moments, min_size=1, max_size=5), format=st.sampled_from(_FORMATS))
def test_a_format_reads_what_it_writes(moments, format) -> None:
    values = pl.Series([moment.strftime(format) for moment in moments])
    found = TimeParser(None, format=format, quiet=True).parse(values)
    assert found.to_list() == [moment.timestamp() for moment in moments]


def test_numbers_are_read_by_a_format_too_and_may_have_lost_their_zeros() -> None:
    for values in ([50103, 141021], [50103.0, 141021.0], ["050103", "141021"]):
        found = TimeParser(None, format="%y%m%d").parse(pl.Series(values))
        assert found.to_list() == [1104710400, 1413849600]


@pytest.mark.parametrize(
    ("format", "says"),
    [
        ("%d.%m", "no %Y or %y"),
        ("%Y-%m", "no %d"),
        ("no date", "no %Y or %y"),
        ("%Y-%m-%d %Q", "%Q cannot be read; expected %Y"),
        ("%Y-%m-%d %Z", "write the offset as %z"),
        ("%Y-%m-%d %", "% cannot be read"),
        ("%Y-%m-%d %d", "expected one of %d, once"),
        ("%Y-%y-%m-%d", "expected one of %Y and %y, once"),
        ("%Y-%m-%d %I:%M", "%I goes with %p"),
        ("%Y-%m-%d %p", "%p goes with %I"),
        ("%Y-%m-%d %M", "%M goes with %H or %I"),
        ("%Y-%m-%d %H %S", "%S goes with %M"),
    ],
)
def test_a_format_that_makes_no_time_is_refused(format, says) -> None:
    with pytest.raises(ValueError, match=says):
        pattern_of(format)


@pytest.mark.parametrize(
    ("format", "written"),
    [
        ("%m%d", ["0829", "1111"]),
        ("%m%d", [829, 1111]),
        ("%d.%m.", ["29.8.", "11.11."]),
        ("%b %d", ["Aug 29", "Nov 11"]),
    ],
)
def test_a_time_without_a_year_is_of_the_year_that_is_named(format, written) -> None:
    parser = TimeParser(None, format=format, year=2014)
    days = parser.parse(pl.Series("day", written)).cast(pl.Int64) // 86_400
    assert days.cast(pl.Date).cast(pl.String).to_list() == ["2014-08-29", "2014-11-11"]
    pattern_of(parser.times.form)  # of requests, which name the year
    with pytest.raises(BadValueError, match=rf'as interactions.time_format says, "{format}"'):
        parser.parse(pl.Series("day", [str(written[0]).replace("8", "13").replace("Aug", "Foo")]))


def test_digits_side_by_side_are_never_shared_out_by_guess() -> None:
    parser = TimeParser(None, format="%Y%m%d")
    with pytest.raises(BadValueError, match=r'as interactions.time_format says, "%Y%m%d"'):
        parser.parse(pl.Series(["20240111", "2024111"]))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["11/15/2019 8:09:11 AM"], '.time_format: "%m/%d/%Y %I:%M:%S %p", the only order'),
        (["15.11.2019 08:09:11"], '.time_format: "%d.%m.%Y %H:%M:%S", the only order'),
        (["05-11-2019"], '.time_format to "%d-%m-%Y" (day first) or "%m-%d-%Y" (month first)'),
        (["05/11/2019, 10:00", "31/01/2019, 10:00"], '.time_format: "%d/%m/%Y, %H:%M", the only'),
        (["01/02/03"], '"%d/%m/%y" (day first) or "%m/%d/%y" (month first) or "%y/%m/%d" (year first)'),
        (["05.11.2019 10:00:00 +0200"], '"%d.%m.%Y %H:%M:%S %z" (day first)'),
    ],
)
def test_times_whose_day_and_month_could_be_mixed_up_are_refused_with_the_formats_that_fit(
    rows, says
) -> None:
    values = pl.Series("time", rows)
    with pytest.raises(BadValueError) as raised:
        TimeParser(None, key="behaviours").parse(values)
    assert says in str(raised.value)
    assert "behaviours.time_format" in str(raised.value)
    format = str(raised.value).split('"')[1]
    assert not TimeParser(None, format=format).parse(values).null_count()
