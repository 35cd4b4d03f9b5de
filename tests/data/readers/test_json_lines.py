"""Lines of JSON that are held to types."""

from pathlib import Path

import polars as pl
import pytest

from dien.data.readers.files import table_file
from dien.data.readers.json_lines import JsonReader, JsonType
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
