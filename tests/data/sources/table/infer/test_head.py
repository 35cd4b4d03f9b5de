import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from dien.data.sources.table import TableSpec, infer, read
from dien.data.sources.table.infer import head
from dien.data.sources.table.infer.head import HeadColumn, head_of
from dien.errors import DataError


def columns(path: Path) -> dict[str, HeadColumn]:
    return {column.name: column for column in head_of([path])}


def csv(tmp_path: Path, *values: str) -> HeadColumn:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{value},1\n" for value in values))
    return columns(tmp_path / "t.csv")["a"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1", "2"], pl.Int64()),
        (["1.0", "2.0", ""], pl.Int64()),  # as pandas writes ids of a column with a gap
        (["1.5", "2.0"], pl.Float64()),
        (["0663713001", "0663713002"], pl.String()),
        (["1", "x"], pl.String()),
        (["1", "NULL", "\\N"], pl.Int64()),
        (["nan", "2.5"], pl.Float64()),
        (["NA", "x"], pl.String()),
    ],
)
def test_text_that_is_all_numbers_is_numbers(values: list[str], dtype: pl.DataType, tmp_path: Path) -> None:
    assert csv(tmp_path, *values).values.dtype == dtype


def test_text_that_stands_for_a_missing_value_is_named(tmp_path: Path) -> None:
    column = csv(tmp_path, "1", "NULL", "2", "NA", "NULL")
    assert column.markers == ("NA",)  # NULL is read as missing already
    assert column.known == 2


def test_decimals_of_databases_are_numbers(tmp_path: Path) -> None:
    whole = pl.Series([Decimal(1), None], dtype=pl.Decimal(38, 0))
    price = pl.Series([Decimal("1.25"), Decimal("2.5")], dtype=pl.Decimal(10, 2))
    pl.DataFrame({"id": whole, "price": price}).write_parquet(tmp_path / "t.parquet")
    read = columns(tmp_path / "t.parquet")
    assert read["id"].values.dtype == pl.Int64
    assert read["price"].values.to_list() == [1.25, 2.5]


def test_lists_of_one_size_are_lists_whatever_size_those_of_another_file_have(tmp_path: Path) -> None:
    for size in (2, 3):
        values = [list(range(size)), [7] * size]  # pyarrow 25 reads no null of one size
        frame = pl.DataFrame({"tags": pl.Series(values, dtype=pl.Array(pl.Int64, size))})
        frame.write_parquet(tmp_path / f"{size}.parquet")
    column = columns(tmp_path)["tags"]
    assert column.lists
    assert column.values.to_list() == [[0, 1], [7, 7], [0, 1, 2], [7, 7, 7]]
    assert column.distinct == 4


def test_folders_name_columns_of_the_files_in_them(tmp_path: Path) -> None:
    for day in ("2024-01-31", "2024-02-01"):
        (tmp_path / f"dt={day}").mkdir()
        pl.DataFrame({"user": [1, 2]}).write_parquet(tmp_path / f"dt={day}" / "a.parquet")
    column = columns(tmp_path)["dt"]
    assert column.values.to_list() == ["2024-01-31"] * 2 + ["2024-02-01"] * 2
    assert column.times


def test_files_whose_columns_differ_are_refused_by_name(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": [1], "c": [2]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(
        DataError, match=r"2.parquet: its columns differ from .*1.parquet: it lacks b and only it has c"
    ):
        head_of([tmp_path])


def test_a_column_without_a_name_is_listed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",user\n0,a\n1,b\n")
    read = columns(tmp_path / "t.csv")
    assert read[""].problem == "it has no name"
    assert read["user"].known == 2


def test_a_column_that_is_not_read_is_listed_with_what_it_holds(tmp_path: Path) -> None:
    pl.DataFrame({"user": [b"1"], "item": [2]}).write_parquet(tmp_path / "t.parquet")
    read = columns(tmp_path / "t.parquet")
    assert read["user"].problem.endswith("binary, which is not read: cast it to text")
    assert read["item"].known == 1


def test_rows_of_all_columns_stand_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "2.jsonl").write_text('{"b": "x"}\n{"a": 3, "b": "y"}\n')
    read = columns(tmp_path)
    assert read["a"].values.to_list() == [1, 2, None, 3]
    assert read["b"].values.to_list() == [None, None, "x", "y"]


@pytest.mark.parametrize("name", ["*", "^a.*$"])
def test_a_name_that_stands_for_others_is_listed_and_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"u{k},i{k},{1_600_000_000 + k},{k % 2}\n" for k in range(9))
    path.write_text(f"user,item,time,{name}\n{rows}")
    assert columns(path)[name].problem == "it is named * or ^...$, which cannot be read: rename it"
    schema = {"features": {"context": {"x": {"column": name}}}}
    with pytest.raises(DataError, match="cannot be read; rename it"):
        read([path], None, None, TableSpec.of(schema, "schema"))


def test_of_very_many_names_inside_objects_those_of_most_rows_are_drafted_and_the_others_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_NAMES", 3)
    rows = [
        {"user": k % 5, "item": k % 7, "time": 1_700_000_000 + k, "d": {f"k{k % 9}": k % 2, "all": k % 3}}
        for k in range(60)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = [column.name for column in head_of([path])]
    rare = "d.k2, d.k3, d.k4, d.k5, d.k6, d.k7, d.k8"
    assert names == ["user", "item", "time", "d.k0", "d.all", "d.k1", rare]
    says = "7 such names, all of fewer rows, are not looked at; name in the schema what is wanted"
    assert says in infer([path], None, None)
    monkeypatch.setattr(head, "_NAMES", 100)
    assert "d.k8" in [column.name for column in head_of([path])]
