"""Lists of keys and values, as GA4 exports its parameters: a name with a dot is the value of a key."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.files import find
from dien.data.readers.reader import open_table
from dien.data.sources.table import TableSpec, read
from dien.errors import DataError

VALUE = pa.struct([("string_value", pa.string()), ("int_value", pa.int64()), ("double_value", pa.float64())])
PARAMS = pa.list_(pa.struct([("key", pa.string()), ("value", VALUE)]))
KEYS = ("page", "ga.id", "value")
ONE = st.one_of(
    st.builds(lambda x: {"string_value": x}, st.sampled_from(["a", "b", "1"])),
    st.builds(lambda x: {"int_value": x}, st.integers(0, 9)),
    st.just({}),
)
ROWS = st.lists(st.none() | st.dictionaries(st.sampled_from(KEYS), ONE), min_size=1, max_size=6)


def entries(row: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    return None if row is None else [{"key": key, "value": value} for key, value in row.items()]


def save(rows: list[Any], path: Path, kind: pa.DataType = PARAMS) -> Path:
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table({"params": pa.array(rows, kind)}), path)
    else:
        path.write_text("".join(json.dumps({"params": row}) + "\n" for row in rows))
    return path


def text(values: list[Any]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


@settings(max_examples=30)
@given(ROWS)
def test_a_parameter_is_read_by_its_key_in_parquet_and_in_json_lines_wherever_chunks_end(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any] | None]
) -> None:
    folder = tmp_path_factory.mktemp("params")
    there = [key for key in KEYS if any(key in (row or {}) for row in rows)]
    for name in ("a.parquet", "a.jsonl"):
        path = save(list(map(entries, rows)), folder / name)
        for size in (1, 2, None):
            reader = open_table(find([path])[0])
            if there:
                assert sorted(reader.columns()) == sorted(f"params.{key}" for key in there)
            wanted = [f"params.{key}" for key in there]
            frames = list(reader.chunks(wanted, rows=size)) if wanted else []
            for key in there:
                expected = [next(iter((row or {}).get(key, {}).values()), None) for row in rows]
                found = [value for frame in frames for value in frame[f"params.{key}"].to_list()]
                assert text(found) == text(expected)
                assert reader.has(f"params.{key}")
            assert reader.may_have("params.nothing")
            assert not reader.has("params.nothing")


def test_one_of_the_values_of_a_parameter_is_named_by_a_further_dot(tmp_path: Path) -> None:
    rows = [[{"key": "a.b", "value": {"int_value": 3}}], [], [{"key": "a.b", "value": {"string_value": "x"}}]]
    for name in ("a.parquet", "a.jsonl"):
        (frame,) = open_table(find([save(rows, tmp_path / name)])[0]).chunks(["params.a.b.int_value"])
        assert frame.to_series().to_list() == [3, None, None]


def test_a_value_that_the_entries_of_parquet_cannot_have_is_a_missing_column(tmp_path: Path) -> None:
    path = save([[{"key": "a", "value": {"int_value": 3}}]], tmp_path / "a.parquet")
    reader = open_table(find([path])[0])
    (frame,) = reader.chunks(["params.a.float_value"])
    assert frame.to_series().to_list() == [None]
    assert not reader.has("params.a.float_value")


def test_a_value_by_its_name_is_refused_where_an_entry_has_no_object(tmp_path: Path) -> None:
    rows = [[], [("a", "x")]], [[], [{"key": "a", "value": "x"}]]
    for name, place, row in zip(("a.parquet", "a.jsonl"), ("row 2", "line 2"), rows, strict=True):
        path = save(row, tmp_path / name, pa.map_(pa.string(), pa.string()))
        with pytest.raises(DataError) as refused:
            list(open_table(find([path])[0]).chunks(["params.a.int_value"]))
        assert str(refused.value).startswith(
            f"{path}: {place}: column 'params.a.int_value': found 'x' at the key 'a'; "
            "expected an object with 'int_value'"
        )


def test_a_parameter_without_any_value_is_null_whatever_its_values_are_called(tmp_path: Path) -> None:
    value = pa.struct([("anything", pa.string())])
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", value)]))
    path = save([[{"key": "a", "value": None}], []], tmp_path / "a.parquet", kind)
    (frame,) = open_table(find([path])[0]).chunks(["params.a"])
    assert frame.to_series().to_list() == [None, None]


def test_a_map_of_parquet_is_read_by_its_keys(tmp_path: Path) -> None:
    path = save(
        [[("color", "red")], None, [("size", "L")]], tmp_path / "a.parquet", pa.map_(pa.string(), pa.string())
    )
    reader = open_table(find([path])[0])
    assert reader.columns() == ["params.color", "params.size"]
    (frame,) = reader.chunks(["params.size", "params.color"])
    assert frame.rows() == [(None, "red"), (None, None), ("L", None)]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [[], [{"key": "a", "value": {"int_value": 3}}, {"key": "a", "value": {"int_value": 4}}]],
            "found 2 entries with the key 'a'; expected one",
        ),
        (
            [[], [{"key": "a", "value": {"string_value": "x", "int_value": 4}}]],
            "expected an object with one value, as {string_value: a}",
        ),
        (
            [[{"key": "a", "value": {"string_value": "x"}}], [{"key": "a", "value": {"double_value": 1.5}}]],
            "found 1.5; expected text or a whole number, as in the lines before",
        ),
    ],
)
def test_a_parameter_that_is_not_one_value_is_refused_with_its_row(
    rows: list[Any], says: str, tmp_path: Path
) -> None:
    for name, place in (("a.parquet", "row 2"), ("a.jsonl", "line 2")):
        path = save(rows, tmp_path / name)
        for size in (1, None):
            with pytest.raises(DataError) as refused:
                list(open_table(find([path])[0]).chunks(["params.a"], rows=size))
            assert str(refused.value).startswith(f"{path}: {place}: column 'params.a': found ")
            assert says in str(refused.value)


def test_a_parameter_that_no_row_has_is_a_missing_column(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "user": ["u"],
            "item": ["i"],
            "time": [1_700_000_000],
            "params": pa.array([[{"key": "page", "value": {"string_value": "x"}}]], PARAMS),
        }
    )
    pa.parquet.write_table(rows, tmp_path / "a.parquet")
    pl.read_parquet(tmp_path / "a.parquet").write_ndjson(tmp_path / "a.jsonl")
    for name in ("a.parquet", "a.jsonl"):
        spec = {"features": {"context": {"page": {"column": "params.page"}}}}
        made = read([tmp_path / name], None, None, TableSpec.of(spec, "test"))
        assert made.events["page"].to_list() == ["x"]
        spec["features"]["context"]["page"]["column"] = "params.pag"
        with pytest.raises(
            DataError, match=r"no column 'params.pag'; found .*params.page; features.context.page"
        ):
            read([tmp_path / name], None, None, TableSpec.of(spec, "test"))
