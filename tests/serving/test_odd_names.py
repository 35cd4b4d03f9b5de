"""Features by any name: the same request gives the same scores and counts from every format and in Python."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.config import load_config
from dien.data.sources.table import prepare
from dien.run import Run
from dien.serving import ScoredFile, Scorer, score_file, score_pairs
from dien.training import fit

SCHEMA = {
    "interactions": {"label": "label"},
    "features": {
        "item": {"brand name": None, "tags.of it": {"kind": "multi"}},
        "user": {"âge": {"kind": "numeric"}},
        "behaviour": {"action.kind": None, "lambda": {"kind": "numeric"}, "time_since": None},
        "context": {
            "device.os": None,
            "größe in cm": {"kind": "numeric"},
            "日本": {"kind": "multi"},
            "1st": None,
        },
    },
}
CONTEXT = {"device.os": pl.String, "größe in cm": pl.Float64, "日本": pl.List(pl.String), "1st": pl.String}
BEHAVIOURS = {"action.kind": pl.List(pl.String), "lambda": pl.List(pl.Float64)}
ITEMS = {"brand name": pl.List(pl.String), "tags.of it": pl.List(pl.List(pl.String))}
USERS = {"âge": pl.Float64}
TYPES = {
    "user": pl.String, "history": pl.List(pl.String), "candidates": pl.List(pl.String),
    **CONTEXT, **BEHAVIOURS, **ITEMS, **USERS, "times": pl.List(pl.Int64), "time": pl.Int64,
}  # fmt: skip


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    rng, rows = np.random.default_rng(0), 300
    log = pl.DataFrame(
        {
            "user": [f"u{k % 6}" for k in range(rows)],
            "item": rng.integers(0, 9, rows).astype(str),
            "time": 1_600_000_000 + np.arange(rows) * 60,
            "label": rng.integers(0, 2, rows),
            "action.kind": rng.choice(["view", "buy"], rows),
            "lambda": rng.normal(size=rows),
            "device.os": rng.choice(["ios", "android"], rows),
            "größe in cm": rng.normal(size=rows),
            "日本": [["a"], ["b", "c"]] * (rows // 2),
            "1st": rng.choice(["x", "y"], rows),
        }
    )
    ids = [str(k) for k in range(9)]
    items = pl.DataFrame(
        {"item": ids, "brand name": ["p", "q", "r"] * 3, "tags.of it": [["s"], ["t"], []] * 3}
    )
    users = pl.DataFrame({"user": [f"u{k}" for k in range(6)], "âge": [20.0, 30, 40, 50, 60, 70]})
    folder = tmp_path_factory.mktemp("names")
    data = prepare(log, folder / "data", items=items, users=users, schema=SCHEMA)
    config = load_config(overrides=["training.epochs=1", "model.hidden_size=4", "model.max_history=5"])
    return Scorer(Run.open(fit(data, config, folder / "run", show_progress=False).run))


numbers = st.integers(-9, 9).map(lambda quarters: quarters / 4)


def texts(*known: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*known, "new", "neu é"])


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=2)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    read, shown = draw(st.integers(0, 7)), draw(st.integers(0, 3))
    items = texts(*"0123")

    def beside(values: st.SearchStrategy[Any], length: int) -> Any:
        return draw(st.none() | st.lists(st.none() | values, min_size=length, max_size=length))

    return {
        "user": draw(st.none() | texts("u1", "u2")),
        "history": draw(st.lists(items, min_size=read, max_size=read)),
        "candidates": draw(st.lists(items, min_size=shown, max_size=shown)),
        "device.os": draw(st.none() | texts("ios")),
        "größe in cm": draw(st.none() | numbers),
        "日本": draw(st.none() | lists(texts("a", "b"))),
        "1st": draw(st.none() | texts("x")),
        "action.kind": beside(texts("view"), read),
        "lambda": beside(numbers, read),
        "brand name": beside(texts("p"), shown),
        "tags.of it": beside(lists(texts("s", "t")), shown),
        "âge": draw(st.none() | numbers),
        "times": beside(st.integers(1_600_000_000, 1_600_009_999), read),
        "time": draw(st.none() | st.integers(1_600_010_000, 1_600_020_000)),
    }


def written(rows: list[dict[str, Any]], folder: Path) -> Iterator[Path]:
    """Write requests as JSON lines, flat and with objects, as Parquet and as CSV with lists in JSON."""
    flat, nested = folder / "r.jsonl", folder / "nested.jsonl"
    flat.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dotted = ("device.os", "action.kind")
    inside = (
        {k: v for k, v in row.items() if k not in dotted}
        | {name.split(".")[0]: {name.split(".")[1]: row[name]} for name in dotted}
        for row in rows
    )
    nested.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in inside), encoding="utf-8")
    pl.DataFrame(rows, TYPES).write_parquet(folder / "r.parquet")
    cells = [
        {k: json.dumps(v) if isinstance(v, list) else v if v is None else str(v) for k, v in row.items()}
        for row in rows
    ]
    pl.DataFrame(cells, dict.fromkeys(TYPES, pl.String)).write_csv(folder / "r.csv")
    yield from (flat, nested, folder / "r.parquet", folder / "r.csv")


def in_python(scorer: Scorer, row: dict[str, Any]) -> list[float]:
    def of(names: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in names}

    return scorer.score(
        row["user"], row["history"], row["candidates"], of(CONTEXT), of(BEHAVIOURS),
        times=row["times"], time=row["time"], candidate_features=of(ITEMS), user_features=of(USERS),
    ).tolist()  # fmt: skip


@settings(max_examples=8)
@given(st.lists(requests(), min_size=1, max_size=5))
def test_a_request_scores_and_counts_the_same_from_every_format_and_in_python(
    scorer: Scorer, rows: list[dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: list[tuple[str, ScoredFile]] = []
        for path in written(rows, folder):
            result = score_file(scorer, path, folder / "s.jsonl")
            found.append(((folder / "s.jsonl").read_text(encoding="utf-8"), result))
    scores, result = found[0]
    assert [other for other, _ in found] == [scores] * 4
    assert [asdict(other) for _, other in found] == [asdict(result)] * 4
    for line, row in zip(scores.splitlines(), rows, strict=True):
        np.testing.assert_allclose(json.loads(line)["scores"], in_python(scorer, row), atol=1e-6)
    unknown = {"1st": sum(row["1st"] in ("new", "neu é") for row in rows)}
    for field in ("action.kind", "brand name"):
        values = (value for row in rows for value in row[field] or [])
        unknown[field] = sum(value in ("new", "neu é") for value in values)
    assert {name: result.unknown_values.get(name, 0) for name in unknown} == unknown


def test_pairs_score_the_same_from_every_format(scorer: Scorer, tmp_path: Path) -> None:
    types = {
        "user": pl.String,
        "item": pl.String,
        **CONTEXT,
        **USERS,
        "brand name": pl.String,
        "time": pl.Int64,
    }
    rows = [
        ("u1", "2", "ios", 0.5, ["a", "new"], "x", 33.0, "p", 1_600_010_000),
        ("u2", "new", "new", None, [], None, None, "neu é", None),
    ]
    table = pl.DataFrame(rows, types, orient="row")
    table.write_parquet(tmp_path / "p.parquet")
    table.write_ndjson(tmp_path / "p.jsonl")
    table.with_columns(pl.Series("日本", ['["a", "new"]', "[]"])).write_csv(tmp_path / "p.csv")
    found = []
    for kind in ("parquet", "jsonl", "csv"):
        result = score_pairs(scorer.run, tmp_path / f"p.{kind}", tmp_path / "s.jsonl")
        found.append(((tmp_path / "s.jsonl").read_text(), asdict(result)))
    assert found == found[:1] * 3
    assert found[0][1]["unknown_values"] == {"device.os": 1, "日本": 1, "brand name": 1}
