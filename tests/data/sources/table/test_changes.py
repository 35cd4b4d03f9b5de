"""Tables of items and users whose rows say from when on they hold."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.changing import Changing
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.sources.table import TableSpec, check, prepare, read
from dien.errors import DataError

START = 1_700_000_000
CLICKS = [
    ("u", "a", 1),
    ("u", "b", 2),
    ("v", "b", 3),
    ("v", "a", 4),
    ("u", "c", 5),
    ("v", "c", 6),
    ("u", "a", 9),
]
WIDE = {"item": "id", "time": "from"}
LONG = {**WIDE, "property": "what", "value": "is"}
FEATURES = {
    "cate": None,
    "price": {"kind": "numeric", "column": "cost"},
    "tags": {"kind": "multi", "separator": "|"},
}
OF_FEATURE = {"cate": "cate", "price": "cost", "tags": "tags"}


def jsonl(path: Path, rows: list[dict[str, Any]]) -> list[Path]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [path]


def clicks(folder: Path) -> list[Path]:
    return jsonl(
        folder / "clicks.jsonl", [{"user": u, "item": i, "time": START + t * 60} for u, i, t in CLICKS]
    )


def spec_of(items: dict[str, Any], features: dict[str, Any] | None = None, **more: Any) -> TableSpec:
    return TableSpec.of({"items": items, "features": {"item": features or FEATURES}, **more}, "test")


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from("abcd"),
            "from": st.integers(0, 5),
            "cate": st.none() | st.sampled_from(["x", "y"]),
            "cost": st.none() | st.sampled_from([1.5, 2.5]),
            "tags": st.none() | st.sampled_from(["k", "k|l"]),
        }
    ),
    min_size=1,
    max_size=14,
)


def naive(rows: list[dict[str, Any]], column: str) -> dict[str, list[tuple[int, Any]]]:
    """Each item's values by time: of one second the last row, and no value twice in a row."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for item in "abcd":
        held: dict[int, Any] = {}
        for row in rows:
            if row["id"] == item:
                held[row["from"]] = row[column]
        lines = [(START + second, held[second]) for second in sorted(held)]
        if column == "tags":
            lines = [(second, None if text is None else text.split("|")) for second, text in lines]
        lines = [line for k, line in enumerate(lines) if k == 0 or line[1] != lines[k - 1][1]]
        if lines:
            found[item] = lines
    return found


def changes_of(log: Log, name: str) -> dict[str, list[tuple[int, Any]]]:
    ids = log.items["item"].to_list()
    found: dict[str, list[tuple[int, Any]]] = {}
    for item, time, value in log.changes[name].rows():
        found.setdefault(ids[item - 1], []).append((time, value))
    return found


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_wide_and_long_tables_give_each_value_from_its_time_on(tmp_path_factory, rows) -> None:
    folder = tmp_path_factory.mktemp("changes")
    given_rows = [{**row, "from": START + row["from"]} for row in rows]
    long = [
        {"id": row["id"], "from": row["from"] * 1000, "what": name, "is": row[name], "who": "me"}
        for row in given_rows
        for name in OF_FEATURE.values()
    ]
    half = len(long) // 2
    files = {
        "wide": (WIDE, jsonl(folder / "wide.jsonl", given_rows)),
        "long": (LONG, []),
    }
    for name, part in (("1", long[:half]), ("2", long[half:])):  # of two files, as RetailRocket has them
        if part:
            frame = pl.DataFrame(
                {key: [row[key] if key != "is" else _text(row[key]) for row in part] for key in part[0]},
                schema_overrides={"is": pl.String},
            )
            frame.write_csv(folder / f"long{name}.csv")
            files["long"][1].append(folder / f"long{name}.csv")
    for table, paths in files.values():
        log = read(clicks(folder), paths, None, spec_of(table))
        assert log.items.columns == ["item"]
        for name, column in OF_FEATURE.items():
            assert changes_of(log, name) == naive(rows, column)
        (join,) = log.joins
        assert (join.ids, join.met) == (3, len({row["id"] for row in rows} & set("abc")))


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(value)


def test_what_is_not_read_repeated_or_changes_is_counted_and_a_property_of_no_row_is_warned_of(
    tmp_path: Path,
) -> None:
    rows = [("a", 1, "cate", "x"), ("a", 1, "cate", "y"), ("a", 2, "cate", "y"), ("a", 3, "cate", "x")]
    rows += [("a", 3, "cate", "x"), ("b", 1, "cate", "x"), ("b", 1, "cate", "x"), ("b", 2, "cate", "x")]
    rows += [("b", 1, "790", "n12.0"), ("b", 1, "prize", "3")]
    table = jsonl(
        tmp_path / "items.jsonl",
        [{"id": i, "from": START + t, "what": what, "is": value} for i, t, what, value in rows],
    )
    features = {"cate": None, "price": {"kind": "numeric"}}
    with pytest.warns(UserWarning, match=r"'price' .*features.item.price .* '790', 'prize'.* mean 'prize'\?"):
        log = read(clicks(tmp_path), table, None, spec_of(LONG, features))
    assert log.excluded == {
        "rows of items of other properties (not read)": 2,
        "values of cate with another one of the same item and second (the last is kept)": 1,
        "items whose cate changes over time (kept, each value from its time on)": 1,
        "items without a row in the items table (kept)": 1,
    }


def test_the_first_value_holds_before_its_time_where_the_schema_says_so(tmp_path: Path) -> None:
    rows = [("a", 5, "x"), ("a", 7, "y"), ("b", 6, "y")]
    table = jsonl(tmp_path / "items.jsonl", [{"id": i, "from": START + t, "cate": v} for i, t, v in rows])
    log = read(clicks(tmp_path), table, None, spec_of({**WIDE, "before": "first"}, {"cate": {}}))
    assert changes_of(log, "cate") == {
        "a": [(0, "x"), (START + 5, "x"), (START + 7, "y")],
        "b": [(0, "y"), (START + 6, "y")],
    }
    assert log.excluded["items whose first cate holds before its time, too (as items.before says)"] == 2
    assert log.excluded["items whose cate changes over time (kept, each value from its time on)"] == 1


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            {**WIDE, "time": None, "property": "what", "value": "is"},
            "items.*property is for a table whose rows",
        ),
        ({"time_unit": "ms"}, "time_unit is for a table whose rows say from when on"),
        ({**WIDE, "property": "what"}, "property and value go together"),
        ({"before": "first"}, "before is for a table whose rows say from when on"),
        ({**WIDE, "keep": "last"}, "keep is for rows without time"),
        ({**WIDE, "time": {"order": "file"}}, "is for the interactions alone"),
        ({**WIDE, "time_format": "%d.%m", "time_unit": "s"}, "exclude each other"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(items: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        spec_of(items)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": None, "from": START, "cate": "x"}, r"items.jsonl: line 2: column 'id'.*expected an id"),
        ({"id": "a", "from": None, "cate": "x"}, r"items.jsonl: line 2: column 'from'"),
        ({"id": "a", "from": START, "cate": ["x"]}, r"items.jsonl: line 2: column 'cate'"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    first = {"id": "b", "from": START, "cate": "x"}
    with pytest.raises(DataError, match=message):
        read(
            clicks(tmp_path), jsonl(tmp_path / "items.jsonl", [first, row]), None, spec_of(WIDE, {"cate": {}})
        )


def test_a_bad_value_of_a_long_table_is_named_by_its_line(tmp_path: Path) -> None:
    rows = [("cost", "1.5"), ("other", "n7"), ("cost", "n12.0")]
    table = [{"id": "a", "from": START, "what": what, "is": value} for what, value in rows]
    files = jsonl(tmp_path / "items.jsonl", table)
    with pytest.raises(DataError, match=r"items.jsonl: line 3: column 'is': found 'n12.0'"):
        read(clicks(tmp_path), files, None, spec_of(LONG, {"price": FEATURES["price"]}))


def test_times_without_a_zone_need_one_where_the_log_has_one(tmp_path: Path) -> None:
    rows = [{"user": u, "item": i, "time": f"2024-01-01 10:0{t}:00"} for u, i, t in CLICKS]
    log = jsonl(tmp_path / "log.jsonl", rows)
    table = jsonl(tmp_path / "items.jsonl", [{"id": "a", "from": "2024-01-01 10:00:00", "cate": "x"}])
    berlin = {"interactions": {"time_zone": "Europe/Berlin"}}
    with pytest.raises(DataError, match=r"items.time: its times name no zone.*time_zone: Europe/Berlin"):
        read(log, table, None, spec_of(WIDE, {"cate": {}}, **berlin))
    found = read(log, table, None, spec_of({**WIDE, "time_zone": "Europe/Berlin"}, {"cate": {}}, **berlin))
    assert found.changes["cate"]["time"].to_list() == [1704099600]


def test_a_log_that_has_an_order_alone_is_refused(tmp_path: Path) -> None:
    table = jsonl(tmp_path / "items.jsonl", [{"id": "a", "from": START, "cate": "x"}])
    ordered = {"interactions": {"time": {"order": "file"}}}
    with pytest.raises(DataError, match=r"items.time says from when on a row holds, and interactions.time"):
        read(clicks(tmp_path), table, None, spec_of(WIDE, {"cate": {}}, **ordered))


def test_users_change_too_and_a_schema_is_checked_and_prepared_with_its_tables(tmp_path: Path) -> None:
    users = jsonl(
        tmp_path / "users.jsonl",
        [
            {"name": "u", "since": START, "plan": "free"},
            {"name": "u", "since": START + 200, "plan": "gold"},
            {"name": "v", "since": START + 200, "plan": "gold"},
        ],
    )
    schema = {"users": {"user": "name", "time": "since"}, "features": {"user": {"plan": None}}}
    checked = check(TableSpec.of(schema, "test"), clicks(tmp_path), users=users)
    (feature,) = checked.features
    assert (feature.name, feature.changes, feature.values, feature.unknown) == ("plan", True, 2, 0)
    assert checked.not_read["users"] == []
    data = prepare(clicks(tmp_path)[0], tmp_path / "data", users=users, schema=schema, negatives=1)
    plan = Dataset.open(tmp_path / "data").users["plan"]
    assert isinstance(plan, Changing)
    assert plan.rows.tolist() == [0, 1, 3, 4]
    assert data.info.excluded["candidates whose user has no plan at that time (kept, unknown)"] == 1
