"""One's own tables from the command line: schema, prepare, inspect, train, a new day, a warm start."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.data import writer
from dien.lock import locked
from tests.cli.running import dien, ok

DAY = 86_400


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Impressions of ten days, a file a day, with items and users."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    rows = 6000
    log = pl.DataFrame(
        {
            "uid": rng.integers(0, 60, rows),
            "sku": pl.Series([f"s{k}" for k in rng.integers(0, 40, rows)]),
            "shown_at": np.sort(
                rng.integers(1_700_000_000 // DAY * DAY, (1_700_000_000 // DAY + 10) * DAY, rows)
            ),
            "click": (rng.random(rows) < 0.4).astype(int),
            "device": pl.Series(["phone", "desk"])[rng.integers(0, 2, rows)],
            "dwell": rng.lognormal(2, 1, rows),
        }
    )
    for day in range(10):
        part = log.filter((pl.col("shown_at") // DAY - 1_700_000_000 // DAY) == day)
        (folder / "clicks" / f"day={day}").mkdir(parents=True)
        part.write_csv(folder / "clicks" / f"day={day}" / "part.csv")
    pl.DataFrame(
        {
            "sku": [f"s{k}" for k in range(40)],
            "kind": [f"k{k % 4}" for k in range(40)],
            "tags": ["|".join(f"t{j}" for j in range(k % 3)) for k in range(40)],
            "price": [None, *rng.lognormal(3, 1, 39)],
        }
    ).write_parquet(folder / "items.parquet")
    (folder / "schema.yaml").write_text(
        """
interactions: {user: uid, item: sku, time: shown_at, label: click}
items: {item: sku}
features:
  item:
    kind:
    tags: {kind: multi}
    price: {kind: numeric, scale: log, width: 3}
  behaviour:
    dwell: {kind: numeric, scale: log}
    time_since:
  context:
    device:
    hour: {from_time: hour}
"""
    )
    return folder


def days(shop: Path, *numbers: int) -> list[object]:
    return [part for n in numbers for part in ("--interactions", shop / "clicks" / f"day={n}")]


def tables(shop: Path) -> tuple[object, ...]:
    return "--items", shop / "items.parquet", "--schema", shop / "schema.yaml"


def test_from_tables_to_a_warm_start_on_the_next_day(shop: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    made = ok("prepare", "table", *days(shop, *range(8)), *tables(shop), "--warmup", 2, "--out", data)
    assert made["sizes"]["splits"]["train"]["rows"] > 2000
    assert made["excluded"]["events in a user's warm-up"] > 0
    report = tmp_path / "report.html"
    inspected = ok("inspect", data, "--html", report)
    assert inspected
    assert report.read_text().lstrip().lower().startswith("<!doctype html>")

    small = ("--set", "training.epochs=1", "--set", "model.hidden_size=8", "--set", "model.embedding_size=4")
    ok("train", data, "--out", run, *small)
    assert ok("evaluate", run)["auc"] > 0.3

    requests = tmp_path / "requests.jsonl"
    request = {"user": 3, "history": ["s1", "s2"], "candidates": ["s3", "new"], "device": "phone"}
    requests.write_text(json.dumps(request) + "\n")
    assert ok("score", run, requests, "--out", tmp_path / "scores.jsonl")["candidates"] == 2

    grown = ok("prepare", "table", *days(shop, 8, 9), *tables(shop), "--warmup", 2, "--append", data)
    assert grown["sizes"]["behaviours"] > made["sizes"]["behaviours"]
    ok("inspect", data)
    warm = ok("train", data, "--from", run, "--out", tmp_path / "warm", *small)
    assert warm["epochs"] == 1
    again = dien("prepare", "table", *days(shop, 9), *tables(shop), "--append", data)
    assert again.returncode == 1
    assert "was this log added before" in again.stderr


def test_the_draft_of_a_schema_prepares_what_it_was_drafted_from(shop: Path, tmp_path: Path) -> None:
    drafted = tmp_path / "drafted.yaml"
    done = dien("schema", "infer", shop / "clicks", "--items", shop / "items.parquet", "--out", drafted)
    assert done.returncode == 0, done.stderr
    assert "user: uid" in drafted.read_text()
    assert "label: click" in drafted.read_text()
    drafted.write_text(drafted.read_text() + "# corrected by hand\n")
    again = dien("schema", "infer", shop / "clicks", "--out", drafted)
    assert again.returncode == 1
    assert again.message == f"error: {drafted}: exists already; choose another path or remove it"
    assert drafted.read_text().endswith("# corrected by hand\n")
    arguments = ("--interactions", shop / "clicks", "--items", shop / "items.parquet", "--schema", drafted)
    assert ok("prepare", "table", *arguments, "--out", tmp_path / "data")["sizes"]["users"] == 60


def test_a_draft_takes_the_columns_that_options_name(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,what,when,yes\nu,i,1700000000,1\nv,j,1700000001,0\n")
    roles = {"user": "who", "item": "what", "time": "when", "label": "yes"}
    named = [word for role, column in roles.items() for word in (f"--{role}", column)]
    assert ok("schema", "infer", tmp_path / "log.csv", *named)["schema"]["interactions"] == roles
    done = dien("schema", "infer", tmp_path / "log.csv")
    assert done.returncode == 0
    assert "line 4 of the draft is to be filled in: user: ??? # fill in: one of who, what" in done.stderr


def test_the_summary_says_that_a_log_without_a_label_is_clicks_with_sampled_negatives(
    shop: Path, tmp_path: Path
) -> None:
    columns = ("--user", "uid", "--item", "sku", "--time", "shown_at")
    command = ("prepare", "table", "--interactions", shop / "clicks", *columns)
    printed = dien(*command, "--negatives", 3, "--out", tmp_path / "clicks").stdout
    rows = {row[0].strip(): row[1] for line in printed.splitlines() if len(row := line.split("  ", 1)) == 2}
    assert rows["label"].strip() == "none: every row counts as a click"
    assert rows["sampled negatives of each click"].strip() == "3"
    made = ok(*command, "--out", tmp_path / "json")
    assert made["negatives"]["sampled"] is True
    assert made["negatives"]["per_positive"] == 4
    assert "none:" not in dien(*command, "--label", "click", "--out", tmp_path / "real").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--out", "x", "--append", "y"), 2, "give --out to make"),
        (("--out", "x", "--split", "last", "--gap", "5"), 2, "--gap is no option of --split last"),
        (("--out", "x", "--negatives", "2"), 2, "for logs without a label"),
        (("--out", "x", "--split", "column"), 1, "the log has none"),
        (("--out", "x", "--user", "who"), 1, "who"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    shop: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    paths = tuple(tmp_path / a if a in "xy" else a for a in arguments)
    done = dien("prepare", "table", *days(shop, 0), *tables(shop), *paths)
    assert done.returncode == code
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("role", ["user", "item", "time", "label"])
def test_a_column_that_is_not_there_is_named_with_the_columns_there_are(
    shop: Path, tmp_path: Path, role: str
) -> None:
    columns = {"user": "uid", "item": "sku", "time": "shown_at", "label": "click", role: "what"}
    named = [part for name, column in columns.items() for part in (f"--{name}", column)]
    done = dien("prepare", "table", *days(shop, 0), *named, "--out", tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no column 'what'; found uid, sku, shown_at, click, device, dwell" in done.message
    assert f"(or by --{role})" in done.message
    assert not list(tmp_path.iterdir())


def test_a_dataset_folder_to_append_to_is_looked_for_before_the_log_is_read(
    shop: Path, tmp_path: Path
) -> None:
    done = dien("prepare", "table", "--interactions", "nowhere.csv", "--append", tmp_path / "none")
    assert done.returncode == 1
    assert str(tmp_path / "none") in done.message


def test_histories_hold_all_actions_where_the_label_is_a_purchase(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    actions = pl.Series(["view", "cart", "buy"])[rng.choice(3, 600, p=[0.7, 0.2, 0.1])]
    log = pl.DataFrame(
        {
            "user": rng.integers(0, 12, 600),
            "item": rng.integers(0, 20, 600),
            "time": 1_700_000_000 + 60 * np.arange(600),
            "action": actions,
            "bought": (actions == "buy").cast(pl.Int8),
        }
    )
    first, later, schema = (tmp_path / name for name in ("log.csv", "later.csv", "schema.yaml"))
    log[:500].write_csv(first)
    log[500:].write_csv(later)
    schema.write_text("interactions: {label: bought}\nfeatures: {behaviour: {action: }}\n")
    command = ("prepare", "table", "--interactions", first, "--schema", schema)
    said = dien(*command, "--out", tmp_path / "bought").stdout
    assert re.search("histories hold +interactions with label 1 alone", said)
    made = ok(*command, "--history", "all", "--out", tmp_path / "all")
    assert made["recipe"]["history"] == "all"
    assert made["sizes"]["behaviours"] == 500
    assert pl.read_parquet(tmp_path / "all" / "vocabularies" / "action.parquet").height == 4  # and unknown
    said = dien(*command, "--history", "all", "--out", tmp_path / "again").stdout
    assert re.search("histories hold +all interactions", said)

    append = ("prepare", "table", "--interactions", later, "--schema", schema, "--append", tmp_path / "all")
    other = dien(*append, "--history", "clicked")
    assert other.returncode == 2
    assert "were prepared with --history all" in other.message
    assert ok(*append)["sizes"]["behaviours"] == 600


def test_behaviours_of_a_log_of_their_own_make_the_histories(shop: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    start = 1_700_000_000 // DAY * DAY
    views = pl.DataFrame(
        {
            "who": rng.integers(0, 60, 4000),
            "what": pl.Series([f"s{k}" for k in rng.integers(0, 50, 4000)]),  # ten more than were ever shown
            "at": np.sort(rng.integers(start, start + 10 * DAY, 4000)),
            "action": pl.Series(["view", "cart", "buy"])[rng.integers(0, 3, 4000)],
        }
    )
    first, later = (pl.col("at") < start + 8 * DAY), (pl.col("at") >= start + 8 * DAY)
    pl.concat([views.filter(first), views.head(7)]).write_parquet(tmp_path / "views.parquet")
    views.filter(later).write_parquet(tmp_path / "later.parquet")
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        """
interactions: {user: uid, item: sku, time: shown_at, label: click}
behaviours: {user: who, item: what, time: at}
items: {item: sku}
features:
  item: {kind: }
  behaviour: {action: , time_since: }
  context: {device: }
"""
    )
    tables = ("--items", shop / "items.parquet", "--schema", schema)
    command = ("prepare", "table", *days(shop, *range(8)), *tables)
    data, run = tmp_path / "data", tmp_path / "run"
    absent = dien(*command, "--out", data)
    assert absent.returncode == 1
    assert "there is no log of behaviours; give it (--behaviours)" in absent.message
    both = dien(*command, "--behaviours", tmp_path / "views.parquet", "--history", "all", "--out", data)
    assert both.returncode == 2

    made = ok(*command, "--behaviours", tmp_path / "views.parquet", "--out", data)
    assert made["recipe"]["history"] == "behaviours"
    assert made["sizes"]["behaviours"] == views.filter(first).height
    assert made["excluded"]["repeated behaviours (all columns alike)"] == 7
    assert made["auxiliary_negatives"] == "unclicked"
    ok("inspect", data)
    small = ("--set", "training.epochs=1", "--set", "model.hidden_size=8", "--set", "model.embedding_size=4")
    ok("train", data, "--out", run, *small)
    assert ok("evaluate", run)["auc"] > 0.3

    append = ("prepare", "table", *days(shop, 8, 9), *tables, "--append", data)
    alone = dien(*append[:-4], "--schema", shop / "schema.yaml", "--append", data)
    assert alone.returncode == 1
    grown = ok(*append, "--behaviours", tmp_path / "later.parquet")
    assert grown["sizes"]["behaviours"] == 4000
    ok("inspect", data)


def test_new_items_are_appended_without_interactions(shop: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = ("prepare", "table", *tables(shop))
    made = ok(*command, *days(shop, *range(3)), "--out", data)
    items = pl.read_parquet(shop / "items.parquet")
    fresh = items.head(2).with_columns(pl.Series("sku", ["fresh", "fresher"]))
    pl.concat([items, fresh]).write_parquet(tmp_path / "items.parquet")
    new = ("--items", tmp_path / "items.parquet", "--schema", shop / "schema.yaml")
    alone = dien("prepare", "table", *new, "--out", tmp_path / "other")
    assert alone.returncode == 2
    assert "give --interactions" in alone.message
    grown = ok("prepare", "table", *new, "--append", data)
    assert grown["sizes"] == made["sizes"] | {"items": made["sizes"]["items"] + 2}
    ok("inspect", data)
    again = dien("prepare", "table", *new, "--append", data)
    assert again.returncode == 1
    assert "none of 0 interactions" not in again.message


def test_a_day_that_another_process_adds_just_before_is_not_lost(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, more = tmp_path / "data", ("prepare", "table", *tables(shop), "--append", tmp_path / "data")
    ok("prepare", "table", *tables(shop), *days(shop, *range(3)), "--out", data)
    claimed = writer.claimed

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(writer, "claimed", claimed)
        ok(*more, *days(shop, 3))  # the folder was opened, and is not locked yet
        return claimed(*arguments)

    monkeypatch.setattr(writer, "claimed", late)
    both = ok(*more, *days(shop, 4))
    parts = [source["name"] for source in both["sources"] if source["name"].endswith("part.csv")]
    assert len(parts) == 5


def test_a_folder_that_another_process_writes_to_is_left_alone(shop: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with locked(data):
        made = dien("prepare", "table", *tables(shop), *days(shop, 0), "--out", data)
    assert made.returncode == 1
    assert f"another process is at work here (process {os.getpid()} on " in made.message
    ok("prepare", "table", *tables(shop), *days(shop, *range(3)), "--out", data)
    before = {file: file.read_bytes() for file in data.rglob("*") if file.is_file()}
    with locked(data):
        added = dien("prepare", "table", *tables(shop), *days(shop, 3), "--append", data)
    assert added.returncode == 1
    assert "another process is at work here" in added.message
    assert {file: file.read_bytes() for file in data.rglob("*") if file.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_options_say_how_text_is_written_and_how_many_rows_may_be_left_out(tmp_path: Path) -> None:
    """A file without header, with two signs between the columns, of another encoding, and with holes."""
    path = tmp_path / "ratings.2003"
    rows = [f"{k % 9}::Amélie {k % 7}::{1_700_000_000 + 9000 * k if k % 40 else ''}" for k in range(120)]
    path.write_bytes("\n".join(rows).encode("latin-1"))
    written = ("--format", "csv", "--columns", "user,item,time", "--separator", "::", "--encoding", "latin-1")
    draft = ok("schema", "infer", path, *written)
    assert draft["schema"]["interactions"]["separator"] == "::"
    assert draft["schema"]["interactions"]["columns"] == ["user", "item", "time"]
    refused = dien("prepare", "table", "--interactions", path, *written, "--out", tmp_path / "data")
    assert "line 1: column 'time'" in refused.stderr
    assert "--skip-bad" in refused.stderr
    done = ok(
        "prepare", "table", "--interactions", path, *written, "--skip-bad", "3", "--out", tmp_path / "data"
    )
    assert done["excluded"]["rows without time (column 'time')"] == 3
    assert done["sizes"]["behaviours"] == 117
    tabs = dien("prepare", "table", "--interactions", path, "--separator", '"', "--out", tmp_path / "no")
    assert "--separator" in tabs.stderr


def test_a_log_without_a_time_is_prepared_in_order_and_no_row_is_shown_as_a_date(tmp_path: Path) -> None:
    log, data = tmp_path / "log.csv", tmp_path / "data"
    log.write_text("user,item\n" + "".join(f"u{k % 5},i{k % 7}\n" for k in range(100)))
    told = dien("prepare", "table", "--interactions", log, "--out", data)
    assert told.returncode == 1
    assert "--order file" in told.message
    both = dien("prepare", "table", "--interactions", log, "--order", "file", "--time", "t", "--out", data)
    assert both.returncode == 2
    assert "--time and --order exclude each other" in both.message
    done = dien("prepare", "table", "--interactions", log, "--order", "file", "--out", data)
    ok("inspect", data, "--html", tmp_path / "report.html")
    shown = done.stdout + done.stderr + (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "row 1 to row 100" in shown
    assert "by order: validation from row 81" in shown
    assert "1970" not in shown


def test_the_summary_says_how_times_were_read(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "user,item,time\n" + "".join(f"u{k % 5},i{k % 7},202311{k % 28 + 1:02}\n" for k in range(100))
    )
    done = dien("prepare", "table", "--interactions", log, "--out", tmp_path / "data")
    assert "dates as yyyymmdd, UTC where they name no zone (interactions.time_zone)" in " ".join(
        done.stdout.split()
    )
    assert json.loads((tmp_path / "data" / "dataset.json").read_text())["times"] == {
        "form": "%Y%m%d",
        "zone": "UTC",
    }
