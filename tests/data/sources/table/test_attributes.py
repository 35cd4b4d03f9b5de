import json
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
