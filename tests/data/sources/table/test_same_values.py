"""The same values give the same dataset, whatever kind of file they stand in."""

from pathlib import Path

import polars as pl
import pytest

from dien.data.dataset import Dataset
from dien.data.sources.table import prepare
from dien.data.spelling import Spelling
from dien.errors import DataError

SCHEMA = {
    "features": {
        "item": {"tags": {"kind": "multi"}},
        "behaviour": {"slot": {"rare_share": 0}, "vip": {"rare_share": 0}},
    },
}


def frame(first: int, gaps: bool = True) -> pl.DataFrame:
    """Whole numbers as floats, as pandas holds them beside a gap, and booleans."""
    rows = range(first, first + 40)
    return pl.DataFrame(
        {
            "user": [float(k % 4) for k in rows],
            "item": [float(k % 6) for k in rows],
            "time": [1_700_000_000 + 10_000 * k for k in rows],
            "slot": [None if gaps and k % 5 == 0 else float(k % 3) for k in rows],
            "vip": [bool(k % 2) for k in rows],
        }
    )


def save(table: pl.DataFrame, path: Path) -> Path:
    """Write a table as pandas does."""
    if path.suffix == ".csv":
        bools = [name for name in table.columns if table[name].dtype == pl.Boolean]
        table.with_columns(pl.col(name).cast(pl.String).str.to_titlecase() for name in bools).write_csv(path)
    elif path.suffix == ".jsonl":
        table.cast(
            {name: pl.Int64 for name, dtype in table.schema.items() if dtype == pl.Float64}
        ).write_ndjson(path)
    else:
        table.write_parquet(path)
    return path


def known(data: Dataset) -> dict[str, list[str]]:
    """What the dataset holds, in words."""
    found = {name: vocabulary.values.to_list() for name, vocabulary in data.vocabularies.items()}
    return {**found, "users": data.user_ids.values.to_list(), "items": data.item_ids.values.to_list()}


def test_whole_numbers_and_booleans_are_the_same_in_every_kind_of_file(tmp_path: Path) -> None:
    items = save(pl.DataFrame({"item": list(range(6)), "tags": ["1|2"] * 6}), tmp_path / "items.csv")
    found = {}
    for kind in ("csv", "parquet", "jsonl"):
        log = save(frame(0), tmp_path / f"log.{kind}")
        data = prepare(log, tmp_path / kind, items=items, schema=SCHEMA)
        later = save(frame(40), tmp_path / f"later.{'csv' if kind == 'parquet' else 'parquet'}")
        found[kind] = known(prepare(later, tmp_path / kind, items=items, schema=SCHEMA, append=True))
        assert found[kind] == known(data)
        assert not any("without a row" in what for what in data.info.excluded)
        respelt = [n for what, n in data.info.excluded.items() if "another spelling" in what]
        assert bool(respelt) == (kind == "csv")
    assert found["csv"] == found["parquet"] == found["jsonl"]
    assert sorted(filter(None, found["csv"]["slot"])) == ["0", "1", "2"]
    assert sorted(filter(None, found["csv"]["vip"])) == ["false", "true"]


@pytest.mark.parametrize(("values", "named"), [([1.0, 2.5], "2.5"), ([1.0, 2.0**53], "9007199254740992.0")])
def test_floats_that_are_no_whole_numbers_are_no_ids(values: list[float], named: str, tmp_path: Path) -> None:
    table = pl.DataFrame({"user": values, "item": ["a", "b"], "time": [1_700_000_000, 1_700_000_100]})
    with pytest.raises(
        DataError, match=f"row 2: column 'user': found {named}; expected text or whole numbers"
    ):
        prepare(save(table, tmp_path / "log.parquet"), tmp_path / "out")


def test_lists_of_whole_floats_are_lists_of_integers(tmp_path: Path) -> None:
    tags = [[1.0, 2.0, float("nan")], [2.0], None, [0.0], [1.0], [1.0]]
    items = pl.DataFrame({"item": list(range(6)), "tags": tags})
    data = prepare(frame(0), tmp_path / "out", items=items, schema=SCHEMA)
    assert set(data.vocabularies["tags"].values) - {None} <= {"0", "1", "2"}


def test_a_folder_of_an_earlier_version_goes_on_with_the_spelling_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"features": {"behaviour": SCHEMA["features"]["behaviour"]}}
    with monkeypatch.context() as patch:
        patch.setattr(Spelling, "__call__", lambda self, values: values)  # as it was: what the file holds
        before = known(prepare(save(frame(0), tmp_path / "log.csv"), tmp_path / "out", schema=schema))
    assert "1.0" in before["items"]
    assert "True" in before["vip"]
    for k, kind in enumerate(("csv", "parquet"), 1):
        later = save(frame(40 * k), tmp_path / f"later.{kind}")
        assert known(prepare(later, tmp_path / "out", schema=schema, append=True)) == before
