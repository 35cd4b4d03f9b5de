"""Files of JSON lines give the same values, or are refused, wherever their chunks end."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dien.data.features.categorical import Categorical
from dien.data.features.multi import Multi
from dien.data.readers.files import table_file
from dien.data.readers.json_lines import JsonReader
from dien.data.readers.reader import open_table, read_chunks
from dien.data.readers.text_format import TextFormat
from dien.data.readers.values import floats, numbers, text
from dien.data.sources.table.lists import lists_of, values_of
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import Codes, at_least, conversions, ids, impressions, labels, weights
from dien.data.spelling import Spelling
from dien.errors import DataError

SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 7, 1.0, 0.0, 2.5, -3, 1e300, 2**53 + 1, 2**70, 1_700_000_000, 1_700_000_000.5,
     "", " ", "1", "1.0", "2.5", "a", "nan", "NA", "true", "2024-01-31", "[1, 2]", "a|b"]
)  # fmt: skip
LISTS = st.lists(SCALARS, max_size=2) | st.none()
COLUMNS = st.one_of(
    *(st.lists(values, min_size=1, max_size=5) for values in (SCALARS, LISTS, LISTS | SCALARS)),
    st.lists(st.sampled_from([2.5, 1, 1.0, "2.5", "", "NA"]), min_size=1, max_size=5),
    st.lists(st.lists(st.lists(SCALARS, max_size=1), max_size=1), min_size=1, max_size=3),
)


def parsers() -> dict[str, Callable[[pl.Series], pl.Series]]:
    """What columns of a log are read with, each made anew: some remember what they read."""
    users, impression = Codes(Spelling()), Codes(Spelling())
    kinds, tags = Categorical(), Multi()
    return {
        "ids": lambda values: users.values().gather(users.encode(ids(values))),
        "impressions": lambda values: impressions(values, impression),
        "labels": labels,
        "at_least": lambda values: at_least(values, 2),
        "conversions": conversions,
        "weights": weights,
        "numbers": lambda values: numbers(values, pl.Float64()),
        "floats": lambda values: floats(values, "a number"),
        "category": lambda values: Spelling()(kinds.parse(values, pl.Float64())),
        "multi": lambda values: Spelling()(tags.parse(values, pl.Float64())),
        "history": lambda values: Spelling()(text(values_of(lists_of(values, "|", "mend")))),
        "time": TimeParser(None, quiet=True).parse,
    }


def outcomes(path: Path, rows: int | None, nulls: tuple[str, ...] | None) -> dict[str, Any]:
    """Give what each parser makes of a file that is read by so many rows; None where it is refused."""
    found: dict[str, Any] = dict.fromkeys(parsers())
    reader = open_table(table_file(path, path.parent, TextFormat(nulls=nulls)))
    with suppress(DataError):
        chunks = list(read_chunks(reader, ["x"], rows=rows))
        for name, parse in parsers().items():
            with suppress(DataError):
                made = [chunk.parse("x", parse).to_list() for chunk in chunks]
                found[name] = [value for part in made for value in part]
        found["kept"] = reader.kept
    return found


@settings(max_examples=40)
@given(COLUMNS, st.sampled_from([None, ("NA",)]))
@example([1.5, "a"], None)
@example(["a", 1.5], None)
@example([1.5, "2"], None)
@example([1.5, "NA", "NA"], ("NA",))
@example([True, "a", 1], None)
@example([1.0, 2**53 + 1], None)
@example([[1.5], ["a"]], None)
@example([[1.0], ["a"]], None)
@example([["a"], "a"], None)
@example([1, "a|b"], None)
def test_it_does_not_matter_where_chunks_end(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], nulls: tuple[str, ...] | None
) -> None:
    path = tmp_path_factory.mktemp("chunks") / "log.jsonl"
    path.write_text("".join(json.dumps({"x": value}) + "\n" for value in values))
    whole = outcomes(path, None, nulls)
    assert outcomes(path, 1, nulls) == whole
    if len(values) > 2:
        assert outcomes(path, 2, nulls) == whole


def test_a_value_of_another_kind_than_in_chunks_before_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for values, says in (
        ([1.5, 2, "a"], "line 3: column 'x': found 'a'; expected a number, as in the lines before; write"),
        ([2.5, "NA"], "line 2: column 'x': found 'NA'; expected a number.*; say nulls: .NA. of this table"),
        (["a", 2, 1.5], "line 3: column 'x': found 1.5; expected text or a whole number, as in"),
        ([True, None, 1], "line 3: column 'x': found 1; expected true or false, as in the lines before"),
        ([1, "a", False], "line 3: column 'x': found False; expected text or a number, as in the lines"),
        (["a", "b", ["a"]], r"line 3: column 'x': found \['a'\]; expected text or a number, as in the"),
        ([[1.5], ["2"], ["a"]], r"line 3: column 'x': found \['a'\]; expected a list of such values"),
    ):
        path.write_text("".join(json.dumps({"x": value}) + "\n" for value in values))
        for rows in 1, 2, None:
            with pytest.raises(DataError, match=says):
                list(JsonReader(table_file(path, tmp_path)).chunks(["x"], rows=rows))
