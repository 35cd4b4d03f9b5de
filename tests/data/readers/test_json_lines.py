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
