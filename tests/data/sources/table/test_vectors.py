"""Vectors in files of their own, beside the tables of a log."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.data.sources.table import TableSpec, check, prepare, read
from dien.errors import DataError

SIZE = 3
ITEMS = [f"i{k}" for k in range(12)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "user": rng.choice(["1", "2", "3", "4"], 400),
            "item": rng.choice(ITEMS, 400),
            "time": 1_700_000_000 + np.arange(400) * 3600,
            "label": rng.integers(0, 2, 400),
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


def vectors_of(ids: list[str]) -> dict[str, list[float]]:
    rng = np.random.default_rng(1)
    return {one: rng.normal(size=SIZE).astype(np.float32).tolist() for one in ids}


def written(folder: Path, vectors: dict[str, list[float]], form: str) -> dict[str, Any]:
    """The file of some vectors, as a feature's options name it."""
    folder.mkdir(exist_ok=True)
    if form == "parquet":
        path = folder / "vectors.parquet"
        pl.DataFrame({"vec": list(vectors.values()), "sku": list(vectors)}).write_parquet(path)
        return {"kind": "vector", "file": str(path)}
    np.save(folder / "vectors.npy", np.array(list(vectors.values()), np.float32))
    (folder / "ids.txt").write_text("".join(f"{one}\n" for one in vectors))
    return {"kind": "vector", "file": str(folder / "vectors.npy"), "ids": str(folder / "ids.txt")}


@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_the_items_of_a_log_have_the_vectors_of_a_file_and_those_of_the_file_alone_are_counted(
    form: str, log: Path, tmp_path: Path
) -> None:
    vectors = vectors_of([*ITEMS[2:], "other"])
    of_items = written(tmp_path, vectors, form)
    of_users = written(tmp_path / "users", vectors_of(["4.0", "2"]), "parquet")
    features = {"item": {"text": of_items}, "user": {"face": of_users}}
    spec = TableSpec.of({"interactions": {"label": "label"}, "features": features}, "schema.yaml")
    made = read([log], None, None, spec)
    assert dict(made.items.iter_rows()) == {item: vectors.get(item) for item in made.items["item"]}
    name = f"vectors.{form}"
    assert made.excluded[f"items without a vector in {name} (kept, unknown)"] == 2
    assert made.excluded[f"vectors of {name} whose item no row has (left out)"] == 1
    assert name in [source.name for source in made.sources]
    assert set(made.users.filter(pl.col("face").is_not_null())["user"]) == {"2", "4"}
    checked = check(spec, [log])
    assert [one.column for one in checked.features if one.name == "text"] == [
        features["item"]["text"]["file"]
    ]
    data = prepare(log, tmp_path / "data", schema=spec)
    rows = data.items["text"]
    assert isinstance(rows, np.ndarray)
    known = ~np.isnan(rows[1:]).any(1)
    assert known.tolist() == [item in vectors for item in data.item_ids.values[1:]]


def test_a_file_of_other_ids_is_warned_of_and_one_with_an_id_twice_is_refused(
    log: Path, tmp_path: Path
) -> None:
    def spec(vectors: dict[str, list[float]]) -> TableSpec:
        features = {"item": {"text": written(tmp_path, vectors, "parquet")}}
        return TableSpec.of({"features": features}, "schema.yaml")

    with pytest.warns(UserWarning, match=r"vectors.parquet: has a vector for none of the 12 items: .* 'x'"):
        read([log], None, None, spec(vectors_of(["x"])))
    with pytest.raises(DataError, match=r"vectors.parquet: row 2: '7.0' has a vector already, by another sp"):
        read([log], None, None, spec(vectors_of(["7", "7.0"])))
    with pytest.raises(DataError, match=r"vectors.parquet: row 1: .*'i1' holds a number that is not finite"):
        read([log], None, None, spec({"i1": [0.0, float("nan"), 1.0]}))


@pytest.mark.parametrize(
    ("side", "options", "message"),
    [
        ("item", {"file": "v.npy"}, "a .npy file holds no ids; name the file that does as ids"),
        ("item", {"file": "v.parquet", "ids": "ids.txt"}, "a Parquet file holds the ids itself"),
        ("item", {"ids": "ids.txt"}, "ids are those of a .npy file; name it as file"),
        ("item", {"file": "v.csv"}, "file is 'v.csv', expected a name ending in .parquet or .npy"),
        ("item", {"file": "v.parquet", "column": "text"}, r"file and column \(or from\) each say"),
        ("context", {"file": "v.parquet"}, "is for vectors of items and users, not of the context"),
    ],
)
def test_a_file_goes_with_its_ids_and_with_no_other_place(
    side: str, options: dict[str, str], message: str
) -> None:
    features = {side: {"text": {"kind": "vector", **options}}}
    with pytest.raises(DataError, match=rf"features.{side}.text: .*{message}"):
        TableSpec.of({"features": features}, "schema.yaml")
