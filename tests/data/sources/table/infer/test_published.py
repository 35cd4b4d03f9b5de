"""What published data sets hold that a draft once took for something else."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from dien.data.sources.table import TableSpec, infer, read
from dien.data.sources.table.infer.texts import texts_of
from dien.errors import DataError
from tests.cli.running import dien

N = 300
START = 1_650_000_000


@pytest.fixture
def log() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "user_id": rng.integers(0, 30, N),
            "item_id": rng.integers(0, 25, N),
            "time": START + np.arange(N) * 600,
            "click": rng.integers(0, 2, N),
        }
    )


def draft(log: pl.DataFrame, folder: Path, items: pl.DataFrame | None = None) -> tuple[str, dict]:
    log.write_csv(folder / "log.csv")
    if items is not None:
        items.write_csv(folder / "items.csv")
    text = infer([folder / "log.csv"], None if items is None else [folder / "items.csv"], None)
    return text, yaml.safe_load(text)


def test_a_count_of_clicks_is_a_label_with_a_threshold_of_one(log: pl.DataFrame, tmp_path: Path) -> None:
    counted = log.with_columns(click_cnt=pl.col("click") * (1 + pl.int_range(N) % 3)).drop("click")
    _, made = draft(counted, tmp_path)
    roles = made["interactions"]
    assert (roles["label"], roles["threshold"]) == ("click_cnt", 1)
    events = read([tmp_path / "log.csv"], None, None, TableSpec.of(made, "draft")).events
    assert events["label"].sum() == log["click"].sum()


def test_months_and_days_are_no_seconds_and_the_draft_says_which_keys_read_them(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    days = log.with_columns(time=pl.from_epoch(pl.col("time") + pl.int_range(N) * 9000).dt.strftime("%m%d"))
    with pytest.warns(UserWarning, match=r'holds months and days, as 0415: write .* time_format: "%m%d"'):
        text, made = draft(days, tmp_path)
    assert made["interactions"]["time"] == "???"
    mended = text.replace("time: ???", 'time: time\n  time_format: "%m%d"\n  time_year: 2022')
    spec = TableSpec.of(yaml.safe_load(mended), "draft")
    assert read([tmp_path / "log.csv"], None, None, spec).events["time"].min() == START // 86_400 * 86_400


def test_of_a_clock_without_a_zone_and_the_same_in_seconds_the_seconds_are_the_time(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    both = log.with_columns(timestamp=pl.col("time").cast(pl.Float64) + 0.4)
    clock = pl.from_epoch(pl.col("time") + 8 * 3600).dt.strftime("%Y-%m-%d %H:%M:%S").alias("time")
    text, made = draft(both.with_columns(clock), tmp_path)
    assert made["interactions"]["time"] == "timestamp"
    assert "left out: time: times are no feature" in text
    other = both.with_columns(clock, timestamp=pl.col("timestamp").reverse())
    assert draft(other, tmp_path)[1]["interactions"]["time"] == "time"


def test_a_user_who_is_mostly_empty_gives_way_to_another_column_that_names_one(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    rare = pl.when(pl.int_range(N) % 3 == 0).then("user_id").alias("user_id")
    text, made = draft(log.with_columns(rare, session_id=pl.col("user_id")), tmp_path)
    assert made["interactions"]["user"] == "session_id"
    assert "by its name; user_id is empty in 200 of the rows" in text


def test_a_column_of_one_value_is_no_user_and_one_of_few_is_to_be_checked(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    odd = log.with_columns(user_id=pl.lit("x"), item_id=pl.col("item_id") % 3)
    with pytest.warns(UserWarning, match="user_id has one value alone"):
        text, made = draft(odd, tmp_path)
    assert (made["interactions"]["user"], made["interactions"]["item"]) == ("???", "item_id")
    assert "item: item_id  # by its name, though it has few values: check it" in text


def test_a_column_with_one_value_in_most_rows_is_no_user_whose_history_would_be_that_of_many(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    log = pl.concat([log, log.with_columns(pl.col("time") + 10**6)])
    unknown = pl.when(pl.int_range(pl.len()) % 5 == 0).then("user_id").otherwise(99).alias("user_id")
    with pytest.warns(UserWarning, match="user_id has 99 in 480 of 600 rows: it may mark a missing one"):
        assert draft(log.with_columns(unknown), tmp_path)[1]["interactions"]["user"] == "???"


def test_numbers_with_commas_in_a_file_of_commas_are_lists_unless_all_have_as_many_digits_after_it(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    items = pl.DataFrame({"item_id": range(25)}).with_columns(
        tag=pl.when(pl.col("item_id") % 3 == 0).then(pl.lit("7")).otherwise(
            pl.format("{},{}", pl.col("item_id") % 5, pl.col("item_id") % 4 + 10)
        ),
        price=pl.format("{},{}", "item_id", pl.col("item_id") % 7 + 10),
    )  # fmt: skip
    text, made = draft(log, tmp_path, items.drop("price"))
    assert made["features"]["item"]["tag"] == {"kind": "multi", "separator": ","}
    assert '# decimal: ","  # if tag holds numbers as 10,5, and no lists' in text
    text, made = draft(log, tmp_path, items.drop("tag"))
    assert (made["items"]["decimal"], made["features"]["item"]["price"]["kind"]) == (",", "numeric")


def test_a_table_with_several_rows_of_an_item_is_drafted_with_the_first(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    items = pl.DataFrame({"item_id": [*range(25), 7, 8], "kind": ["a", "b", "c"] * 9})
    text, made = draft(log, tmp_path, items)
    assert made["items"] == {"item": "item_id", "keep": "first"}
    assert "2 of the rows read have the item of one before" in text


def test_no_column_of_a_table_is_asked_whether_it_is_the_label(log: pl.DataFrame, tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": range(25), "is_new": [0, 1] * 12 + [0]})
    text, _ = draft(log.drop("click"), tmp_path, items)
    assert "is it the label" not in text


def test_a_conversion_is_in_no_history_since_it_may_come_after_later_clicks(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    bought = log.with_columns(conversion=pl.col("click") * (pl.int_range(N) % 2), like=pl.int_range(N) % 2)
    text, made = draft(bought, tmp_path)
    assert made["features"]["behaviour"].keys() == {"like", "time_since"}
    assert "# conversion: conversion" in text
    assert "left out: conversion: its name has 'conver': known only after the click, and long after" in text


def test_what_is_known_after_a_page_was_clicked_is_of_behaviours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pages = [list(map(int, rng.choice(20, 3, replace=False))) for _ in range(N)]
    log = pl.DataFrame(
        {
            "user_id": rng.integers(0, 30, N),
            "time": START + np.arange(N) * 600,
            "items_inview": pages,
            "items_clicked": [page[:1] for page in pages],
            "next_read_time": rng.random(N),
        }
    )
    log.write_parquet(tmp_path / "log.parquet")
    features = yaml.safe_load(infer([tmp_path / "log.parquet"], None, None))["features"]
    assert features["behaviour"].keys() == {"next_read_time", "time_since"}
    assert features["context"] is None


def test_how_the_files_of_each_table_are_written_can_be_said_before_a_draft(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    path, known, made = tmp_path / "items.tsv", tmp_path / "known.yaml", tmp_path / "schema.yaml"
    log.write_csv(tmp_path / "log.csv")
    path.write_text("".join(f'{k}\tthe "é{k % 4}\n' for k in range(25)), encoding="latin-1")
    arguments = ["schema", "infer", tmp_path / "log.csv", "--items", path]
    stopped = dien(*arguments)
    assert "say it as encoding in the schema" in stopped.message
    assert "write it into a file, as items: {KEY: VALUE}, and give the file as --schema" in stopped.message
    known.write_text("items: {encoding: latin-1, quote: none, columns: [item_id, title]}")
    assert dien(*arguments, "--schema", known, "--out", made).returncode == 0
    drafted = yaml.safe_load(made.read_text())
    assert drafted["items"]["columns"] == ["item_id", "title"]
    assert drafted["features"]["item"] == {"title": {"kind": "categorical"}}
    items = read([tmp_path / "log.csv"], [path], None, TableSpec.load(made)).items
    assert items is not None
    assert set(items["title"]) == {f'the "é{k}' for k in range(4)}


@pytest.mark.parametrize("more", [{"items": {"item": "i"}}, {"features": {"item": {"a": None}}}])
def test_what_a_draft_does_not_take_is_refused_and_not_left_out(more: dict) -> None:
    with pytest.raises(DataError, match=r"known.yaml: (items|features)\.item: a draft takes only how"):
        texts_of(TableSpec.of(more, "known.yaml"), "known.yaml")
