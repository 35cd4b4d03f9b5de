"""Rows that lack a required value, marks of what is missing, and keys with several rows."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dien.data.readers import streams
from dien.data.readers.files import table_file
from dien.data.readers.reader import open_table, read_chunks
from dien.data.readers.text_format import TextFormat
from dien.data.sources.table import TableSpec, infer, read
from dien.errors import DataError

SPEC = {"interactions": {"label": "label"}, "features": {"context": {"device": None}}}
COLUMNS = ("user", "item", "time", "label")
Rows = list[dict[str, str]]


def log(rows: Rows, folder: Path, name: str = "log.csv") -> Path:
    path = folder / name
    columns = list(rows[0])
    path.write_text(
        "\n".join(
            ",".join(row[c] for c in columns) for row in [dict(zip(columns, columns, strict=True)), *rows]
        )
        + "\n"
    )
    return path


def spec(interactions: dict[str, Any] | None = None, **more: Any) -> TableSpec:
    return TableSpec.of(
        {**SPEC, "interactions": {"label": "label", **(interactions or {})}, **more}, "schema"
    )


def rows_of(count: int) -> Rows:
    return [
        {
            "user": f"u{k % 5}",
            "item": f"i{k % 7}",
            "time": str(1_700_000_000 + k),
            "label": "1",
            "device": f"d{k % 3}",
        }
        for k in range(count)
    ]


@settings(max_examples=40)
@given(
    holes=st.dictionaries(st.integers(0, 29), st.sets(st.sampled_from(COLUMNS), min_size=1), min_size=1),
    mark=st.sampled_from(["", "NULL", "\\N"]),
    chunk=st.integers(1, 40),
)
def test_rows_that_lack_a_value_are_left_out_up_to_a_number_and_counted_by_reason(
    holes: dict[int, set[str]], mark: str, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("holes")
    rows = rows_of(32)
    whole = [row for k, row in enumerate(rows) if k not in holes]
    broken = [{c: mark if c in holes.get(k, ()) else v for c, v in row.items()} for k, row in enumerate(rows)]
    path, first = log(broken, folder), min(holes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_ROWS", chunk)
        found = read([path], None, None, spec(), skip_bad=len(holes))
        for allowed in range(1, len(holes)):
            with pytest.raises(DataError, match=rf"log.csv: line {first + 2}: .*skip") as refused:
                read([path], None, None, spec(), skip_bad=allowed)
            assert any(f"column {column!r}" in str(refused.value) for column in holes[first])
    assert_frame_equal(
        found.events.drop("device"),
        read([log(whole, folder, "whole.csv")], None, None, spec()).events.drop("device"),
    )
    reasons = [holes_of & set(COLUMNS) for holes_of in holes.values()]
    counted = {what: n for what, n in found.excluded.items() if what.startswith("rows without ")}
    assert sum(counted.values()) == len(holes)
    for what in counted:
        assert any(f"rows without {c} (column {c!r})" == what for some in reasons for c in some)


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["", "u"])])
def test_empty_text_is_missing_whatever_the_type_of_its_column(dtype: Any, tmp_path: Path) -> None:
    users = pl.Series("user", ["u", "", None, "u"], dtype=dtype)
    path = tmp_path / "log.parquet"
    pl.DataFrame([users]).with_columns(item=1, time=1_700_000_000 + pl.int_range(4)).write_parquet(path)
    found = read([path], None, None, TableSpec(), skip_bad=2)
    assert found.excluded == {"rows without user (column 'user')": 2}


def test_an_error_after_a_row_that_was_left_out_names_the_right_line(tmp_path: Path) -> None:
    rows = rows_of(6)
    rows[2]["item"] = ""
    rows[4]["label"] = "7"
    with pytest.raises(DataError, match=r"line 6: column 'label': found '7'"):
        read([log(rows, tmp_path)], None, None, spec(), skip_bad=3)


def test_users_and_items_without_their_key_are_left_out_too(tmp_path: Path) -> None:
    items = log([{"item": "i1", "price": "1"}, {"item": "", "price": "2"}], tmp_path, "items.csv")
    found = read([log(rows_of(9), tmp_path)], [items], None, spec(), skip_bad=1)
    assert found.excluded["rows without item (column 'item')"] == 1


def test_the_row_of_a_key_that_has_several_is_the_first_or_the_last_where_it_is_said(tmp_path: Path) -> None:
    table = [{"item": f"i{k % 2}", "price": str(k)} for k in range(5)]
    paths = [log(rows_of(9), tmp_path)], [log(table, tmp_path, "items.csv")], None
    features = {"item": {"price": {"kind": "numeric"}}}
    for keep, prices in (("first", [0, 1]), ("last", [4, 3])):
        found = read(*paths, spec(items={"keep": keep}, features=features))
        assert dict(found.items.rows())["i0"] == prices[0]
        assert dict(found.items.rows())["i1"] == prices[1]
        assert found.excluded[f"rows of items whose item has another row (the {keep} is kept)"] == 3
    with pytest.raises(DataError, match=r"'i0' has a row already.*keep: first"):
        read(*paths, spec(features=features))


@pytest.mark.parametrize("mark", ["NA", "nan", "None", "null"])
def test_an_id_that_seems_to_mark_a_missing_one_is_refused_unless_it_is_said_what_it_is(
    mark: str, tmp_path: Path
) -> None:
    rows = rows_of(30)
    for k in (3, 5):
        rows[k]["user"] = mark
    path = log(rows, tmp_path)
    with pytest.raises(
        DataError, match=rf"'{mark}' is the user of 2 of 30 rows.*nulls: \[{mark}\].*--skip-bad 2"
    ):
        read([path], None, None, spec())
    found = read([path], None, None, spec({"nulls": [mark]}), skip_bad=2)
    assert mark not in found.users["user"].to_list()
    assert found.excluded[f"cells that hold {mark} (read as missing)"] == 2
    what = f"rows whose user is {mark} (kept; missing if nulls in the schema names it)"
    for nulls, counted in (([], None), (["-"], 2)):
        found = read([path], None, None, spec({"nulls": nulls}))
        assert mark in found.users["user"].to_list()
        assert found.excluded.get(what) == counted
    rows = rows_of(300)
    rows[7]["item"] = mark
    found = read([log(rows, tmp_path)], None, None, spec())
    assert found.excluded[f"rows whose item is {mark} (kept; missing if nulls in the schema names it)"] == 1


def test_a_mark_in_a_column_of_numbers_is_named_with_the_remedy_and_drafted(tmp_path: Path) -> None:
    rows = [{**row, "price": "NA" if k % 4 == 0 else str(k / 2)} for k, row in enumerate(rows_of(60))]
    path = log(rows, tmp_path)
    features = {"behaviour": {"price": {"kind": "numeric"}}}
    with pytest.raises(DataError, match=r"found 'NA'; expected a number.*nulls: \[NA\]"):
        read([path], None, None, spec(features=features))
    draft = infer([path], None, None)
    assert '  nulls: ["NA", "NULL", "\\\\N"]' in draft
    assert "price: {kind: numeric" in draft
    drafted = tmp_path / "draft.yaml"
    drafted.write_text(draft)
    assert read([path], None, None, TableSpec.load(drafted)).events["price"].null_count() == 15


def test_marks_are_missing_in_every_format_where_they_are_said(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {**{c: [r[c] for r in rows_of(9)] for c in COLUMNS}, "device": ["NA", "NULL", *"abcdefg"]}
    )
    for name in ("log.parquet", "log.jsonl", "log.csv"):
        {"parquet": frame.write_parquet, "jsonl": frame.write_ndjson, "csv": frame.write_csv}[name[4:]](
            tmp_path / name
        )
        found = read([tmp_path / name], None, None, spec({"nulls": ["NA", "NULL"]}))
        assert found.events["device"].null_count() == 2


@settings(max_examples=30)
@given(
    cells=st.lists(st.sampled_from(["-1", "0", "7", "NA"]), min_size=1, max_size=20),
    dtype=st.sampled_from([pl.String, pl.Categorical, pl.Int8, pl.Int64, pl.Float32, pl.Decimal(9, 0)]),
    chunk=st.integers(1, 8),
)
def test_marks_are_missing_whatever_the_type_of_a_column(
    cells: list[str], dtype: Any, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("marks")
    numbers = dtype not in (pl.String, pl.Categorical)
    cells = [cell for cell in cells if not numbers or cell != "NA"]
    pl.DataFrame({"count": pl.Series(cells, dtype=pl.String).cast(dtype)}).write_parquet(folder / "x.parquet")
    lines = [json.dumps({"count": cell if cell == "NA" else int(cell)}) + "\n" for cell in cells]
    (folder / "x.jsonl").write_text("".join(lines))
    for name in ("x.parquet", "x.jsonl"):
        reader = open_table(table_file(folder / name, folder, TextFormat(nulls=("-1", "NA"))))
        found = [
            value for part in read_chunks(reader, ["count"], rows=chunk) for value in part.frame["count"]
        ]
        assert [value is None for value in found] == [cell in ("-1", "NA") for cell in cells]
        assert reader.kept == {
            f"cells that hold {mark} (read as missing)": cells.count(mark)
            for mark in ("-1", "NA")
            if mark in cells
        }


def test_marks_may_be_written_without_quotes(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("items: {nulls: [NA, NULL, \\N, -1]}\n")
    assert TableSpec.load(path).items.nulls == ("NA", "NULL", "null", "Null", "\\N", "-1")


def test_a_mark_of_what_is_missing_is_named_where_a_value_must_be_there(tmp_path: Path) -> None:
    for users, says in (
        (["a", "", "NULL"], "line 3: column 'user': found nothing; expected an id"),
        (
            ["a", "b", "NULL"],
            "line 4: column 'user': found 'NULL', which marks a missing value .key nulls.; ex",
        ),
    ):
        rows = [{**row, "user": user} for row, user in zip(rows_of(3), users, strict=True)]
        with pytest.raises(DataError, match=says):
            read([log(rows, tmp_path)], None, None, spec())
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"line 3: .* found nothing, or NULL, which marks a missing value"):
        read([path], None, None, spec({"nulls": ["NULL"]}))
