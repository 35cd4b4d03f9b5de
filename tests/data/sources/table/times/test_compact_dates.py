from datetime import datetime, timezone

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.times.compact_dates import certain, formats_of

_CERTAIN = ("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S")
_OTHERS = ("%y%m%d", "%y%m%d%H", "%y%m%d%H%M%S", "%d%m%Y", "%m%d%Y")
_moments = st.datetimes(datetime(2013, 1, 1), datetime(2026, 1, 1))
_columns = st.lists(_moments, min_size=10, max_size=30)
_kinds = st.sampled_from([int, str, float])


def _written(moments, format, kind) -> pl.Series:
    return pl.Series("day", [kind(int(moment.strftime(format))) for moment in moments])


@settings(max_examples=40)
@given(format=st.sampled_from(_CERTAIN), moments=_columns, kind=_kinds)
def test_numbers_that_write_a_date_year_first_are_that_date(format, moments, kind) -> None:
    parser = TimeParser(None)
    wanted = [datetime.strptime(moment.strftime(format), format) for moment in moments]
    found = parser.parse(_written(moments, format, kind)).to_list()
    assert found == [moment.replace(tzinfo=timezone.utc).timestamp() for moment in wanted]
    assert parser.times.form == format
    assert parser.times.zone == "UTC"


@settings(max_examples=40)
@given(format=st.sampled_from(_OTHERS), moments=_columns, kind=_kinds)
def test_numbers_that_could_write_several_dates_are_refused_with_a_format_that_reads_them(
    format, moments, kind
) -> None:
    values = _written(moments, format, kind)
    with pytest.raises(BadValueError, match=r"seem to write dates .*time_unit: ") as raised:
        TimeParser(None).parse(values)
    assert f'"{format}"' in str(raised.value)
    found = TimeParser(None, format=format).parse(values).to_list()
    assert found == [
        datetime.strptime(moment.strftime(format), format).replace(tzinfo=timezone.utc).timestamp()
        for moment in moments
    ]


@settings(max_examples=50)
@given(numbers=st.lists(st.integers(0, 10**8), min_size=30, max_size=50, unique=True))
def test_numbers_of_any_digits_are_no_dates(numbers) -> None:
    assume(not formats_of(pl.Series(numbers)))
    assert TimeParser(None, quiet=True).parse(pl.Series(numbers)).to_list() == numbers


def test_one_that_is_no_date_among_dates_is_refused_with_its_row() -> None:
    days = [20231101 + day for day in range(20)]
    for wrong in (20231131, 20231301, 1700000000, 5):
        with pytest.raises(BadValueError, match=r"expected a date as yyyymmdd, as most rows") as raised:
            TimeParser(None).parse(pl.Series([*days, wrong]))
        assert raised.value.index == 20


def test_what_reads_as_two_dates_is_not_certain() -> None:
    assert formats_of(pl.Series([20101115])) == ["%Y%m%d", "%y%m%d%H"]
    assert not certain(["%Y%m%d", "%y%m%d%H"])
