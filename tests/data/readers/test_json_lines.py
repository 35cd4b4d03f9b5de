"""Lines of JSON that are held to types."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dien.data.readers import json_lines
from dien.data.readers.files import table_file
from dien.data.readers.json_lines import JsonReader, JsonType
from dien.data.readers.reader import open_table
from dien.errors import DataError


def test_a_key_may_be_required_and_held_to_a_type(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    types = {
        "id": JsonType(str | int, "an id; mend it", required=True),
        "n": JsonType(float | None, "a number"),
    }
    for line, says in (
        ('{"n": 1}', "line 3: no key 'id'; found n; expected an id; mend it"),
        ('{"id": 1.5}', "line 3: column 'id': found 1.5; expected an id; mend it"),
        ('{"id": null}', "line 3: column 'id': found nothing; expected an id; mend it"),
        ('{"id": 1, "n": "1"}', "line 3: column 'n': found '1'; expected a number"),
    ):
        path.write_text('{"id": "a", "n": 2, "other": {}}\n\n' + line)
        with pytest.raises(DataError) as raised:
            list(JsonReader(table_file(path, tmp_path), types).chunks(["id", "n"]))
        assert str(raised.value) == f"{path}: {says}"
    path.write_text('{"id": "a"}\n{"id": 2}')
    (frame,) = JsonReader(table_file(path, tmp_path), types).chunks(["id", "n"])
    assert frame.to_dict(as_series=False) == {"id": ["a", "2"], "n": [None, None]}
    assert frame["n"].dtype == pl.Null


def test_a_typed_key_is_read_inside_of_an_object_too(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    types = {"id": JsonType(str | int, "an id", required=True), "a.b": JsonType(int | None, "a number")}
    types["id.c"] = types["a.b"]
    path.write_text(
        '{"id": 1, "a": {"b": 2}}\n{"id": 2, "a.b": 3, "id.c": 5}\n{"id": 3, "a": {}}\n{"id": 4, "a": null}\n'
    )
    (frame,) = JsonReader(table_file(path, tmp_path), types).chunks(["id", "a.b", "id.c"])
    assert frame["a.b"].to_list() == [2, 3, None, None]
    assert frame["id.c"].to_list() == [None, 5, None, None]
    for value, found in (('{"b": "x"}', "'x'"), ("7", "7")):
        path.write_text(f'{{"id": 1}}\n\n{{"id": 2, "a": {value}}}')
        with pytest.raises(DataError, match=f"line 3: column 'a.b': found {found}; expected"):
            list(JsonReader(table_file(path, tmp_path), types).chunks(["id", "a.b"]))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("name", "encoding"), [("a.json", "utf-8-sig"), ("a.json.gz", "utf-8"), ("a.txt", "utf-8")]
)
def test_an_array_of_objects_is_read_as_lines_are(
    indent: int | None, name: str, encoding: str, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"user": "é\n", "n": [1, 2], "at": {"x": k}} for k in range(5)]
    content = json.dumps(rows, indent=indent, ensure_ascii=False).encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    reader = open_table(table_file(path, tmp_path))
    assert reader.columns() == ["user", "n", "at.x"]
    seen: list[int] = []
    frame = pl.concat(reader.chunks(reader.columns(), seen.append, rows=2))
    assert frame.rows() == [("é\n", [1, 2], k) for k in range(5)]
    assert sum(seen) == path.stat().st_size
    assert reader.place(3) == "element 4"


def rows_of_x(path: Path) -> list[pl.DataFrame]:
    reader = open_table(table_file(path, path.parent))
    return list(reader.chunks(reader.columns() or ["x"]))


def test_an_array_that_cannot_be_read_is_refused_with_its_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"

    def refused(content: str) -> str:
        path.write_text(content)
        with pytest.raises(DataError) as error:
            rows_of_x(path)
        assert str(error.value).startswith(f"{path}: ")
        return str(error.value)

    assert "element 2: " in refused('[{"x": 1}, 3]')
    assert "element 3: column 'x': found 'a'; expected a number" in refused('[{"x": 1.5}, {}, {"x": "a"}]')
    for content in '[{"x": 1}', "[1]\n[2]", '[{"x": 1},]':
        assert (
            "expected an array of objects, or one object a line; mend it, or write lines, as jq"
            in refused(content)
        )
    path.write_text("[]")
    assert list(open_table(table_file(path, tmp_path)).chunks(["x"])) == []
    monkeypatch.setattr(json_lines, "LARGEST_ARRAY", 20)
    assert "a JSON array of more than 0 MiB; expected a smaller one" in refused(
        '[{"x": 1}, {"x": 2}, {"x": 3}]'
    )


def test_what_python_writes_for_no_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1}\n{"x": ' + json.dumps(float("nan")) + "}\n")
    with pytest.raises(
        DataError, match=r"line 2: .*; NaN is not JSON, write null for it; mend or remove the line"
    ):
        rows_of_x(path)
