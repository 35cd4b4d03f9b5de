"""What every prepare ends with: the span of the log and of each split, clicks, histories, joins."""

import re
import warnings
from pathlib import Path

import polars as pl
import pytest

from dien.config import load_config
from dien.data.sources.table import prepare
from dien.training import fit
from tests.cli.running import dien, ok

START = 1_700_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A row an hour for 100 hours; every third is clicked; one item of five has no row in its table."""
    rows = (f"u{k % 4},i{k % 5},{START + 3_600 * k},{int(k % 3 == 0)}\n" for k in range(100))
    (tmp_path / "log.csv").write_text("user,item,time,label\n" + "".join(rows))
    (tmp_path / "items.csv").write_text("item,kind\n" + "".join(f"i{k},k{k % 2}\n" for k in range(4)))
    (tmp_path / "schema.yaml").write_text("interactions: {label: label}\nfeatures: {item: {kind: }}\n")
    return tmp_path / "log.csv"


def given(log: Path) -> list[object]:
    folder = log.parent
    return ["--interactions", log, "--items", folder / "items.csv", "--schema", folder / "schema.yaml"]


def test_every_prepare_says_what_the_log_and_its_splits_hold(log: Path, tmp_path: Path) -> None:
    done = dien("prepare", "table", *given(log), "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    for line in (
        r"times of the log \(UTC\) +2023-11-14 22:13 to 2023-11-19 01:13",
        "items with a row in their table +4 of 5",
        r"train rows +\d+ in \d+ impressions, \d+\.\d% clicked",
        r"train times \(UTC\) +2023-11-1[45] \d\d:\d\d to 2023-11-18 \d\d:\d\d",
        r"test histories +mean \d+\.\d, longest \d+, 0\.0% empty",
        "histories hold +interactions with label 1 alone",
    ):
        assert re.search(line, done.stdout), (line, done.stdout)
    assert "items.csv: it has a row for 4 of the 5 items of the log" in done.message


def test_the_json_of_a_prepare_has_the_same(log: Path, tmp_path: Path) -> None:
    made = ok("prepare", "table", *given(log), "--out", tmp_path / "data")
    assert (made["log"]["first"], made["log"]["last"]) == (START, START + 99 * 3_600)
    assert [(join["side"], join["ids"], join["met"]) for join in made["log"]["joins"]] == [("item", 5, 4)]
    assert set(made["histories"]) == {"train", "valid", "test"}
    assert made["histories"]["test"]["longest"] >= made["histories"]["test"]["mean"] > 0


def test_empty_splits_are_said_when_preparing_and_when_training(log: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    late = "--valid-from", "2024-06-01", "--test-from", "2024-07-01"
    done = dien("prepare", "table", *given(log), *late, "--out", data)
    assert done.returncode == 0
    for name in ("valid", "test"):
        assert f"warning: {name} is empty: the log ends on 2023-11-19 01:13:20 UTC, before --{name}-from" in (
            done.message
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(data, load_config(overrides=["training.epochs=1"]), tmp_path / "run", show_progress=False)
    assert [one for one in caught if "valid is empty, so there is no AUC" in str(one.message)]


def test_from_python_the_same_is_warned_of(log: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(log).filter(pl.col("label") == 1)
    with pytest.warns(UserWarning, match="train: every label is 1"):
        prepare(frame, tmp_path / "data", schema={"interactions": {"label": "label"}})
