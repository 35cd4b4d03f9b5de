"""Lists and numbers as programs write them into text."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.features import Multi
from dien.data.readers.messages import BadValueError
from dien.data.readers.values import as_plain_numbers, floats
from dien.data.sources.table import TableSpec, infer, read
from dien.errors import DataError

words = st.text("ab ,|'\"[]é", min_size=1, max_size=4)
entries = st.one_of(words, st.integers(-9, 10**12), st.none())


def parsed(cells: list[str | None], separator: str = "|") -> list[list[str] | None]:
    return Multi(separator=separator).parse(pl.Series("tags", cells, dtype=pl.String), pl.Float32()).to_list()


@given(st.lists(st.lists(entries, max_size=4)), st.sampled_from(["|", ","]))
def test_a_list_written_by_python_or_json_is_that_list(rows: list[list[Any]], separator: str) -> None:
    wanted = [[str(v) for v in row if v is not None] or None for row in rows]
    assert parsed([repr(row) for row in rows], separator) == wanted
    assert parsed([json.dumps(row) for row in rows], separator) == wanted


def test_whole_numbers_and_booleans_in_it_are_written_as_in_a_column() -> None:
    assert parsed(["[4, 0.0, True]", "[1, true, null]"]) == [["4", "0", "true"], ["1", "true"]]


def test_text_in_brackets_that_is_no_list_stays_text() -> None:
    cells = ["[abc]", "[a|b]", "a|b", None, "[1, 2"]
    assert parsed(cells) == [["[abc]"], ["[a", "b]"], ["a", "b"], None, ["[1, 2"]]


@pytest.mark.parametrize("cell", ['[{"id": 1}]', "[[1], [2]]", "[1.5]"])
def test_a_list_of_something_else_is_refused_with_its_row(cell: str) -> None:
    with pytest.raises(BadValueError, match="expected a list of text") as refused:
        parsed(["a", cell])
    assert refused.value.index == 1


@given(st.lists(st.none() | st.from_regex(r"[ +-]?[0-9]{1,3}[,.]?[0-9]{0,3}", fullmatch=True) | words))
def test_a_decimal_comma_becomes_a_point_in_numbers_alone(cells: list[str | None]) -> None:
    frame = pl.DataFrame({"x": pl.Series(cells, dtype=pl.String), "n": range(len(cells))})
    found, grouped = as_plain_numbers(frame, ",")
    points = 0
    for cell, made in zip(cells, found["x"], strict=True):
        head, sign, tail = (
            re.sub(r"^ *[+-]?", "", cell or "").rstrip(" ").partition("," if "," in (cell or "") else ".")
        )
        is_number = head.isdigit() and tail.isdigit() and head.isascii() and tail.isascii()
        point = bool(sign == "." and is_number and len(tail) == 3)
        points += point
        assert made == (
            cell.replace(".", "").replace(",", ".") if cell and is_number and (sign == "," or point) else cell
        )
    assert grouped == points


@given(st.lists(st.floats(-1e9, 1e9).map(lambda number: round(number, 2)) | st.integers(-(10**9), 10**9)))
def test_numbers_with_something_between_thousands_are_read_where_decimal_is_said(
    numbers: list[float],
) -> None:
    english = [f"{number:,}" for number in numbers]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    for cells, decimal in (english, "."), (german, ","):
        frame = pl.DataFrame({"x": pl.Series(cells, dtype=pl.String)})
        found, grouped = as_plain_numbers(frame, decimal)
        assert floats(found["x"], "numbers").to_list() == pytest.approx(numbers)
        assert grouped == sum(abs(number) >= 1000 for number in numbers)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("2.007,75", r"say decimal: ',' of this table"),
        ("1,234.50", r"say decimal: '.' of this table in the schema, where commas stand between thousands"),
        ("1,234", r"say decimal: ',' .*, or decimal: '.' of"),
        ("1,5", "say decimal: ','"),
        ("12,34,5", "a number"),
    ],
)
def test_a_number_with_commas_is_refused_with_the_key_that_reads_it(cell: str, says: str) -> None:
    with pytest.raises(BadValueError, match=f"found {cell!r}; expected a number.*{says}|expected {says}$"):
        floats(pl.Series(["1.5", cell]), "a number")


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["2.007,75", "3,5", "12"], '  decimal: ","  # as in price'),
        (["1,234.50", "1,000", "3"], '  decimal: "."  # as in price'),
        (["1,234", "5"], '  # decimal: "," or ".": say which, if price shall be numbers; 1,234 may be both'),
        (["1,2,3", "5"], None),
    ],
)
def test_what_begins_a_fraction_is_drafted_where_it_can_be_one_alone(
    cells: list[str], line: str | None, tmp_path: Path
) -> None:
    rows = [f"u{k % 3};i{k % 4};{1_700_000_000 + k};{cells[k % len(cells)]}" for k in range(40)]
    (tmp_path / "log.csv").write_text("\n".join(["user;item;time;price", *rows]))
    draft = infer([tmp_path / "log.csv"], None, None)
    assert (line in draft.splitlines()) if line else ("decimal" not in draft)


LOG = "user;item;time;price\n" + "".join(
    f"u{k % 3};i{k % 4};{1_700_000_000 + k};{k % 7},{k % 9}\n" for k in range(40)
)
PRICE = {"features": {"behaviour": {"price": {"kind": "numeric"}}}}


def test_decimal_commas_are_read_where_they_are_said_named_where_not_and_drafted(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    with pytest.raises(
        DataError, match=r"line 2: column 'price': found '0,0'; expected a number.*decimal: ','"
    ):
        read([path], None, None, TableSpec.of(PRICE, "schema"))
    log = read([path], None, None, TableSpec.of({**PRICE, "interactions": {"decimal": ","}}, "schema"))
    assert log.events["price"].to_list() == pytest.approx([k % 7 + k % 9 / 10 for k in range(40)])
    drafted = tmp_path / "schema.yaml"
    drafted.write_text(infer([path], None, None))
    assert '  decimal: ","' in drafted.read_text()
    assert read([path], None, None, TableSpec.load(drafted)).events["price"].equals(log.events["price"])


def test_a_comma_that_means_two_things_is_refused() -> None:
    schema = {
        "interactions": {"decimal": ","},
        "features": {"context": {"tags": {"kind": "multi", "separator": ","}}},
    }
    with pytest.raises(DataError, match=r"features\.context\.tags\.separator is the comma"):
        TableSpec.of(schema, "schema")
