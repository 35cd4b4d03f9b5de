"""Pairs that are cut from one's own log: read as they are, with its columns, its times and its text."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.cli.running import dien, ok

from dien.config import load_config
from dien.data.sources.table import prepare
from dien.errors import DataError
from dien.run import Run
from dien.serving import ScoredFile, score_pairs, score_split
from dien.training import fit

SCHEMA = {
    "interactions": {
        "user": "uid",
        "item": "sku",
        "time": ["day", "clock"],
        "time_format": "%d.%m.%Y %H:%M",
        "time_zone": "Europe/Berlin",
        "encoding": "latin-1",
        "decimal": ",",
        "nulls": ["-"],
    },
    "features": {
        "item": {"price": {"kind": "numeric", "from": "interactions"}},
        "context": {
            "device": {"column": "gerät"},
            "wanted": {"kind": "multi", "separator": "/", "column": "tags"},
            "context_time": {"column": "time"},
            "hour": {"from_time": "hour", "zone": "Europe/Berlin"},
        },
    },
}


def log_rows() -> list[dict[str, str]]:
    return [
        {
            "uid": f"ü{k % 6}", "sku": f"s{k % 9}",
            "day": f"{1 + k // 10:02}.03.2024", "clock": f"{k % 10:02}:30",
            "gerät": ["app", "web", "-"][k % 3], "tags": ["a/b", "c", ""][k % 3], "time": str(k % 4),
            "price": f"{k % 9},5", "unused": "x",
        }
        for k in range(120)
    ]  # fmt: skip


def written(rows: list[dict[str, str]], path: Path, separator: str = ";", header: bool = True) -> Path:
    """Write rows as the log has them."""
    lines = [separator.join(row.values()) for row in rows]
    lines = [separator.join(rows[0]), *lines] if header else lines
    path.write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    return path


def trained(log: Path, schema: dict[str, Any], folder: Path) -> Run:
    data = prepare(log, folder / "data", schema=schema)
    config = load_config(model="sum-pooling", overrides=["training.epochs=1", "model.max_history=9"])
    return Run.open(fit(data, config, folder / "run", show_progress=False).run)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("cut")
    return trained(written(log_rows(), folder / "log.csv"), SCHEMA, folder)


def scores_of(run: Run, pairs: Path, **said: Any) -> tuple[list[float], ScoredFile]:
    out = pairs.with_name("scores.jsonl")
    result = score_pairs(run, pairs, out, **said)
    return [json.loads(line)["score"] for line in out.read_text().splitlines()], result


@pytest.fixture(scope="module")
def by_name(run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Scores of the log's rows, written by the names of the fields."""
    pairs = tmp_path_factory.mktemp("named") / "pairs.jsonl"
    lines = []
    for row in log_rows():
        day, month, year = row["day"].split(".")
        line: dict[str, Any] = {"user": row["uid"], "item": row["sku"], "context_time": row["time"]}
        line |= {"time": f"{year}-{month}-{day}T{row['clock']}:00+01:00"}
        line |= {"device": None if row["gerät"] == "-" else row["gerät"]}
        line |= {"price": float(row["price"].replace(",", "."))}
        line |= {"wanted": list(filter(None, row["tags"].split("/")))}
        lines.append(json.dumps(line) + "\n")
    pairs.write_text("".join(lines))
    scores, result = scores_of(run, pairs)
    assert result.as_in_log == {"nulls": "-", "decimal": ","}
    assert (result.requests, result.unknown_users, result.times) == (120, 0, {"text": 120})
    return scores


AS_IN_LOG = {
    "user": "uid", "item": "sku", "time": "day + clock", "device": "gerät", "wanted": "tags",
    "context_time": "time",
}  # fmt: skip


def test_rows_of_the_log_score_as_the_same_by_the_names_of_the_fields(
    run: Run, by_name: list[float], tmp_path: Path
) -> None:
    scores, result = scores_of(run, written(log_rows(), tmp_path / "pairs.csv"))
    assert scores == pytest.approx(by_name, abs=1e-6)
    assert result.as_in_log == {**AS_IN_LOG, "encoding": "latin-1", "nulls": "-", "decimal": ","}
    assert (result.unknown_users, result.unknown_candidates, result.missing_context) == (0, 0, ())
    assert len(set(scores)) > 9
    assert result.described_candidates == result.requests == 120


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_log_of_text_may_be_cut_into_another_format(
    run: Run, by_name: list[float], tmp_path: Path, kind: str
) -> None:
    rows = [row | {"gerät": None if row["gerät"] == "-" else row["gerät"]} for row in log_rows()]
    table = pl.DataFrame(rows).with_columns(pl.col("price").str.replace(",", ".").cast(pl.Float64))
    pairs = tmp_path / f"pairs.{kind}"
    table.write_parquet(pairs) if kind == "parquet" else table.write_ndjson(pairs)
    scores, result = scores_of(run, pairs)
    assert scores == pytest.approx(by_name, abs=1e-6)
    assert result.as_in_log == AS_IN_LOG | ({"nulls": "-", "decimal": ","} if kind == "jsonl" else {})


def test_what_is_said_of_the_text_goes_before_the_log(run: Run, by_name: list[float], tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join("|".join(row.values()) for row in log_rows()) + "\n", encoding="utf-8")
    columns = ",".join(log_rows()[0])
    found = ok(
        *("score", run.path, "--pairs", pairs, "--out", tmp_path / "s.jsonl", "--columns", columns),
        *("--separator", "|", "--encoding", "utf-8"),
    )
    assert found["as_in_log"] == {**AS_IN_LOG, "nulls": "-", "decimal": ","}
    scores = [json.loads(line)["score"] for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert scores == pytest.approx(by_name, abs=1e-6)


def test_a_file_without_a_header_has_the_columns_of_the_log_and_one_with_a_header_its_own(
    tmp_path: Path,
) -> None:
    rows = [f"u{k % 5}::i{k % 7}::{k % 6}::{1_600_000_000 + k * 60}" for k in range(90)]
    (tmp_path / "ratings.dat").write_text("\n".join(rows) + "\n")
    names = ["user", "item", "stars", "at"]
    schema = {"interactions": {"columns": names, "separator": "::", "time": "at"}}
    run = trained(tmp_path / "ratings.dat", schema, tmp_path)
    (tmp_path / "cut.dat").write_text("\n".join(rows[80:]) + "\n")
    scores, result = scores_of(run, tmp_path / "cut.dat")
    assert result.requests == 10
    assert result.as_in_log == {"time": "at", "columns": ", ".join(names), "separator": "::"}
    lines = [line.split("::") for line in rows[80:]]
    (tmp_path / "named.csv").write_text(
        "user,item,time\n" + "".join(f"{user},{item},{time}\n" for user, item, _, time in lines)
    )
    named, result = scores_of(run, tmp_path / "named.csv")
    assert result.as_in_log == {}
    assert named == pytest.approx(scores, abs=1e-6)


def test_a_column_that_could_be_two_fields_and_half_a_time_are_refused(run: Run, tmp_path: Path) -> None:
    rows = log_rows()[:3]
    cases = [
        ([{k: v for k, v in row.items() if k not in ("day", "clock")} for row in rows],
         r"column 'time': in the log it is the feature context_time, and the time is 'day \+ clock'"),
        ([{k: v for k, v in row.items() if k != "clock"} for row in rows],
         r"no column 'clock'; .*the time is joined of day and clock, as in the log"),
        ([*rows[:2], rows[2] | {"clock": "-"}], r"line 4: column 'clock': found '-', .*; expected a value"),
        ([{k: v for k, v in row.items() if k != "sku"} for row in rows],
         r"no column 'item'; .*its name may also be that of the log, 'sku'"),
    ]  # fmt: skip
    for wrong, said in cases:
        with pytest.raises(DataError, match=said):
            scores_of(run, written(wrong, tmp_path / "pairs.csv"))


def test_the_text_of_a_split_cannot_be_said(run: Run, tmp_path: Path) -> None:
    done = dien("score", run.path, "--split", "test", "--encoding", "gbk", "--out", tmp_path / "s.jsonl")
    assert (done.returncode, "with --split leave them out" in done.message) == (2, True)


def test_a_grown_folder_with_named_impressions_and_changes_scores_a_split_and_its_rows_of_the_log_alike(
    tmp_path: Path,
) -> None:
    page = [k // 3 for k in range(600)]
    log = pl.DataFrame(
        {
            "uid": [f"u{p % 15}" for p in page],
            "sku": [f"s{k % 31}" for k in range(600)],
            "ts": [1_700_000_000 + p * 3600 for p in page],
            "page": [f"p{p}" for p in page],
            "click": [k % 3 == p % 3 for k, p in enumerate(page)],
            "dev": [["app", "web"][p % 2] for p in page],
        }
    )
    plans = log.select("uid", pl.col("ts").alias("since"), plan=pl.col("ts") // 500_000)
    schema = {
        "interactions": {"user": "uid", "item": "sku", "time": "ts", "impression": "page", "label": "click"},
        "users": {"user": "uid", "time": "since"},
        "features": {
            "user": {"plan": None},
            "context": {"device": {"column": "dev"}, "hour": {"from_time": "hour"}},
            "behaviour": {"time_since": None},
        },
    }
    data, first = tmp_path / "data", log[:450]
    prepare(first, data, users=plans[:450], schema=schema)
    config = load_config(overrides=["training.epochs=1", "model.hidden_size=4", "model.max_history=6"])
    run = Run.open(fit(data, config, tmp_path / "run", show_progress=False).run)
    prepare(log[450:], data, users=plans, schema=schema, append=True)
    new_users = pl.DataFrame({"uid": ["u99"], "since": [1_700_000_000], "plan": [1]})
    grown = prepare(None, data, users=new_users, schema=schema, append=True)
    assert grown.info.log is not None
    assert grown.info.log.columns["device"] == ("dev",)

    score_split(run, tmp_path / "split.parquet", data)
    split = pl.read_parquet(tmp_path / "split.parquet").explode("candidates", "scores", "labels")
    rows = split.select(uid="user", sku="candidates", ts="time", score="scores")
    cut = rows.join(log, on=["uid", "sku", "ts"], how="left", maintain_order="left").drop("score")
    cut.write_csv(tmp_path / "cut.csv")
    scores, result = scores_of(run, tmp_path / "cut.csv", data=data)
    assert result.as_in_log == {"user": "uid", "item": "sku", "time": "ts", "device": "dev"}
    assert len(scores) > 10
    assert scores == pytest.approx(split["scores"].to_list(), abs=1e-6)


def test_rows_of_an_atomic_file_score_by_its_fields(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    rows = [f"u{k % 5}\ti{k % 7}\t{1_600_000_000 + k}\t{'a b' if k % 2 else 'c'}\n" for k in range(80)]
    header = "user_id:token\titem_id:token\ttimestamp:float\ttags:token_seq\n"
    (folder / "log.inter").write_text(header + "".join(rows))
    ok("prepare", "recbole", folder, "--out", tmp_path / "data")
    config = load_config(model="sum-pooling", overrides=["training.epochs=1"])
    run = Run.open(fit(tmp_path / "data", config, tmp_path / "run", show_progress=False).run)
    (tmp_path / "cut.inter").write_text(header + "".join(rows[60:]))
    scores, result = scores_of(run, tmp_path / "cut.inter")
    assert result.as_in_log == {"user": "user_id", "item": "item_id", "time": "timestamp"}
    assert (result.missing_context, result.unknown_values) == ((), {})
    cells = (row.rstrip("\n").split("\t") for row in rows[60:])
    (tmp_path / "named.jsonl").write_text(
        "".join(
            json.dumps({"user": user, "item": item, "time": int(time), "tags": tags.split()}) + "\n"
            for user, item, time, tags in cells
        )
    )
    assert scores == pytest.approx(scores_of(run, tmp_path / "named.jsonl")[0], abs=1e-6)


def test_the_time_of_the_day_may_count_from_its_start_in_pairs_as_in_the_log(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "user": [f"u{k % 6}" for k in range(120)],
            "item": [f"i{k % 9}" for k in range(120)],
            "day": [datetime(2016, 5, 1 + k // 10) for k in range(120)],
            "frame": [k % 10 * 1000 for k in range(120)],
        }
    )
    table.with_columns(pl.col("day").dt.date()).write_csv(tmp_path / "log.csv")
    schema = {"interactions": {"time": ["day", "frame"], "time_unit": "ms"}}
    run = trained(tmp_path / "log.csv", schema, tmp_path)
    second = pl.col("day").dt.epoch("s") + pl.col("frame") // 1000
    table.select("user", "item", time=second).write_csv(tmp_path / "named.csv")
    expected, named = scores_of(run, tmp_path / "named.csv")
    assert named.behaviours > 100
    table.write_parquet(tmp_path / "cut.parquet")
    for name in ("log.csv", "cut.parquet"):
        scores, result = scores_of(run, tmp_path / name)
        assert scores == pytest.approx(expected, abs=1e-6)
        assert (result.behaviours, result.as_in_log) == (named.behaviours, {"time": "day + frame"})
    gaps = table.with_columns(day=None, frame=pl.lit(None, pl.Float64))
    gaps.head(3).write_parquet(tmp_path / "none.parquet")
    assert scores_of(run, tmp_path / "none.parquet")[1].requests == 3
    gaps = table.with_columns(frame=pl.when(pl.col("frame") == 2000).then(float("nan")).otherwise("frame"))
    gaps.write_parquet(tmp_path / "half.parquet")
    with pytest.raises(DataError, match=r"row 3: column 'frame': .* as day and frame are one time"):
        scores_of(run, tmp_path / "half.parquet")
