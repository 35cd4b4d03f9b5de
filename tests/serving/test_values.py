"""Values given in Python: each has one spelling, and what cannot be one is refused by its field."""

import datetime
import enum
import math
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.run import Run
from dien.serving import Scorer
from dien.serving.features import CANDIDATES, HISTORY, TIME, TIMES, USER, Field


class Shop(str, enum.Enum):
    """An id as programs have it."""

    NORTH = "7"


class Number(enum.IntEnum):
    """Likewise."""

    SEVEN = 7


SEVEN = [
    7, "7", 7.0, np.int64(7), np.uint8(7), np.float64(7), np.float32(7), np.str_("7"), Shop.NORTH,
    Number.SEVEN,
]  # fmt: skip


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_number_is_one_id_of_whatever_type(number: int) -> None:
    spelled = [number, str(number), np.int64(number), float(number), np.float64(number)]
    assert {USER.plain(one) for one in spelled} == {str(number)}
    lists = [
        [number], (number,), np.array([number]), np.array([float(number)]), np.array([str(number)]),
        np.array([number], object), pl.Series([number]), pl.Series([float(number)]), pa.array([number]),
        pa.chunked_array([[number]]), range(number, number + 1),
    ]  # fmt: skip
    assert [list(HISTORY.plain(one)) for one in lists] == [[str(number)]] * len(lists)


def test_enumerations_and_numpys_own_types_are_the_ids_they_hold() -> None:
    assert {USER.plain(one) for one in SEVEN} == {"7"}
    assert HISTORY.plain(SEVEN) == ["7"] * len(SEVEN)


def test_columns_of_pandas_are_lists() -> None:
    pandas = pytest.importorskip("pandas")
    for column in ([1, 2], [1.0, 2.0], ["1", "2"]):
        assert list(HISTORY.plain(pandas.Series(column, index=[7, 3]))) == ["1", "2"]
        assert list(HISTORY.plain(pandas.Index(column))) == ["1", "2"]
    assert list(HISTORY.plain(pandas.Series([1, 2], dtype="Int64"))) == ["1", "2"]
    gaps = [1, None]
    for missing in (pandas.Series(gaps), pandas.Series(gaps, dtype="Int64"), pandas.Series(["a", None])):
        with pytest.raises(ValueError, match=r"^history: .*a list of strings or integers; (leave|give)"):
            HISTORY.plain(missing)
    days = pandas.Series(pandas.to_datetime(["2024-01-01", None]))
    assert list(TIMES.plain(days[:1])) == [1704067200]
    with pytest.raises(ValueError, match=r"^times: NaT, expected a list of integers, seconds since 1970"):
        TIMES.plain(days)
    with pytest.raises(ValueError, match=r"(?s)^history: .*make it a list"):
        HISTORY.plain(pandas.DataFrame({"a": [1]}))


NO_ID: list[Any] = [
    math.nan, 1.5, math.inf, 2.0**53, 10**30, "a\ud800", b"5", True, np.True_, Decimal(5), 5j, [5], {"a": 1},
    np.datetime64("2024-01-01"), datetime.date(2024, 1, 1), torch.tensor(5), object(), np.array(5),
]  # fmt: skip
NO_LIST: list[Any] = [
    "12", b"12", ["b", "a\ud800"], 5, 5.0, {"a"}, {"a": 1}, iter(["a"]), torch.tensor([1]), np.array(5),
    object(), np.int64(5),
]  # fmt: skip


@pytest.mark.parametrize("value", NO_ID)
def test_what_is_no_id_is_refused_alone_and_in_a_list_by_the_name_of_its_field(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^user: .+, expected strings or integers"):
        USER.plain(value)
    with pytest.raises(ValueError, match=r"^history: .+, expected a list of strings or integers"):
        HISTORY.plain(["1", value])
    with pytest.raises(ValueError, match=r"^tags: .+, expected a list of lists of strings or integers"):
        Field("tags", depth=2).plain([["1"], None, ["2", value]])


@pytest.mark.parametrize("value", NO_LIST)
def test_what_is_no_list_is_refused_by_the_name_of_its_field(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^candidates: .+, expected a list of strings or integers; "):
        CANDIDATES.plain(value)


def test_a_missing_list_or_entry_is_refused_where_every_request_has_it() -> None:
    for value in (None, ["1", None], np.array(["1", None], object)):
        with pytest.raises(ValueError, match=r"^history: None, expected a list of strings or integers; "):
            HISTORY.plain(value)
    assert USER.plain(None) is None
    assert Field("tags", depth=1).plain(["1", None, 2]) == ["1", None, "2"]


@given(st.integers() | st.floats() | st.none() | st.integers(0, 10**19))
def test_a_time_is_a_whole_number_of_the_years_1970_to_2099_in_some_unit(value: float | None) -> None:
    wanted = None
    if value is not None:
        whole = int(value) if math.isfinite(value) and value == int(value) else -1
        digits = next((k for k in (0, 3, 6) if whole < 10 ** (11 + k)), 9)
        wanted = whole // 10**digits
    if wanted is None or 0 <= wanted < 4_102_444_800:
        assert TIME.plain(value) == wanted
        assert list(TIMES.plain([value])) == [wanted]
    else:
        for field, given_value in ((TIME, value), (TIMES, [value])):
            with pytest.raises(ValueError, match=rf"^{field.name}: .+, expected .*seconds since 1970"):
                field.plain(given_value)


@given(st.integers() | st.floats() | st.none() | st.booleans() | st.text(max_size=2) | st.just(10**400))
def test_a_number_is_finite_or_missing(value: Any) -> None:
    field, values = Field("price", "number"), Field("prices", "number", 1)
    fits = value is None or (type(value) in (int, float) and abs(value) < 1e308) or value != value
    if fits:
        assert value is None or value != value or field.plain(value) == value
        assert len(values.plain([value, 1.0])) == 2
    elif type(value) is not float or math.isinf(value):
        with pytest.raises(ValueError, match=r"^price: .*expected finite numbers"):
            field.plain(value)
        with pytest.raises(ValueError, match=r"^prices: .*expected a list of finite numbers"):
            values.plain([1.0, value])


arrays = [np.int64(3), np.float64(3), np.array([1, 2]), np.array(["a"]), np.array(1.5), Shop.NORTH]
values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
    | st.sampled_from(arrays) | st.builds(torch.tensor, st.lists(st.integers(0, 9), max_size=3))
)  # fmt: skip
anything = st.recursive(
    values,
    lambda one: st.lists(one, max_size=3) | st.tuples(one) | st.dictionaries(st.text(max_size=2), one),
    max_leaves=6,
)
ARGUMENTS = (
    "user", "history", "candidates", "context", "behaviours", "times", "time", "candidate_features",
    "user_features",
)  # fmt: skip
FEATURES = (
    "hour", "zone", "position", "wanted", "action", "dwell", "labels", "category", "tags", "price", "age",
)  # fmt: skip


@settings(max_examples=150)
@given(st.data())
def test_a_request_with_anything_in_it_is_scored_or_refused_by_the_name_of_a_field(
    rich_run: Run, data: st.DataObject
) -> None:
    scorer = _scorer(rich_run)
    request: dict[str, Any] = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3", "new"]}
    for name in data.draw(st.lists(st.sampled_from(ARGUMENTS), min_size=1, max_size=3, unique=True)):
        features = st.dictionaries(st.sampled_from(FEATURES), anything, min_size=1, max_size=2)
        request[name] = data.draw(anything | features if "features" in name or name[-1] in "st" else anything)
    try:
        scores = scorer.score(**request)
    except ValueError as error:
        assert str(error).startswith((*ARGUMENTS, *FEATURES)), error  # noqa: PT017
    else:
        assert scores.shape == (len(request["candidates"]),)
        assert ((scores > 0) & (scores < 1)).all()


_scorers: dict[str, Scorer] = {}


def _scorer(run: Run) -> Scorer:
    """Open a run once for all examples."""
    if str(run.path) not in _scorers:
        _scorers[str(run.path)] = Scorer(run)
    return _scorers[str(run.path)]
