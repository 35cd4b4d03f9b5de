"""A log that goes through files and the source of tables gives the rows it gives by itself."""

import polars as pl
import pytest

from dien.data.log import Log
from dien.data.prepare import impressions, temporal
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime
from dien.data.sources import table
from dien.data.tables import SPLITS
from tests.data.logs import random_log, rows_of


def through_files(log: Log, folder, features: list[str]) -> Log:
    """Write a log as Parquet and read it with a schema."""
    log.events.write_parquet(folder / "events.parquet")
    log.items.write_parquet(folder / "items.parquet")
    log.users.write_parquet(folder / "users.parquet")
    spec = {
        "interactions": {"label": "label"} if "label" in log.events.columns else {},
        "features": {"item": dict.fromkeys(features)},
    }
    paths = ([folder / f"{name}.parquet"] for name in ("events", "items", "users"))
    return table.read(*paths, table.TableSpec.of(spec, "spec"))


def with_features(prepared: Prepared, split: str) -> list[dict]:
    """Rows with the raw values of the candidates' features."""
    category = dict(
        zip(
            prepared.item_ids.values.to_list(),
            prepared.vocabularies["category"].decode(prepared.items["category"]).to_list(),
            strict=True,
        )
    )
    return [row | {"categories": [category[i] for i in row["items"]]} for row in rows_of(prepared, split)]


@pytest.mark.parametrize("warmup", [0, 5])
def test_a_log_with_labels_gives_the_rows_of_the_temporal_recipe(warmup, tmp_path):
    log = random_log(users=40, items=30, events=1500, labelled=True)
    log = Log(
        log.events.unique(["user", "item", "time"], keep="first", maintain_order=True),
        log.items,
        log.users,
        (),
    )
    direct = temporal(log, warmup=warmup)
    ours = impressions(through_files(log, tmp_path, ["category"]), ByTime(), warmup=warmup)
    for name in SPLITS:
        key = lambda row: (row["user"], row["time"])  # noqa: E731
        assert sorted(with_features(ours, name), key=key) == sorted(with_features(direct, name), key=key)
    assert ours.recipe.valid_from == direct.recipe.valid_from


def test_the_same_files_give_the_same_bytes(tmp_path):
    from dien.data.writer import write

    log = random_log(users=40, items=30, events=1500)
    log = Log(log.events.with_columns(pl.col("time") * 100), log.items, log.users, ())
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = impressions(through_files(log, tmp_path / name, ["category"]), ByTime(), seed=3)
        write(made, tmp_path / f"{name}-data")
        folders.append(tmp_path / f"{name}-data")
    first, second = (
        {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
        for folder in folders
    )
    assert first == second
