from datetime import datetime, timezone
from email.utils import format_datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.times import TimeParser

_SPELLED = {
    "BigQuery, REES46": "%Y-%m-%d %H:%M:%S UTC",
    "Postgres": "%Y-%m-%d %H:%M:%S+00",
    "ISO with a fraction": "%Y-%m-%dT%H:%M:%S.123456+0000",
    "basic ISO": "%Y%m%dT%H%M%SZ",
    "slashes": "%Y/%m/%d %H:%M:%S",
    "dots": "%Y.%m.%d %H:%M:%S",
    "twelve hours": "%Y-%m-%d %I:%M:%S %p",
    "Twitter, Goodreads": "%a %b %d %H:%M:%S +0000 %Y",
    "ctime": "%a %b %d %H:%M:%S %Y",
    "date": "%a %b %d %H:%M:%S UTC %Y",
    "JavaScript": "%a %b %d %Y %H:%M:%S GMT+0000 (UTC)",
    "Apache": "%d/%b/%Y:%H:%M:%S +0000",
    "day, month by name": "%d %B %Y %H:%M:%S",
    "month by name": "%B %d, %Y %I:%M:%S %p",
}
_moments = st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
)


def _read(*values: str) -> list[int]:
    return TimeParser(None, quiet=True).parse(pl.Series("time", values)).to_list()


@settings(max_examples=40)
@given(moment=_moments, spelling=st.sampled_from(sorted(_SPELLED)))
def test_text_that_can_be_read_in_one_way_alone_is_read(moment, spelling) -> None:
    text = moment.strftime(_SPELLED[spelling])
    assert _read(text, text) == [moment.timestamp()] * 2


@settings(max_examples=50)
@given(moments=st.lists(_moments, min_size=2, max_size=9), data=st.data())
def test_a_column_may_mix_such_spellings(moments, data) -> None:
    forms = [data.draw(st.sampled_from(sorted(_SPELLED.values()))) for _ in moments]
    text = [moment.strftime(form) for moment, form in zip(moments, forms, strict=True)]
    assert _read(*text) == [moment.timestamp() for moment in moments]


@given(moment=_moments)
def test_the_times_of_mails_and_unpadded_ones_are_read(moment) -> None:
    short = f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment.minute}:{moment.second}"
    assert _read(format_datetime(moment), short) == [moment.timestamp()] * 2


def test_zones_count() -> None:
    of = "2018-10-10 20:00:00"
    zones = ("", "Z", "UTC", " GMT", "+02", "-0230", " +05:30", "GMT+0100")
    hours = [0, 0, 0, 0, -2, 2.5, -5.5, -1]
    assert _read(*(of + zone for zone in zones)) == [1539201600 + hour * 3600 for hour in hours]
    assert _read("2014-11-18 07") == [1416294000]  # Tianchi: the hour alone


@pytest.mark.parametrize(
    "wrong",
    ["2023-02-29", "2023/13/01", "2023-01-00", "2023-04-31 10:00", "2023-01-01 24:00", "2023-01-01 10:60",
     "2023-01-01 13:00 PM", "2023-01-01 0:10 AM", "2023-1.2", "2023", "Mon Foo 10 10:00:00 2018",
     "2023-01-01 10:00 CET", "2023-01-01 10:00+2", "2019.1.1", "\uff11999-01-01", "2023-01-01x"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_its_row(wrong) -> None:
    with pytest.raises(BadValueError, match="expected a time as 2024-01-31") as raised:
        _read("2023-01-01", wrong)
    assert raised.value.index == 1
