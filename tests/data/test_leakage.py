import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.config import load_config
from dien.data import leakage
from dien.data.inspection import inspect_data, summary_rows
from dien.data.leakage import Alone, alone, leaking
from dien.data.sources.table import TableSpec, check, infer, prepare
from dien.training import fit
from dien.training.compare import compare

N = 2000


def clicks(share: float, seed: int = 0, n: int = N) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(np.int8)


def columns(seed: int, n: int) -> dict[str, pl.Series]:
    """Columns that say nothing of the label, of every shape that logs have."""
    rng = np.random.default_rng(seed)
    return {
        "few values": pl.Series(rng.integers(0, 3, n)),
        "ids": pl.Series(rng.integers(0, n, n).astype(str)),
        "all different": pl.Series(np.arange(n).astype(str)),
        "numbers": pl.Series(rng.exponential(3, n)),
        "rare": pl.Series((rng.random(n) < 0.01).astype(np.int64)),
        "mostly null": pl.Series([1.5 if x < 0.02 else None for x in rng.random(n)], dtype=pl.Float64),
        "lists": pl.Series([["a", "b"][: rng.integers(0, 3)] for _ in range(n)], dtype=pl.List(pl.String)),
        "constant": pl.Series([1] * n),
    }


@pytest.mark.parametrize("share", [0.003, 0.05, 0.5, 0.97])
@pytest.mark.parametrize("n", [5, 40, 400, 4000])
def test_no_column_that_knows_nothing_tells_the_label(n: int, share: float) -> None:
    for seed in range(6):
        label = clicks(share, seed + 100, n)
        for name, values in columns(seed, n).items():
            says = alone(values, label)
            assert not says.tells, (name, seed, says)
            assert not says.only_of_clicks, (name, seed)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_what_is_written_after_the_click_tells_the_label(share: float) -> None:
    label, rng = clicks(share), np.random.default_rng(1)
    played = label * rng.integers(1000, 60_000, N)
    for values in (
        pl.Series(1 - label),
        pl.Series(played),
        pl.Series(played / 7),
        pl.Series(label == 1),
        pl.Series(["yes" if clicked else None for clicked in label], dtype=pl.String),
        pl.Series([["b", "a"] if clicked else ["a"] for clicked in label]),
    ):
        says = alone(values, label)
        assert says.tells
        assert says.auc == pytest.approx(1, abs=0.03)
        assert says.rows == N


def test_a_column_of_some_clicks_alone_is_found_though_its_auc_is_low() -> None:
    label = clicks(0.3)
    liked = label * (np.random.default_rng(1).random(N) < 0.1)
    says = alone(pl.Series(liked), label)
    assert not says.tells
    assert says.only_of_clicks
    shown_too = liked.copy()
    shown_too[np.flatnonzero(label == 0)[0]] = 1
    assert not alone(pl.Series(shown_too), label).only_of_clicks


def test_a_column_that_knows_a_good_deal_does_not_tell_the_label() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(N)
    says = alone(pl.Series(chance), (rng.random(N) < chance).astype(np.int8))
    assert 0.75 < says.auc < 0.95
    assert not says.tells


def test_labels_of_one_kind_say_nothing() -> None:
    for label in (np.zeros(9, np.int8), np.ones(9, np.int8), np.zeros(0, np.int8)):
        assert alone(pl.Series(label), label) == Alone(0.5, float("inf"), 0)


@pytest.fixture
def shown() -> pl.DataFrame:
    """A log of random clicks; ``nonclk`` and ``played`` are written after the click."""
    rng = np.random.default_rng(5)
    label = clicks(0.4)
    return pl.DataFrame(
        {
            "user": rng.integers(0, 30, N),
            "item": rng.integers(0, 40, N),
            "time": 1_600_000_000 + np.arange(N) * 60,
            "label": label,
            "nonclk": 1 - label,
            "played": label * rng.exponential(9, N),
            "buttons": [["buy"] if clicked else ["buy", "next"] for clicked in label],
            "device": rng.choice(["app", "web"], N),
            "depth": rng.exponential(3, N),
        }
    )


CONTEXT = {
    "nonclk": None,
    "played": {"kind": "numeric"},
    "buttons": {"kind": "multi"},
    "device": None,
    "depth": {"kind": "numeric", "quantiles": 5},
}


def test_memory_grows_with_the_rows_and_not_with_the_buckets_of_a_hashed_feature(
    shown: pl.DataFrame, tmp_path: Path
) -> None:
    rng, buckets = np.random.default_rng(0), 20_000_000
    context = {"one": {"buckets": buckets}, "several": {"kind": "multi", "buckets": buckets}}
    log = shown.with_columns(one=rng.integers(0, N, N), several=pl.concat_list("user", "item"))
    schema = {"interactions": {"label": "label"}, "features": {"context": context}}
    data = prepare(log.select("user", "item", "time", "label", *context), tmp_path / "DATA", schema=schema)
    tracemalloc.start()
    try:
        assert leaking(data.schema, data.splits["train"]) == {}
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_preparing_inspecting_and_training_name_the_features_that_tell_the_label(
    shown: pl.DataFrame, tmp_path: Path
) -> None:
    schema = {"interactions": {"label": "label"}, "features": {"context": CONTEXT}}
    with pytest.warns(UserWarning, match="alone tells the label") as caught:
        data = prepare(shown, tmp_path / "DATA", schema=schema)
    said = [str(warning.message).split("'")[1] for warning in caught if "tells" in str(warning.message)]
    assert said == ["nonclk", "played", "buttons"]
    inspection = inspect_data(data)
    assert [found.feature for found in inspection.telling] == said
    assert summary_rows(inspection)["tells the label alone: played"].startswith("AUC 1.00")
    small = load_config(overrides=["model.hidden_size=4", "model.embedding_size=2", "training.epochs=1"])
    with pytest.warns(UserWarning, match=r"'buttons' alone tells the label: AUC 1\.00.*features.behaviour"):
        fit(data, small, tmp_path / "RUN", show_progress=False)


def test_a_comparison_names_them_once_for_all_runs(
    shown: pl.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    schema = {"interactions": {"label": "label"}, "features": {"context": {"nonclk": None}}}
    with pytest.warns(UserWarning, match="'nonclk' alone tells the label"):
        data = prepare(shown, tmp_path / "DATA", schema=schema)
    small = load_config(model="sum-pooling", overrides=["model.embedding_size=2", "training.epochs=1"])
    with pytest.warns(UserWarning, match="'nonclk' alone tells the label") as caught:
        compare([data], {"sum-pooling": small}, tmp_path / "OUT", seeds=2, show_progress=False)
    assert len([one for one in caught if "tells" in str(one.message)]) == 1
    assert "tells the label" not in capfd.readouterr().err


def test_a_sample_of_a_large_split_is_enough(
    shown: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leakage, "_SAMPLE", 300)
    schema = {"interactions": {"label": "label"}, "features": {"context": CONTEXT}}
    with pytest.warns(UserWarning, match="alone tells the label") as caught:
        data = prepare(shown, tmp_path / "DATA", schema=schema)
    assert len(caught) == 3
    assert all(says.rows <= 400 for says in leaking(data.schema, data.splits["train"]).values())


@pytest.mark.parametrize("seed", range(5))
def test_the_auc_is_that_of_all_pairs_of_held_out_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, size = 200, 12
    codes, label = rng.integers(0, size, n), rng.integers(0, 2, n)
    fitted = np.random.default_rng(leakage._SEED).random(n) < 0.5
    mean = label[fitted].mean()
    rate = [
        (label[fitted & (codes == c)].sum() + mean) / ((fitted & (codes == c)).sum() + 1) for c in range(size)
    ]
    score = np.array(rate)[codes]
    clicked, others = score[~fitted & (label == 1)], score[~fitted & (label == 0)]
    wins = (clicked[:, None] > others).mean() + (clicked[:, None] == others).mean() / 2
    in_any_order = rng.permutation(n)
    for rows in (np.arange(n), in_any_order):
        assert leakage.alone_by_code(codes[rows], rows, label).auc == pytest.approx(wins)
    twice = np.repeat(np.arange(n), 2)
    assert leakage.alone_by_code(np.repeat(codes, 2), twice, label).auc == pytest.approx(wins, abs=0.02)


def test_what_marks_an_impression_tells_no_label_though_all_its_rows_have_one(tmp_path: Path) -> None:
    label, each = clicks(0.5, n=400), 5
    page = np.repeat(np.arange(400), each)
    log = pl.DataFrame(
        {
            "user": page % 30,
            "item": np.arange(len(page)) % 37,
            "time": 1_600_000_000 + page * 60,
            "label": label[page],
            "page": page,
            "mark": page,
            "played": label[page] * 7,
        }
    )
    schema = {
        "interactions": {"label": "label", "impression": "page"},
        "features": {"context": {"mark": None, "played": None}},
    }
    with pytest.warns(UserWarning, match="'played' alone tells the label"):
        data = prepare(log, tmp_path / "DATA", schema=schema)
    assert list(leaking(data.schema, data.splits["train"])) == ["played"]


@pytest.mark.parametrize("named", [True, False])
def test_a_draft_and_a_check_hold_out_the_rows_of_an_impression_together(tmp_path: Path, named: bool) -> None:
    label, each = clicks(0.5, n=400), 5
    page = np.repeat(np.arange(400), each)
    log = pl.DataFrame(
        {
            "user": page % 30,
            "item": np.random.default_rng(3).integers(0, 37, len(page)),
            "time": 1_600_000_000 + page * 60,
            "label": label[page],
            "mark": [f"m{one}" for one in page],  # one row of a page would tell the others
            "shade": label[page] * 7.5 + np.random.default_rng(4).random(len(page)),
        }
    )
    if named:
        log = log.with_columns(pl.Series("request_id", page))
    log.write_parquet(tmp_path / "log.parquet")
    draft = infer([tmp_path / "log.parquet"], None, None)
    assert "mark: it tells the label" not in draft
    assert "shade: it tells the label" in draft
    schema = {
        "interactions": {"label": "label"} | ({"impression": "request_id"} if named else {}),
        "features": {"context": {"mark": None, "shade": {"kind": "numeric"}}},
    }
    with pytest.warns(UserWarning, match="'shade' alone tells the label") as caught:
        check(TableSpec.of(schema, "schema"), [tmp_path / "log.parquet"])
    assert len(caught) == 1
