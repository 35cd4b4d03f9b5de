"""Drafts of what changes over time: tables with times, in both forms, and attributes in the log."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from dien.data.sources.table import infer, prepare
from tests.data.sources.table.test_reading import save

N, ITEMS, START = 600, 30, 1_700_000_000
CHANGES = 8


def log(**more: Any) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    columns = {"user_id": rng.integers(0, 20, N), "item_id": rng.integers(0, ITEMS, N)}
    return pl.DataFrame({**columns, "timestamp": START + 60 * np.arange(N), **more})


def table() -> pl.DataFrame:
    """Prices of items, each of which has some, and a colour that never changes."""
    rng = np.random.default_rng(1)
    item = np.arange(ITEMS).repeat(CHANGES)
    return pl.DataFrame(
        {
            "item_id": item,
            "valid_from": START + 4000 * np.tile(np.arange(CHANGES), ITEMS),
            "price": rng.integers(2, 2000, ITEMS * CHANGES) / 4,
            "colour": np.array(["red", "blue", "grey"])[item % 3],
        }
    )


def drafted(interactions: pl.DataFrame, items: pl.DataFrame | None, folder: Path) -> tuple[Any, str]:
    """The draft, and its text; it is prepared, too."""
    files = [save(interactions, folder / "log.parquet")]
    tables = None if items is None else [save(items, folder / "items.parquet")]
    text = infer(files, tables, None)
    schema = yaml.safe_load(text)
    prepare(files, folder / "data", items=tables, schema=schema)
    return schema, text


def test_several_rows_of_an_item_with_times_are_drafted_with_their_time(tmp_path: Path) -> None:
    schema, text = drafted(log(), table(), tmp_path)
    assert schema["items"] == {"item": "item_id", "time": "valid_from"}
    assert schema["features"]["item"] == {
        "price": {"kind": "numeric"},
        "colour": {"kind": "categorical"},
    }
    assert "items have several rows, each holds from its time on" in text


def test_rows_of_one_property_each_are_drafted_as_such_and_properties_as_features(tmp_path: Path) -> None:
    long = table().unpivot(
        ["price", "colour"], index=["item_id", "valid_from"], variable_name="property", value_name="value"
    )
    many = pl.DataFrame(
        {
            "item_id": np.arange(40) % ITEMS,
            "valid_from": np.full(40, START),
            "property": [str(k) for k in range(40)],
            "value": ["n1.000"] * 40,
        }
    )
    schema, text = drafted(log(), pl.concat([long, many], how="vertical_relaxed"), tmp_path)
    assert schema["items"] == {
        "item": "item_id", "time": "valid_from", "property": "property", "value": "value",
    }  # fmt: skip
    assert schema["features"]["item"] == {
        "price": {"kind": "numeric"},
        "colour": {"kind": "categorical"},
    }
    assert "40 others are not read, as " in text


def test_one_row_of_each_item_or_rows_alike_are_not_drafted_so(tmp_path: Path) -> None:
    one = table().unique("item_id", keep="first", maintain_order=True)
    assert (
        "time"
        not in yaml.safe_load(
            infer([save(log(), tmp_path / "log.csv")], [save(one, tmp_path / "1.csv")], None)
        )["items"]
    )
    alike = pl.concat([one, one])
    draft = infer([tmp_path / "log.csv"], [save(alike, tmp_path / "2.csv")], None)
    assert "time" not in yaml.safe_load(draft)["items"]
    assert yaml.safe_load(draft)["items"]["keep"] == "first"
    assert "or time: COLUMN" in draft


@pytest.mark.parametrize("labelled", [True, False])
def test_an_attribute_of_the_log_that_changes_is_drafted_with_the_value_at_the_time(
    labelled: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    item = log()["item_id"].to_numpy()
    price = (item * 7 % 13) * 10 + np.arange(N) // 300  # each item has two, one after the other
    more = {"price": price} | ({"clicked": rng.integers(0, 2, N)} if labelled else {})
    schema, text = drafted(log(**more), None, tmp_path)
    assert schema["features"]["item"] == {
        "price": {"from": "interactions", "changes": True, "kind": "numeric"}
    }
    assert "an item has it for a while and then another" in text
