"""Names of items: from a table to the dataset folder, the run folder, and back."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dien import DataError, Dataset, Run, fit, prepare
from dien.data import item_names
from dien.data.item_names import ItemNames
from dien.data.vocabulary import Ids
from tests.data.sources.table.test_prepare import SCHEMA, tables

NAMED: dict[str, Any] = {**SCHEMA, "items": {"name": "title"}}


def titled() -> tuple[pl.DataFrame, pl.DataFrame]:
    clicks, items = tables()
    titles = [None if n == 3 else f"<b>Thing</b> {n}" for n in range(items.height)]
    return clicks, items.with_columns(title=pl.Series(titles))


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    clicks, items = titled()
    return prepare(clicks, tmp_path / "data", items=items, schema=NAMED, warmup=2)


def test_names_are_those_of_the_column_and_make_no_feature(data: Dataset) -> None:
    assert data.names is not None
    assert len(data.names) == len(data.item_ids)
    for n in range(15):
        assert data.names.name(f"i{n}") == (None if n == 3 else f"<b>Thing</b> {n}")
    assert data.names.name("no such item") is None
    assert data.names.name(None) is None
    assert "title" not in {feature.name for feature in data.schema.features}
    clicks, items = tables()
    plain = prepare(clicks, data.path.parent / "plain", items=items, schema=SCHEMA, warmup=2)
    for file in plain.path.rglob("*.npy"):
        assert (data.path / file.relative_to(plain.path)).read_bytes() == file.read_bytes()


def test_a_folder_without_names_opens_and_has_none(tmp_path: Path) -> None:
    clicks, items = tables()
    data = prepare(clicks, tmp_path / "data", items=items, schema=SCHEMA, warmup=2)
    assert data.names is None
    assert "item_names" not in (data.path / "dataset.json").read_text()
    assert not (data.path / item_names.FILE).exists()


def test_a_run_keeps_the_names_of_its_dataset(data: Dataset, tmp_path: Path) -> None:
    fit(data, "sum-pooling", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.names is not None
    assert data.names is not None
    assert run.names.values.equals(data.names.values)
    assert item_names.FILE in run.scoring_files


def test_a_column_that_is_not_there_is_named_with_the_file_and_the_key(tmp_path: Path) -> None:
    clicks, items = titled()
    items.write_parquet(tmp_path / "items.parquet")
    clicks.write_parquet(tmp_path / "clicks.parquet")
    with pytest.raises(DataError, match=r"items\.parquet.*'naem'.*items\.name"):
        prepare(
            tmp_path / "clicks.parquet",
            tmp_path / "data",
            items=tmp_path / "items.parquet",
            schema={**SCHEMA, "items": {"name": "naem"}},
        )


def test_a_name_without_a_table_of_items_is_refused(tmp_path: Path) -> None:
    clicks, _ = titled()
    with pytest.raises(DataError, match=r"items\.name names 'title'.*no table of items"):
        prepare(clicks, tmp_path / "data", schema={"items": {"name": "title"}})


def test_a_name_of_items_whose_rows_hold_from_a_time_on_is_refused(tmp_path: Path) -> None:
    clicks, items = titled()
    with pytest.raises(DataError, match="name is for a table with one row for each item"):
        prepare(clicks, tmp_path / "data", items=items, schema={"items": {"name": "title", "time": "since"}})


@pytest.mark.parametrize("content", [b"", b"no parquet", None])
def test_a_damaged_file_of_names_is_named(data: Dataset, content: bytes | None) -> None:
    file = data.path / item_names.FILE
    if content is None:
        pl.DataFrame({"name": ["one"]}).write_parquet(file)
    else:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"names\.parquet"):
        Dataset.open(data.path).names  # noqa: B018


def test_appending_names_new_items_and_keeps_the_names_of_others() -> None:
    first = ItemNames.of(Ids.of(pl.Series(["a", "b"])), pl.DataFrame({"item": ["b"], "name": ["B"]}))
    table = pl.DataFrame({"item": ["c", "b", "a"], "name": ["C", "other", "A"]})
    both = ItemNames.of(Ids.of(pl.Series(["a", "b", "c", "d"])), table, first)
    assert both.values.to_list() == [None, "A", "B", "C", None]


def test_a_day_that_is_appended_brings_the_names_of_its_new_items(data: Dataset) -> None:
    clicks, items = titled()
    later = clicks.with_columns(pl.col("time") + 1_000_000, item=pl.col("item").replace({"i1": "new"}))
    more = pl.concat([items, items.head(1).with_columns(item=pl.lit("new"), title=pl.lit("New"))])
    path = data.path
    prepare(later, path, append=True, items=more, schema=NAMED)
    names = Dataset.open(path).names
    assert names is not None
    assert names.name("new") == "New"
    assert names.name("i4") == "<b>Thing</b> 4"


def test_an_item_that_is_named_twice_is_refused() -> None:
    table = pl.DataFrame({"item": ["i1", "i2", "i1"], "name": ["One", "Two", "Uno"]})
    with pytest.raises(ValueError, match="names: item 'i1' is there twice"):
        ItemNames.of(Ids(pl.Series([None, "i1", "i2"], dtype=pl.String)), table)
