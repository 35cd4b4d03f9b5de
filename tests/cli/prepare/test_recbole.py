"""RecBole's atomic files from the command line."""

from pathlib import Path

import numpy as np
import pytest

from dien.data.dataset import Dataset
from tests.cli.running import dien, ok


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of 40 users, with features of every type."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    ratings = [
        f"u{user}\t{rng.integers(1, 31)}\t{rng.integers(1, 6)}\t{time}\t{rng.choice(['tv', 'pc'])}"
        for user in range(40)
        for time in rng.choice(10**6, 40, replace=False)
    ]
    rng.shuffle(ratings)
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\tdevice:token"
    (folder / "films.inter").write_text("\n".join([header, *ratings]) + "\n")
    items = [f"{item}\t{'Drama War'[: item % 10]}\t{item / 7}\t0.5 1" for item in range(1, 31)]
    header = "item_id:token\tclass:token_seq\tprice:float\tvector:float_seq"
    (folder / "films.item").write_text("\n".join([header, *items]) + "\n")
    (folder / "films.user").write_text(
        "user_id:token\tage:token\n" + "".join(f"u{u}\t{u % 5}\n" for u in range(40))
    )
    return folder


def test_a_data_set_of_recbole_trains_and_is_evaluated(films: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    made = ok(
        "prepare",
        "recbole",
        films,
        "--threshold",
        "rating=4",
        "--history",
        "all",
        "--split",
        "ratio",
        "--out",
        data,
    )
    sizes = {name: split["rows"] for name, split in made["sizes"]["splits"].items()}
    assert sizes == {"train": 40 * 33, "valid": 40 * 3, "test": 40 * 3}  # 39 of each user have a history
    assert made["recipe"]["name"] == "recbole"
    assert made["recipe"]["history"] == "all"
    assert made["excluded"]["columns of type float_seq (vector)"] == 1
    features = {(f.side, f.name, f.kind) for f in Dataset.open(data).schema.features}
    assert features == {
        ("item", "item", "categorical"),
        ("item", "class", "multi"),
        ("item", "price", "numeric"),
        ("user", "user", "categorical"),
        ("user", "age", "categorical"),
        ("context", "device", "categorical"),
    }
    ok("inspect", data)
    small = ["--set", "training.epochs=1", "--set", "model.max_history=10", "--set", "model.hidden_size=8"]
    ok("train", data, "--out", run, *small)
    assert ok("evaluate", run)["rows"] == 120


def test_without_a_label_every_interaction_is_a_click_and_negatives_are_drawn(
    films: Path, tmp_path: Path
) -> None:
    made = ok("prepare", "recbole", films, "--drop", "rating", "--negatives", 2, "--out", tmp_path / "data")
    assert made["sizes"]["behaviours"] == 1600
    for split in made["sizes"]["splits"].values():
        assert split["rows"] == 3 * split["positives"]
    assert "history" not in made["recipe"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "rating=4", "--label", "rating"], "--label and --threshold both say"),
        (["--threshold", "rating"], "found 'rating', expected a column and a number"),
        (["--threshold", "rating=high"], "as rating=4"),
        (["--threshold", "=4"], "as rating=4"),
        (["--threshold", "rating=nan"], "as rating=4"),
        (["--threshold", "rating=4", "--negatives", "2"], "for logs without a label"),
        (["--split", "ratio", "--gap", "5"], "--gap is no option of --split ratio"),
        (["--split", "column"], "--split"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    arguments: list[str], message: str, films: Path, tmp_path: Path
) -> None:
    done = dien("prepare", "recbole", films, *arguments, "--out", tmp_path / "data")
    assert done.returncode == 2
    assert message in done.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option", ["--user", "--item", "--time", "--label", "--threshold", "--behaviour", "--drop"]
)
def test_a_column_that_is_not_there_is_named_with_the_columns_there_are(
    films: Path, tmp_path: Path, option: str
) -> None:
    value = "what=4" if option == "--threshold" else "what"
    done = dien("prepare", "recbole", films, option, value, "--out", tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no column 'what'" in done.message
    assert "found user_id, item_id, rating, timestamp, device" in done.message
    assert f"({option})" in done.message
    assert not list(tmp_path.iterdir())
