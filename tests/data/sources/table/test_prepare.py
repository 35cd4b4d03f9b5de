"""Preparing from Python: data frames and files give what the command gives."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from dien import DataError, Dataset, TableSpec, prepare
from dien.data.prepare.splits import ByTime
from tests.cli.running import dien

SCHEMA: dict[str, Any] = {
    "interactions": {"label": "clicked"},
    "features": {"item": {"brand": None, "tags": {"kind": "multi"}}, "context": {"device": None}},
}


def tables(seed: int = 0, start: int = 1_700_000_000) -> tuple[pl.DataFrame, pl.DataFrame]:
    random = np.random.default_rng(seed)
    clicks = pl.DataFrame(
        {
            "user": [f"u{one}" for one in random.integers(0, 20, 300)],
            "item": [f"i{one}" for one in random.integers(0, 15, 300)],
            "time": np.sort(random.integers(start, start + 100_000, 300)),
            "clicked": random.integers(0, 2, 300),
            "device": random.choice(["phone", "pc"], 300),
        }
    )
    tags = [[f"t{one}" for one in random.integers(0, 4, n % 3)] for n in range(15)]
    items = pl.DataFrame(
        {"item": [f"i{n}" for n in range(15)], "brand": [f"b{n % 3}" for n in range(15)], "tags": tags}
    )
    return clicks, items


def arrays(data: Dataset) -> dict[str, bytes]:
    return {str(file.relative_to(data.path)): file.read_bytes() for file in data.path.rglob("*.npy")}


def test_data_frames_and_files_give_the_dataset_of_the_command(tmp_path: Path) -> None:
    clicks, items = tables()
    clicks.write_parquet(tmp_path / "clicks.parquet")
    items.write_parquet(tmp_path / "items.parquet")
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SCHEMA))
    command = [
        "prepare",
        "table",
        "--interactions",
        tmp_path / "clicks.parquet",
        "--items",
        tmp_path / "items.parquet",
    ]
    command += ["--schema", tmp_path / "schema.yaml", "--out", tmp_path / "command", "--warmup", 2, "--json"]
    done = dien(*command)
    assert done.returncode == 0, done.stderr
    expected = Dataset.open(tmp_path / "command")
    frames = prepare(clicks, tmp_path / "frames", items=items, schema=SCHEMA, warmup=2)
    files = prepare(
        [tmp_path / "clicks.parquet"],
        str(tmp_path / "files"),
        items=str(tmp_path / "items.parquet"),
        schema=tmp_path / "schema.yaml",
        split=ByTime(),
        warmup=2,
    )
    for made in (frames, files):
        assert arrays(made) == arrays(expected)
        assert made.schema == expected.schema
        assert made.info.recipe == expected.info.recipe
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_data_frame_of_pandas_gives_the_same(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    clicks, items = tables()
    expected = prepare(clicks, tmp_path / "polars", items=items, schema=SCHEMA)
    clicks_of_pandas = pandas.DataFrame(clicks.to_dict(as_series=False))
    items_of_pandas = pandas.DataFrame(items.to_dict(as_series=False), index=range(100, 115))
    made = prepare(clicks_of_pandas, tmp_path / "pandas", items=items_of_pandas, schema=SCHEMA)
    assert arrays(made) == arrays(expected)


def test_later_data_frames_are_appended(tmp_path: Path) -> None:
    clicks, items = tables()
    first = prepare(clicks, tmp_path / "data", items=items, schema=SCHEMA)
    later, _ = tables(1, 1_700_200_000)
    both = prepare(later, tmp_path / "data", items=items, schema=SCHEMA, append=True)
    assert len(both.behaviours.item) == len(first.behaviours.item) + int(later["clicked"].sum())
    with pytest.raises(DataError, match="exists already"):
        prepare(clicks, tmp_path / "data", items=items, schema=SCHEMA)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"interactions": 3}, TypeError, "interactions is a int; expected a data frame of Polars or pandas"),
        ({"interactions": [{"user": "u1"}]}, TypeError, "interactions is a list; expected a data frame"),
        ({"items": {"item": ["i1"]}}, TypeError, "items is a dict; expected a data frame"),
        ({"split": "random"}, DataError, "split is 'random'; expected a rule, or one of time, last, ratio"),
        ({"schema": {"interaction": {}}}, DataError, "schema: interaction: unknown key; did you mean"),
        ({"schema": {"interactions": {"label": "bought"}}}, DataError, "data frame interactions.*bought"),
        ({"history": "some"}, DataError, "history is 'some', expected one of clicked, all"),
        ({"warm_up": 3}, TypeError, "no option warm_up; expected some of history, max_train_rows, neg"),
        ({"append": True}, DataError, "above/data/dataset.json: No such file"),
        ({"interactions": None}, TypeError, "interactions is None; expected a data frame"),
        (
            {"interactions": None, "append": True, "behaviours": tables()[0]},
            TypeError,
            "interactions is None, and behaviours are given; give the interactions, or items or users alone",
        ),
        (
            {"interactions": None, "append": True, "items": None},
            TypeError,
            "interactions is None, and neither items nor users are given; give",
        ),
    ],
)
def test_what_cannot_be_prepared_is_named_and_leaves_nothing(
    arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    clicks, items = tables()
    with pytest.raises(error, match=message):
        prepare(
            **{"interactions": clicks, "out": tmp_path / "far" / "above" / "data"}
            | {"items": items, "schema": SCHEMA}
            | arguments
        )
    assert not list(tmp_path.iterdir())


def test_a_schema_that_is_made_already_is_taken_as_it_is(tmp_path: Path) -> None:
    clicks, items = tables()
    made = prepare(clicks, tmp_path / "data", items=items, schema=TableSpec.of(SCHEMA, "schema"))
    assert {"brand", "tags", "device"} <= {feature.name for feature in made.schema.features}
