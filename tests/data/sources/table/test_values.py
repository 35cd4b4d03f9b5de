from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import (
    Codes,
    at_least,
    ids,
    impressions,
    labels,
    splits,
)
from dien.data.spelling import Spelling

moments = st.datetimes(datetime(1974, 1, 1), datetime(2099, 12, 30))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def seconds_of(moment: datetime) -> int:
    return int((moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())


@settings(max_examples=60)
@given(st.lists(st.tuples(moments, zones), min_size=1, max_size=5), st.sampled_from(["T", " "]))
def test_text_as_iso_8601_and_typed_times_are_the_same_moment(
    given_moments: list[tuple[datetime, timezone]], between: str
) -> None:
    aware = [moment.replace(tzinfo=zone) for moment, zone in given_moments]
    text = pl.Series([moment.isoformat(between) for moment in aware])
    typed = pl.Series([moment.astimezone(timezone.utc) for moment in aware])
    wanted = [seconds_of(moment) for moment in aware]
    assert TimeParser(None).parse(text).to_list() == wanted
    assert TimeParser("iso").parse(typed).to_list() == wanted


@settings(max_examples=60)
@given(
    st.lists(moments, min_size=1, max_size=5),
    st.sampled_from([("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]),
)
def test_the_unit_of_numbers_is_detected_from_their_size(
    given_moments: list[datetime], unit: tuple[str, int]
) -> None:
    wanted = [seconds_of(moment.replace(tzinfo=timezone.utc)) for moment in given_moments]
    numbers = [second * unit[1] + unit[1] // 2 for second in wanted]
    for values in (pl.Series(numbers), pl.Series([str(number) for number in numbers])):
        times = TimeParser(None)
        assert times.parse(values).to_list() == wanted
        assert times.form == unit[0]
        assert TimeParser(unit[0]).parse(values).to_list() == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("2024-01-31", 1706659200), ("2024-01-31T10:00", 1706695200), ("2024-01-31 10:00:00.999", 1706695200),
     ("2024-01-31T10:00:00Z", 1706695200), ("2024-01-31T10:00:00-0130", 1706700600)],
)  # fmt: skip
def test_text_of_a_time_may_leave_out_the_time_of_day_the_seconds_and_the_zone(
    text: str, wanted: int
) -> None:
    assert TimeParser(None).parse(pl.Series([text])).to_list() == [wanted]


def test_labels_are_read_however_they_are_written() -> None:
    for values in ([1, 0], [True, False], [1.0, 0.0], ["1", "0"], ["True", "false"], ["1.0", " 0"]):
        assert labels(pl.Series(values)).to_list() == [1, 0]


def test_a_threshold_makes_labels_of_numbers_and_refuses_what_is_no_number() -> None:
    for values in ([4, 3], [4.0, 3.9], ["4", " -1e9"]):
        assert at_least(pl.Series(values), 4).to_list() == [1, 0]
    for values in ([4, None], ["4", ""], ["4", "good"]):
        with pytest.raises(BadValueError, match="expected a number") as raised:
            at_least(pl.Series(values), 4)
        assert raised.value.index == 1


def test_a_split_of_another_name_is_no_split() -> None:
    assert splits(pl.Series(["test", "train", None, "valid", "Train"])).to_list() == [2, 0, 3, 1, 3]
    with pytest.raises(BadValueError):
        splits(pl.Series([0, 1]))


def test_impressions_have_the_same_number_whatever_their_type_and_chunk() -> None:
    codes = Codes(Spelling())
    first = impressions(pl.Series([5, -5, 2**63], dtype=pl.Int128), codes).to_list()
    again = impressions(pl.Series(["5", "05", "-5", str(2**63), "x", "1٣"]), codes).to_list()
    assert again[0] == first[0] == 5
    assert again[2:4] == first[1:3]
    assert len({*first, *again}) == 6


def test_impression_ids_of_a_narrow_type_are_read() -> None:
    for dtype in (pl.UInt8, pl.UInt32, pl.Int16, pl.UInt64):
        assert impressions(pl.Series([3, 9], dtype=dtype), Codes(Spelling())).to_list() == [3, 9]


@pytest.mark.parametrize("cut", ["1.23457E+11", "1.152921504606848e+18", "1E+15"])
def test_ids_that_lost_their_last_digits_are_refused(cut: str) -> None:
    near = ["1e5", "1.5", "a+1", "1e+5x", "e+11", "12.3e+11"]
    assert ids(pl.Series(near)).to_list() == near
    with pytest.raises(BadValueError, match="an id with all of its digits"):
        ids(pl.Series([*near, cut]))
