from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.data.sources.table import TableSpec, check
from dien.data.sources.table.check import summary_rows
from dien.errors import DataError
from tests.cli.running import dien, ok

N = 300
SCHEMA = {
    "interactions": {"label": "click"},
    "features": {
        "item": {"category": None, "tags": {"kind": "multi"}},
        "behaviour": {"dwell": {"kind": "numeric"}, "time_since": None},
        "context": {"device": None, "hour": {"from_time": "hour", "zone": "UTC"}},
    },
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Random clicks of 20 users and 10 items, all of which have a row."""
    rng = np.random.default_rng(2)
    click = rng.integers(0, 2, N)
    log = pl.DataFrame(
        {
            "user": rng.integers(0, 20, N),
            "item": rng.integers(0, 10, N),
            "time": 1_600_000_000 + np.arange(N) * 900,
            "click": click,
            "nonclick": 1 - click,
            "device": [["app", "web", None][k] for k in rng.integers(0, 3, N)],
            "dwell": click * rng.exponential(3, N),
        }
    )
    items = pl.DataFrame(
        {"item": range(10), "category": ["a", None] * 5, "tags": [["x", "y"], []] * 5, "title": ["t"] * 10}
    )
    for name, table in {"log": log, "items": items}.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    return {name: tmp_path / f"{name}.parquet" for name in ("log", "items")}


def test_it_says_what_every_column_becomes_and_which_are_not_read(files: dict[str, Path]) -> None:
    checked = check(TableSpec.of(SCHEMA, "schema"), [files["log"]], [files["items"]])
    assert (checked.rows, checked.users, checked.items) == (N, 20, 10)
    assert (checked.first, checked.last) == (1_600_000_000, 1_600_000_000 + (N - 1) * 900)
    assert checked.not_read == {"interactions": ["nonclick"], "items": ["title"]}
    found = {one.name: (one.side, one.kind, one.column, one.values, one.unknown) for one in checked.features}
    assert found["category"] == ("item", "categorical", "category", 1, 0.5)
    assert found["tags"] == ("item", "multi", "tags", 2, 0.5)
    assert found["hour"] == ("context", "categorical", None, 24, 0)
    assert found["device"][3] == 2
    rows = summary_rows(checked)
    assert rows["items with a row in their table"] == "10 of 10"
    assert rows["not read of the items"] == ["title"]
    assert str(rows["features.context.device"]).startswith("categorical of device, 2 values, ")
    assert "AUC alone 0." in str(rows["features.context.device"])


def test_the_first_thing_that_prepare_refuses_is_the_error(files: dict[str, Path]) -> None:
    wrong = {"interactions": {"label": "dwell"}}
    with pytest.raises(DataError, match=r"log.parquet: row \d+: column 'dwell': found"):
        check(TableSpec.of(wrong, "schema"), [files["log"]])
    blank = {"interactions": {"item": "???"}}
    with pytest.raises(DataError, match=r"interactions.item of the schema is \?\?\?"):
        check(TableSpec.of(blank, "schema"), [files["log"]])


def test_a_feature_that_tells_the_label_and_ids_that_do_not_meet_are_warned_of(
    files: dict[str, Path], tmp_path: Path
) -> None:
    leaks = TableSpec.of({**SCHEMA, "features": {"context": {"nonclick": None}}}, "schema")
    with pytest.warns(UserWarning, match="context feature 'nonclick' alone tells the label: AUC 1.000"):
        check(leaks, [files["log"]])
    pl.read_parquet(files["items"]).head(8).write_parquet(tmp_path / "few.parquet")
    with pytest.warns(UserWarning, match="has a row for 8 of the 10 items"):
        check(TableSpec.of(SCHEMA, "schema"), [files["log"]], [tmp_path / "few.parquet"])


def test_only_the_first_rows_of_events_are_read(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(check.__globals__, "HEAD_ROWS", 50)
    assert check(TableSpec.of(SCHEMA, "schema"), [files["log"]], [files["items"]]).rows == 50


def test_rows_that_lack_a_value_are_left_out_and_counted_as_when_preparing(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("interactions: {user: user}\n")
    rows = ["u1,i1,1600000000", ",i1,1600000001", "u2,i2,1600000002"]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    command = "schema", "check", tmp_path / "schema.yaml", "--interactions", tmp_path / "log.csv"
    assert "line 3: column 'user'" in dien(*command).message
    found = ok(*command, "--skip-bad", 1)
    assert (found["rows"], found["excluded"]) == (2, {"rows without user (column 'user')": 1})
    assert dien(*command, "--skip-bad", -1).returncode == 2
