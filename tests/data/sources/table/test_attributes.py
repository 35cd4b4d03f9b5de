import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.changing import Changing
from dien.data.sources.table import TableSpec, read
from dien.data.sources.table.prepare import prepare
from dien.errors import DataError

SPEC = TableSpec.of(
    {
        "features": {
            "item": {
                "category": {"from": "interactions", "column": "cate"},
                "price": {"kind": "numeric", "from": "interactions"},
                "tags": {"kind": "multi", "from": "interactions"},
            },
            "user": {"changes": {"column": "age", "from": "interactions"}},
        }
    },
    "test",
)
ROW = {
    "user": st.integers(1, 2),
    "item": st.integers(1, 3),
    "time": st.integers(1_700_000_000, 1_700_000_005),
    "cate": st.none() | st.sampled_from(["a", "b"]),
    "price": st.none() | st.sampled_from([1.5, 1e9 + 0.25]),
    "tags": st.none() | st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2),
    "age": st.none() | st.integers(0, 1),
}


def save(rows: list[dict[str, Any]], path: Path) -> list[Path]:
    path.write_text("\n".join(map(json.dumps, rows)))
    return [path]


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries(ROW), min_size=1, max_size=12))
def test_an_item_or_user_has_the_latest_known_value_of_its_interactions(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    want: dict[tuple[str, str, str], list[Any]] = {}
    kept = {}
    for row in rows:
        kept.setdefault((row["user"], row["item"], row["time"]), row)
    for row in sorted(kept.values(), key=lambda row: row["time"]):
        for side, name, column in (
            ("item", "category", "cate"),
            ("item", "price", "price"),
            ("item", "tags", "tags"),
            ("user", "changes", "age"),
        ):
            if row[column] is not None:
                value = str(row[column]) if name == "changes" else row[column]
                want.setdefault((name, side, str(row[side])), []).append(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = read(save(rows, tmp_path_factory.mktemp("log") / "log.jsonl"), None, None, SPEC)
    for side, table in (("item", log.items), ("user", log.users)):
        for row in table.to_dicts():
            for name in row.keys() - {side}:
                assert row[name] == want.get((name, side, row[side]), [None])[-1]
    for name, side in (("category", "item"), ("price", "item"), ("tags", "item"), ("changes", "user")):
        changes = sum(
            any(value != values[0] for value in values) for (n, _, _), values in want.items() if n == name
        )
        assert log.excluded.get(f"{side}s whose {name} changes (kept, the latest value)", 0) == changes
    assert not set(log.events.columns) & {"category", "price", "tags", "changes"}


def test_values_that_often_change_are_warned_of_and_values_that_do_not_are_not(tmp_path: Path) -> None:
    rows = [{"user": 1, "item": 1, "time": 1_700_000_000 + i, "price": i // 2} for i in range(4)]
    spec = TableSpec.of({"features": {"item": {"price": {"from": "interactions"}}}}, "test")
    with pytest.warns(UserWarning, match=r"features.item.price: 1 of 1 items change it.*of the context"):
        read(save(rows, tmp_path / "a.jsonl"), None, None, spec)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(save(rows[:2], tmp_path / "b.jsonl"), None, None, spec)


def test_a_table_of_items_and_the_log_may_both_know_something_of_them(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {
            "user": [1] * 8,
            "item": ["a", "b"] * 4,
            "time": range(1_700_000_000, 1_700_000_008),
            "category": ["x", "y"] * 4,
        }
    )
    features = {"item": {"category": {"from": "interactions"}, "brand": {}}}
    items = pl.DataFrame({"item": ["c", "b", "a"], "brand": ["p", "q", "r"]})
    data = prepare(log, tmp_path / "data", items=items, schema={"features": features}, split="last")
    vocabularies = {name: data.vocabularies[name].values.to_list() for name in ("category", "brand")}
    found = {
        name: [vocabularies[name][i] for i in data.items[name]] for name in ("category", "brand")
    }  # a, b, c after "unknown"
    assert found["category"][1:3] == ["x", "y"]
    assert found["brand"][1:3] == ["r", "q"]
    assert data.items["category"][3] == 0
    with pytest.raises(DataError, match=r"no table of items; give it .*brand: \{from: interactions\}"):
        prepare(log, tmp_path / "other", schema={"features": features})
    new = prepare(None, tmp_path / "data", items=pl.DataFrame({"item": ["d"], "brand": ["p"]}),
                  schema={"features": features}, append=True)  # fmt: skip
    assert new.items["category"][4] == 0


@pytest.mark.parametrize("side", ["context", "behaviour"])
def test_only_items_and_users_have_features_from_elsewhere(side: str) -> None:
    with pytest.raises(DataError, match=f"features.{side}.a: from: is for features of items and users"):
        TableSpec.of({"features": {side: {"a": {"from": "interactions"}}}}, "test")
    with pytest.raises(DataError, match=r"features.item.a.from: .*'interactions' \(found 'log'\)"):
        TableSpec.of({"features": {"item": {"a": {"from": "log"}}}}, "test")


CHANGING = {"item": {"cate": {"from": "interactions", "changes": True}}}
EVENTS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(0, 6), st.none() | st.sampled_from("ab")),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.booleans())
def test_what_changes_has_the_value_that_rows_told_by_then_and_the_first_one_before(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[Any, ...]], labelled: bool
) -> None:
    begin = 1_700_000_000
    rows = [
        {"user": user, "item": item, "time": begin + time, "cate": cate} | ({"label": 1} if labelled else {})
        for user, item, time, cate in events
    ]
    schema = {"interactions": {"label": "label"} if labelled else {}, "features": CHANGING}
    file = save(rows, tmp_path_factory.mktemp("log") / "log.jsonl")
    log = read(file, None, None, TableSpec.of(schema, "test"))
    kept: dict[tuple[Any, ...], Any] = {}
    for user, item, time, cate in events:
        kept.setdefault((user, item, time), cate)
    ids = log.items["item"].to_list()
    frame = log.changes["cate"]
    assert frame.equals(frame.sort("item", "time"))
    for item in ids:
        told = [(t, cate) for (_, i, t), cate in kept.items() if str(i) == item and cate is not None]
        told = sorted(told, key=lambda one: one[0])
        own = frame.filter(pl.col("item") == ids.index(item) + 1)
        for now in range(8):
            # Where all rows are clicks, one tells nothing of itself.
            known = [cate for t, cate in told if t < now + labelled]
            wanted = known[-1] if known else told[0][1] if told else None
            by_then = own.filter(pl.col("time") <= begin + now)["cate"].to_list()
            if not known and told:  # of the first second the last row counts
                wanted = [cate for t, cate in told if t == told[0][0]][-1]
            assert (by_then[-1] if by_then else None) == wanted


def test_changes_are_of_items_and_users_and_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="changes is of what is read from the interactions"):
        TableSpec.of({"features": {"item": {"price": {"changes": True}}}}, "test")
    history = {"interactions": {"history": "past"}, "features": CHANGING}
    with pytest.raises(DataError, match=r"features.item.cate: changes over time.*interactions.history.time"):
        TableSpec.of(history, "test")
    log = pl.DataFrame(
        {
            "user": [1, 2] * 6,
            "item": ["a", "b", "b", "a"] * 3,
            "time": range(1_700_000_000, 1_700_000_012),
            "cate": ["x", "y"] * 3 + ["y", "x"] * 3,
        }
    )
    data = prepare(log, tmp_path / "data", schema={"features": CHANGING}, split="last")
    assert [feature.name for feature in data.schema.features if feature.changes] == ["cate"]
    later = log.with_columns(pl.col("time") + 100)
    before = data.items["cate"]
    assert isinstance(before, Changing)
    grown = prepare(later, tmp_path / "data", schema={"features": CHANGING}, append=True).items["cate"]
    assert isinstance(grown, Changing)
    for row in (1, 2):
        for second in (1_600_000_000, 1_700_000_006, 1_700_000_013):
            when = np.array([second])
            assert grown.at(np.array([row]), when) == before.at(np.array([row]), when)
    assert grown.since.max() > 1_700_000_100
