import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from dien.data.sources.table import TableSpec, infer, read
from dien.errors import DataError
from tests.data.sources.table.test_reading import FORMATS, save

N = 400


@pytest.fixture
def log() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "request_id": [f"r{i // 2}" for i in range(N)],
            "user_id": rng.integers(0, 50, N),
            "product_id": rng.integers(0, 40, N),
            "ts": rng.integers(1_600_000_000_000, 1_600_900_000_000, N),
            "clicked": rng.integers(0, 2, N),
            "device": rng.choice(["app", "web"], N),
            "tags": rng.choice(["a|b", "c", "b|c", "a"], N),
            "dwell_time": rng.exponential(5, N),
            "time": rng.integers(0, 2, N),
            "constant": ["x"] * N,
        }
    )


@pytest.fixture
def products() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "product_id": range(60),
            "title": [f"Product of number {i}" for i in range(60)],
            "price": rng.exponential(5, 60) ** 6,
            "brand": rng.choice(["q", "w"], 60),
            "zip_code": rng.integers(10_000, 99_999, 60),
            "a:b": rng.choice(["q", "w"], 60),
        }
    )


@pytest.mark.parametrize("name", FORMATS)
def test_the_draft_finds_the_columns_and_is_read_with(
    name: str, log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    files = [save(log, tmp_path / f"log-{name}")], [save(products, tmp_path / f"items-{name}")], None
    path = tmp_path / "schema.yaml"
    path.write_text(infer(*files))
    draft = yaml.safe_load(path.read_text())
    assert draft["interactions"] == {
        "user": "user_id", "item": "product_id", "time": "ts", "label": "clicked", "impression": "request_id"
    }  # fmt: skip
    assert draft["items"] == {"item": "product_id"}
    assert draft["features"] == {
        "item": {
            "price": {"kind": "numeric", "scale": "log"},
            "brand": {"kind": "categorical"},
            "zip_code": {"kind": "categorical"},
            "a_b": {"column": "a:b", "kind": "categorical"},
        },
        "user": None,
        "behaviour": {"dwell_time": {"kind": "numeric"}, "time_since": None},
        "context": {
            "device": {"kind": "categorical"},
            "tags": {"kind": "multi", "separator": "|"},
            "context_time": {"column": "time", "kind": "categorical"},
        },
    }
    made = read(*files, TableSpec.load(path))
    assert made.events["label"].sum() == log["clicked"].sum()
    assert made.items.height == 60


def test_every_guess_of_a_draft_is_explained(
    log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    text = infer([save(log, tmp_path / "log.csv")], [save(products, tmp_path / "items.csv")], None)
    guesses = [line for line in text.splitlines() if ":" in line and not line.strip().endswith(":")]
    assert len(guesses) > 15
    assert all("#" in line for line in guesses)
    for words in ("time_unit: ms", "left out: title", "left out: constant", "400 values in 400 rows"):
        assert words in text


def test_a_column_that_may_hold_the_answer_is_drafted_as_no_feature(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    log = log.with_columns(purchase_value=pl.col("dwell_time"))
    text = infer([save(log, tmp_path / "log.csv")], None, None)
    assert "left out: purchase_value: it may say what is to be predicted" in text


def test_a_log_without_a_user_column_is_refused_with_the_columns_it_has(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    path = save(log.select("device", "ts", "product_id"), tmp_path / "log.csv")
    with pytest.raises(DataError, match=r"looks like the user; found device, ts, product_id; name it"):
        infer([path], None, None)


def test_all_the_columns_that_cannot_be_told_are_named_at_once(log: pl.DataFrame, tmp_path: Path) -> None:
    path = save(log.select("device", "ts"), tmp_path / "log.csv")
    options = r"looks like the user or the item; found device, ts; name it \(--user COLUMN, --item COLUMN\)"
    with pytest.raises(DataError, match=options):
        infer([path], None, None)


def test_columns_that_are_named_are_taken_whatever_their_names(log: pl.DataFrame, tmp_path: Path) -> None:
    names = {"user": "who", "item": "what", "time": "when", "label": "yes"}
    renamed = log.rename({"user_id": "who", "product_id": "what", "ts": "when", "clicked": "yes"})
    text = infer([save(renamed, tmp_path / "log.csv")], None, None, names)
    drafted = yaml.safe_load(text)
    assert drafted["interactions"] == {**names, "impression": "request_id"}
    assert not {"who", "what", "when", "yes"} & set(drafted["features"]["context"])
    assert text.count("# as named;") == 4


@pytest.mark.parametrize(
    ("role", "column", "says"),
    [
        ("user", "nobody", "no column 'nobody'; found request_id, user_id.*--user"),
        ("time", "device", "column 'device' cannot be the time: expected times, found 2 values.*--time"),
        (
            "label",
            "dwell_time",
            "column 'dwell_time' cannot be the label: expected only 0 and 1.*threshold.*--label",
        ),
    ],
)
def test_a_named_column_that_is_not_there_or_cannot_have_its_role_is_refused(
    role: str, column: str, says: str, log: pl.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=says):
        infer([save(log, tmp_path / "log.csv")], None, None, {role: column})


def test_where_no_label_is_found_the_draft_asks_of_columns_of_0_and_1(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    question = "only 0 and 1: is it the label? then label: liked"
    liked = log.rename({"clicked": "liked"}).drop("time")
    text = infer([save(liked, tmp_path / "liked.csv")], None, None)
    assert [line.split(":")[0].strip() for line in text.splitlines() if question in line] == ["liked"]
    assert question not in infer([save(liked, tmp_path / "liked.csv")], None, None, {"label": "liked"})


def test_a_column_that_cannot_be_read_is_left_out_of_the_draft_with_the_reason(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    nested = {"nested": pl.struct("device", "tags"), "raw": pl.lit(b"x")}
    path = save(log.with_columns(**nested), tmp_path / "log.parquet")
    text = infer([path], None, None)
    features = yaml.safe_load(text)["features"]["context"]
    assert "raw" not in features
    assert "# left out: raw: holds large_binary" in text
    assert {"nested.device", "nested.tags"} <= features.keys()


def test_lists_of_numbers_and_lists_of_lists_are_left_out_of_the_draft(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    rows = [
        row | {"vector": [0.5, k], "deep": [["a"], [str(k)]] if k % 2 else None, "tags": [k % 7]}
        for k, row in enumerate(log.to_dicts())
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    for one in (path, tmp_path / "log.parquet"):
        text = infer([one], None, None)
        assert yaml.safe_load(text)["features"]["context"]["tags"] == {"kind": "multi"}
        for name in ("vector", "deep"):
            assert f"# left out: {name}: only lists of text are a feature" in text


def test_the_other_columns_of_a_log_of_clicks_are_features_of_behaviours(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(infer([save(log.drop("clicked"), tmp_path / "log.csv")], None, None))
    features = yaml.safe_load(path.read_text())["features"]
    assert features["context"] is None
    assert {"dwell_time", "device", "tags"} <= set(features["behaviour"])
    assert TableSpec.load(path)


def test_times_that_are_odd_are_warned_of_with_the_file_that_has_them(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    empty = log.with_columns(ts=pl.lit(None, pl.Int64))
    old = log.with_columns(
        ts=pl.when(pl.int_range(pl.len()) == 3).then(500_000_000_000).otherwise(pl.col("ts"))
    )
    parts = {"a": log, "b": empty, "c": old, "d": log}
    folder = tmp_path / "log"
    folder.mkdir()
    for name, part in parts.items():
        part.write_parquet(folder / f"{name}.parquet")
    with pytest.warns(UserWarning, match="before 1990") as caught:
        infer([folder], None, None)
    (said,) = {str(warning.message) for warning in caught}
    assert said.startswith(f"{folder / 'c.parquet'}: column 'ts': 1 of {N} times looked at are before 1990")
