from dataclasses import replace

import polars as pl
import pytest

from dien.data.prepare.events import Events
from dien.data.prepare.histories import behaviours_of
from dien.errors import DataError
from tests.data.logs import make_log

LOG = make_log([("u", "a", 2, 1), ("v", "b", 1, 1), ("u", "b", 1, 0), ("u", "c", 1, 1)], "label")


def column(name: str, values: list) -> pl.Series:
    return pl.Series(name, values, dtype=LOG.events.schema[name])


def test_events_stand_by_user_and_time_and_ties_in_the_order_of_the_source():
    events = Events.of(LOG)
    assert events.item_ids.decode(events.item).to_list() == ["b", "c", "a", "b"]
    assert events.clicked.tolist() == [False, True, True, True]
    behaviours = behaviours_of(events)
    assert events.item_ids.decode(behaviours.item).to_list() == ["c", "a", "b"]
    assert behaviours.offsets.tolist() == [0, 0, 2, 3]


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("events", column("time", [1, 2, -3, 4]), "events: row 2: time is -3"),
        (
            "events",
            column("time", [1, 1_500_000_000_000, 3, 4]),
            "row 1: time is 1500000000000, expected seconds",
        ),
        ("events", pl.Series("time", ["1", "2", "3", "4"]), "time is String, expected integers"),
        ("events", column("time", [1, None, 3, 4]), "row 1: time is missing"),
        ("events", column("label", [1, 0, 2, 1]), "row 2: label is 2"),
        ("events", column("label", [1, 0, 1, None]), "row 3: label is None"),
        ("events", column("label", [0, 0, 0, 0]), "none is a click"),
        ("events", column("item", ["a", "b", "zz", "c"]), "item 'zz' has no row in items"),
        ("events", column("user", ["u", "v", "u", "nobody"]), "user 'nobody' has no row in users"),
        ("items", column("item", ["a", "b", "b"]), "item 'b' has several rows"),
        ("users", column("user", ["u", None]), "users: row 1: user is missing"),
    ],
)
def test_a_log_that_breaks_its_contract_is_refused_with_the_row_and_the_column(table, change, message):
    changed = getattr(LOG, table).with_columns(change)
    with pytest.raises(DataError, match=message):
        Events.of(replace(LOG, **{table: changed}))


def test_a_missing_column_or_an_empty_log_is_refused():
    with pytest.raises(DataError, match="events: no column 'time'; found user, item, label"):
        Events.of(replace(LOG, events=LOG.events.drop("time")))
    with pytest.raises(DataError, match="events: none are left"):
        Events.of(replace(LOG, events=LOG.events.clear()))
