import json
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table import TableSpec, read
from dien.data.sources.table.labels import LabelParser
from dien.data.sources.table.spec import Interactions
from dien.errors import DataError

kinds = st.none() | st.sampled_from(["click", "view", "buy", "", "1"])


@given(st.lists(kinds, min_size=1, max_size=20), st.integers(0, 20))
def test_an_event_of_the_named_kinds_is_a_click_and_no_other_one_is(rows: list[Any], cut: int) -> None:
    parser = LabelParser(Interactions(label={"column": "event", "is": ["click", "buy", 1]}))
    made = [
        label
        for part in (rows[:cut], rows[cut:])
        for label in parser.parse(pl.Series("event", part, pl.String)).to_list()
    ]
    assert made == [int(row in ("click", "buy", "1")) for row in rows]
    assert parser.without == sum(row in (None, "") for row in rows)


@pytest.mark.parametrize(
    ("values", "is_there"),
    [
        (pl.Series("c", ["10:00", "", None, " "], pl.String), [1, 0, 0, 0]),
        (pl.Series("c", [1.5, float("nan"), None]), [1, 0, 0]),
        (pl.Series("c", [0, None]), [1, 0]),
        (pl.Series("c", [[1], [], None], pl.List(pl.Int64)), [1, 0, 0]),
        (pl.Series("c", [None], pl.Null), [0]),
    ],
)
def test_a_value_that_is_there_is_a_click_where_the_label_is_known(
    values: pl.Series, is_there: list[int]
) -> None:
    parser = LabelParser(Interactions(label={"column": "c", "known": True}))
    assert parser.parse(values).to_list() == is_there


@pytest.mark.parametrize("values", [[1, 4], [1.0, 4.0, float("nan")], ["1", "4"], ["1.0", " 4.0"]])
def test_kinds_of_events_may_be_numbers(values: list[Any]) -> None:
    parser = LabelParser(Interactions(label={"column": "c", "is": 4}))
    assert parser.parse(pl.Series("c", values)).to_list() == [0, 1, 0][: len(values)]
    parser.warn()  # not that 4 never occurs
    with pytest.raises(BadValueError, match=r"found 2\.5; expected one kind of event"):
        parser.parse(pl.Series("c", [2.5]))


@pytest.mark.parametrize("values", [[True, False], ["True", "False"], ["true", "no"]])
def test_a_kind_of_event_may_be_true(values: list[Any]) -> None:
    parser = LabelParser(Interactions(label={"column": "c", "is": True}))
    assert parser.parse(pl.Series("c", values)).to_list() == [1, 0]


def log(folder: Path, rows: list[dict[str, Any]]) -> list[Path]:
    path = folder / "log.jsonl"
    path.write_text(
        "\n".join(json.dumps({"user": 1, "item": 1, "time": 1_700_000_000} | row) for row in rows)
    )
    return [path]


def test_a_kind_that_never_occurs_is_warned_of_and_named(tmp_path: Path) -> None:
    spec = TableSpec.of({"interactions": {"label": {"column": "event", "is": ["clik", "buy"]}}}, "test")
    with pytest.warns(UserWarning, match=r"label.is names 'clik'.*'event'.*found view, buy; mend"):
        read(log(tmp_path, [{"event": "view"}, {"event": "buy"}]), None, None, spec)
    with pytest.raises(DataError, match=r"column 'event': no label is 1 \(clik, buy; found view\)"):
        read(log(tmp_path, [{"event": "view"}]), None, None, spec)


def test_an_item_that_was_shown_and_clicked_in_an_impression_is_one_candidate(tmp_path: Path) -> None:
    spec = TableSpec.of(
        {
            "interactions": {"impression": "request", "label": {"column": "event", "is": "click"}},
            "features": {"context": {"place": {}, "hour": {"from_time": "hour"}}, "behaviour": {"dwell": {}}},
        },
        "test",
    )
    shown = {"request": "a", "event": "shown", "place": "top", "time": 1_700_002_799}
    click = {"request": "a", "event": "click", "dwell": "long", "time": 1_700_002_801}
    rows = [
        click | {"item": 2, "time": 1_700_002_805},
        shown,
        shown | {"item": 2},
        click | {"item": 2},
        shown | {"item": 3, "request": "b"},
        shown | {"item": 2, "user": 2},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = read(log(tmp_path, rows), None, None, spec)
    assert made.excluded == {"rows of one candidate of an impression (joined)": 2}
    columns = ("user", "item", "time", "label", "place", "hour", "dwell")
    items = made.items["item"].to_list()
    found = [row | {"item": items[row["item"] - 1]} for row in made.events.select(columns).to_dicts()]
    before = {"user": 1, "label": 0, "place": "top", "hour": "22", "dwell": None, "time": 1_700_002_799}
    assert found == [
        before | {"item": "1"},
        before | {"item": "2", "label": 1, "time": 1_700_002_801, "dwell": "long"},
        before | {"item": "3"},
        before | {"item": "2", "user": 2},
    ]


def test_without_a_label_rows_of_an_impression_stay_as_they_are(tmp_path: Path) -> None:
    rows = [{"request": 1}, {"request": 1, "time": 1_700_000_009}]
    spec = TableSpec.of({"interactions": {"impression": "request"}}, "test")
    assert read(log(tmp_path, rows), None, None, spec).events.height == 2


@pytest.mark.parametrize("mark", ["nan", "NA", "None"])
def test_a_mark_of_a_missing_value_is_no_click_and_is_refused_unless_it_is_said_what_it_is(
    mark: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"user,item,time,at\n1,2,1700000000,10:00\n1,3,1700000001,{mark}\n")
    for nulls, labels in (([mark], [1, 0]), ([], [1, 1])):
        roles = {"label": {"column": "at", "known": True}, "nulls": nulls}
        spec = TableSpec.of({"interactions": roles}, "schema")
        assert read([path], None, None, spec).events["label"].to_list() == labels
    spec = TableSpec.of({"interactions": {"label": {"column": "at", "known": True}}}, "schema")
    with pytest.raises(DataError, match=rf"line 3: column 'at': found '{mark}'.*nulls: \[{mark}\]"):
        read([path], None, None, spec)


def test_of_many_kinds_of_events_some_are_kept_and_a_named_one_is_found_however_late_it_comes() -> None:
    parser = LabelParser(Interactions(label={"column": "event", "is": ["2999", "buy"]}))
    for start in range(0, 3000, 500):
        parser.parse(pl.Series("event", range(start, start + 500)))
    with pytest.warns(
        UserWarning, match=r"names 'buy', .* found 0, 1, .*, 19 and more than 980 more"
    ) as said:
        parser.warn()
    assert len(said) == 1
    assert len(parser._seen) < 2000
