import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.files import find
from dien.data.readers.reader import open_table
from dien.data.sources.table import TableSpec, read
from dien.errors import DataError

value = st.none() | st.integers(0, 9)
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.integers(1, 3),
            "device": st.none()
            | st.fixed_dictionaries({"os": value, "screen": st.fixed_dictionaries({"w": value})}),
            "items": st.none() | st.lists(st.fixed_dictionaries({"id": value, "price": value}), max_size=3),
        }
    ),
    min_size=1,
    max_size=8,
)
TYPES = {
    "user": pl.Int64,
    "device": pl.Struct({"os": pl.Int64, "screen": pl.Struct({"w": pl.Int64})}),
    "items": pl.List(pl.Struct({"id": pl.Int64, "price": pl.Int64})),
}
COLUMNS = ["items.price", "user", "device.os", "device.screen.w", "items.id"]


def inside(line: dict[str, Any], name: str) -> Any:
    if name == "user":
        return line["user"]
    if line[name.split(".")[0]] is None:
        return None
    match name:
        case "device.os":
            return line["device"]["os"]
        case "device.screen.w":
            return line["device"]["screen"]["w"]
        case _:
            return [item[name.split(".")[1]] for item in line["items"]]


@settings(max_examples=50)
@given(LINES)
def test_a_dotted_name_is_the_value_inside_in_parquet_and_in_json_alike(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("nested")
    pl.DataFrame(lines, TYPES).write_parquet(folder / "a.parquet")
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for file in find([folder]):
        reader = open_table(file)
        (frame,) = reader.chunks(COLUMNS)
        assert frame.columns == COLUMNS
        for name in COLUMNS:
            assert frame[name].to_list() == [inside(line, name) for line in lines], (file.name, name)
            if file.format == "parquet":
                assert reader.has(name)
        if file.format == "parquet":
            assert reader.columns() == ["user", "device.os", "device.screen.w", "items.id", "items.price"]
            assert not reader.has("device.nothing")
        elif all(line["device"] and line["items"] for line in lines):
            assert set(reader.columns()) == set(COLUMNS)


def test_a_key_with_dots_is_read_and_counted_beside_lines_where_it_stands_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"a.b": 1}\n{"a": {"b": 3}}\n{"a": null}\n{}\n{"a": {"$oid": "x"}}\n{"a": {"b": 4, "c.d": {"e": 5}}}'
    )
    reader = open_table(find([path])[0])
    assert reader.columns() == ["a.b", "a.$oid", "a.c.d.e"]
    frame = pl.concat(chunk.cast(pl.String) for chunk in reader.chunks(reader.columns(), rows=2))
    assert frame["a.b"].to_list() == ["1", "3", None, None, None, "4"]
    assert frame["a.$oid"].to_list() == [None, None, None, None, "x", None]
    assert frame["a.c.d.e"].to_list() == [None] * 5 + ["5"]
    assert reader.kept == {"values of 'a.b' at the key 'a.b', not at 'a' as most (read alike)": 1}
    pl.DataFrame({"a": [{"b.c": 1, "d": [{"e.f": 2}]}]}).write_parquet(tmp_path / "a.parquet")
    reader = open_table(find([tmp_path / "a.parquet"])[0])
    (frame,) = reader.chunks(reader.columns())
    assert frame.to_dicts() == [{"a.b.c": 1, "a.d.e.f": [2]}]


@pytest.mark.parametrize(
    "row", [{"a.b": 1, "a": {"b": 2}}, {"a": {"b.c": 1, "b": {"c": 2}}}, {"a.b": {"c": 1}, "a": {"b.c": 2}}]
)
def test_a_name_with_dots_that_stands_for_two_values_is_refused(row: dict[str, Any], tmp_path: Path) -> None:
    pl.DataFrame([row]).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame([{**row, "x": 1}]).write_ndjson(tmp_path / "a.jsonl")
    name = "a.b" if "b" in row["a"] and "a.b" in row else "a.b.c"
    for path in (tmp_path / "a.parquet", tmp_path / "a.jsonl"):
        reader = open_table(find([path])[0])
        assert reader.columns().count(name) == 1
        with pytest.raises(DataError, match=f"column '{name}': found two values of this name.*rename"):
            list(reader.chunks([name]))


def test_a_key_with_a_dot_may_stand_beside_a_value_of_the_key_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"os": "ios", "os.version": 3}\n{"os": null, "os.version": 4}\n{"os.version": 5}')
    for wanted in (["os", "os.version"], ["os.version"]):
        (frame,) = open_table(find([path])[0]).chunks(wanted)
        assert frame["os.version"].to_list() == [3, 4, 5]


def test_what_is_no_object_where_a_dot_stands_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": {"b": 1}}\n\n{"a": "phone"}')
    with pytest.raises(
        DataError, match=r"line 3: column 'a.b': found 'phone'; expected an object.* before \.b"
    ):
        list(open_table(find([path])[0]).chunks(["a.b"]))


def test_an_object_is_refused_with_the_dotted_name_of_a_value_in_it(tmp_path: Path) -> None:
    pl.DataFrame({"a": [{"b": {"c": 2}}]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"'a': holds .*name a field of it, as a\.b\.c"):
        list(open_table(find([tmp_path / "a.parquet"])[0]).chunks(["a"]))
    (tmp_path / "a.jsonl").write_text('{"a": {"b": {"c": 2}}}')
    with pytest.raises(
        DataError, match=r"line 1: column 'a': found .*a value inside an object by its dotted name"
    ):
        list(open_table(find([tmp_path / "a.jsonl"])[0]).chunks(["a"]))


def test_a_page_may_be_a_list_of_structs(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {
            "device": [{"user": "u"}],
            "at": [1_700_000_000],
            "items": [[{"id": "a", "hit": 1, "price": 2.5}, {"id": "b", "hit": 0, "price": 1.5}]],
        }
    )
    log.write_parquet(tmp_path / "a.parquet")
    log.write_ndjson(tmp_path / "a.jsonl")
    spec = TableSpec.of(
        {
            "interactions": {
                "user": "device.user",
                "item": {"column": "items.id"},
                "time": "at",
                "label": "items.hit",
            },
            "features": {
                "item": {"price": {"kind": "numeric", "column": "items.price", "from": "interactions"}}
            },
        },
        "test",
    )
    for name in ("a.parquet", "a.jsonl"):
        made = read([tmp_path / name], None, None, spec)
        assert made.items.to_dicts() == [{"item": "a", "price": 2.5}, {"item": "b", "price": 1.5}]
        assert made.events["label"].to_list() == [1, 0]
