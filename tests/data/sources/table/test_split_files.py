from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dien import DataError, prepare
from dien.data.sources.table import TableSpec, read
from dien.data.tables import SPLITS, SplitName
from tests.cli.running import dien, ok

NAMES: dict[SplitName, str] = {"train": "a.csv", "valid": "b.jsonl", "test": "c.parquet"}


def parts() -> dict[SplitName, pl.DataFrame]:
    log = pl.DataFrame(
        {
            "user": [f"u{row % 5}" for row in range(60)],
            "item": [f"i{row % 7}" for row in range(60)],
            "time": range(1_700_000_000, 1_700_000_060),
        }
    )
    return {name: log.slice(start, 20) for name, start in zip(SPLITS, (0, 20, 40), strict=True)}


def test_files_of_each_split_are_as_one_log_with_a_column_that_says_the_split(tmp_path: Path) -> None:
    frames = parts()
    frames["train"].write_csv(tmp_path / "a.csv")
    frames["valid"].write_ndjson(tmp_path / "b.jsonl")
    frames["test"].write_parquet(tmp_path / "c.parquet")
    column = pl.concat(frame.with_columns(split=pl.lit(name)) for name, frame in frames.items())
    one = prepare(column, tmp_path / "one", schema={"interactions": {"split": "split"}}, split="column")
    by_name: dict[SplitName, Any] = {name: tmp_path / file for name, file in NAMES.items()}
    two = prepare(by_name, tmp_path / "two")
    three = prepare(frames, tmp_path / "three", split="column")
    paths = [word for name, path in by_name.items() for word in (f"--{name}", path)]
    ok("prepare", "table", *paths, "--out", tmp_path / "four", "--json")
    files = {file.relative_to(one.path): file.read_bytes() for file in one.path.rglob("*.npy")}
    for other in (two.path, three.path, tmp_path / "four"):
        assert {file.relative_to(other): file.read_bytes() for file in other.rglob("*.npy")} == files
    assert one.info.recipe == two.info.recipe == three.info.recipe


def test_what_is_said_twice_is_refused(tmp_path: Path) -> None:
    frame = parts()["train"]
    frame.write_csv(tmp_path / "a.csv")
    path = tmp_path / "a.csv"
    with pytest.raises(DataError, match=r"a\.csv: is given to train and to test"):
        read({"train": [path], "test": [tmp_path]}, None, None, TableSpec())
    spec = TableSpec.of({"interactions": {"split": "split"}}, "test")
    with pytest.raises(
        DataError, match=r"interactions.split names the column 'split', and the files are given"
    ):
        read({"train": [path]}, None, None, spec)
    with pytest.raises(TypeError, match="split is 'time', and the interactions say it by name"):
        prepare({"train": frame}, tmp_path / "data", split="time")
    with pytest.raises(TypeError, match="interactions of 'valid'; expected train, and maybe valid and test"):
        prepare({"valid": frame}, tmp_path / "data")
    for more in (["--interactions", path], ["--split", "last"]):
        done = dien("prepare", "table", "--train", path, *more, "--out", tmp_path / "data")
        assert done.returncode == 2
        assert "neither --interactions nor another --split" in " ".join(done.stderr.split())
