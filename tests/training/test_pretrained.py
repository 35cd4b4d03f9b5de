"""Vectors from a file: which rows they go to, what training leaves alone, and what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from dien.config import RunConfig, load_config, override
from dien.data.dataset import Dataset
from dien.errors import ConfigError, DataError, RunError
from dien.models import models
from dien.run import Run
from dien.training import fit
from dien.training.checkpoint import Checkpoint, save_tensors
from dien.training.optimiser import RowAdam
from dien.training.pretrained import FrozenRows, read_vectors
from tests.training.stopped import of_epoch, stopping

TABLE = "inputs.item.tables.0.weight"  # of the items
SMALL = [
    "model.embedding_size=4",
    "training.batch_size=512",
    "training.epochs=1",
    "training.learning_rate=0.05",
    "training.checkpoint_steps=3",
]


def config_of(path: Path, *overrides: str, model: str = "dien", **more: Any) -> RunConfig:
    config = load_config(overrides=[*SMALL, *overrides], model=model)
    return override(config, [{"training": {"pretrained": {"item": {"file": str(path), **more}}}}])


def vectors_of(ids: list[str], width: int = 4) -> dict[str, list[float]]:
    rng = np.random.default_rng(len(ids))
    return {one: rng.normal(size=width).astype(np.float32).tolist() for one in ids}


def write(path: Path, vectors: dict[str, list[float]]) -> Path:
    pl.DataFrame({"sku": list(vectors), "vec": list(vectors.values())}).write_parquet(path)
    return path


def trained(run: Path) -> torch.Tensor:
    return load_file(run / "model.safetensors")[TABLE]


VECTORS = vectors_of([str(k) for k in range(0, 60, 2)])  # 40 items, so that some ids are unknown


def with_vector(data: Dataset) -> tuple[list[int], torch.Tensor]:
    """The rows that start from a vector, and these vectors."""
    values = data.vocabularies["item"].values.to_list()
    rows = [index for index, value in enumerate(values) if value in VECTORS]
    return rows, torch.tensor([VECTORS[values[index]] for index in rows])


@pytest.mark.parametrize("name", [name for name in models() if ":" not in name and "+" not in name])
def test_frozen_rows_stay_to_the_bit_and_the_others_are_trained(
    name: str, small_data: Dataset, tmp_path: Path
) -> None:
    path = write(tmp_path / "vectors.parquet", VECTORS)
    fit(small_data, config_of(path, model=name, frozen=True), tmp_path / "run", show_progress=False)
    path.unlink()
    table, (rows, expected) = trained(tmp_path / "run"), with_vector(small_data)
    assert torch.equal(table[rows], expected)
    others = [index for index in range(1, len(table)) if index not in rows]
    assert (table[others].abs() > 0.05).any()  # they start at about 0.01
    assert Run.open(tmp_path / "run").load_model() is not None  # without the file


def test_rows_that_are_not_frozen_are_trained_from_their_vectors_on(
    small_data: Dataset, tmp_path: Path
) -> None:
    path = write(tmp_path / "vectors.parquet", VECTORS)
    fit(small_data, config_of(path, model="din"), tmp_path / "run", show_progress=False)
    rows, expected = with_vector(small_data)
    moved = trained(tmp_path / "run")[rows] - expected
    assert (moved.abs() > 1e-6).any(1).all()
    assert moved.abs().max() < expected.abs().max()


@pytest.fixture(scope="module")
def frozen(small_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with frozen rows, and the file of their vectors beside it."""
    folder = tmp_path_factory.mktemp("frozen")
    config = config_of(write(folder / "vectors.parquet", VECTORS), frozen=True)
    fit(small_data, config, folder / "run", show_progress=False)
    return folder / "run"


@pytest.mark.parametrize("stopped", [0, 2, 4])
def test_a_run_that_goes_on_without_the_file_ends_in_the_same_bytes(
    stopped: int, frozen: Path, small_data: Dataset, tmp_path: Path
) -> None:
    path = write(tmp_path / "vectors.parquet", VECTORS)
    config = config_of(path, frozen=True)
    with stopping(of_epoch(1, steps=stopped)):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    path.unlink()
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (frozen / name).read_bytes()


def test_a_checkpoint_whose_frozen_rows_do_not_fit_is_refused(
    frozen: Path, small_data: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(frozen, tmp_path / "run")
    config = Run.open(frozen).config
    (tmp_path / "run" / "result.json").unlink()
    folder = tmp_path / "run" / "checkpoints"
    newest = Checkpoint.newest(folder)
    assert newest is not None
    newest.tensors["frozen.item"] = newest.tensors["frozen.item"][:-1]
    newest.save(folder)
    with pytest.raises(RunError, match=r"frozen.item: torch.bool \[\d+\], expected a bool for each row"):
        fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)


@given(
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.booleans(),
    st.sampled_from([RowAdam, torch.optim.SGD, torch.optim.AdamW]),
)
def test_no_optimiser_changes_a_frozen_row(
    frozen: list[bool], sparse: bool, optimiser: Callable[..., torch.optim.Optimizer]
) -> None:
    if sparse and optimiser is torch.optim.AdamW:
        return  # it takes no sparse gradients
    torch.manual_seed(0)
    table = nn.Embedding(5, 3, sparse=sparse)
    rows = FrozenRows(table, torch.tensor(frozen))
    before = table.weight.detach().clone()
    steps = optimiser(table.parameters(), lr=0.1)
    for _ in range(3):
        steps.zero_grad()
        table(torch.tensor([0, 1, 1, 2, 3, 4])).sin().sum().backward()
        steps.step()
        rows.restore()
    changed = (table.weight != before).any(1).tolist()
    assert changed == [not one for one in frozen]


def test_vectors_of_an_npy_file_are_those_of_parquet(small_data: Dataset, tmp_path: Path) -> None:
    vectors = vectors_of([str(k) for k in range(5, 50)])
    found = [read_vectors(config_of(write(tmp_path / "v.parquet", vectors)), small_data)]
    array = np.array(list(vectors.values()))
    pl.DataFrame({"sku": list(map(int, vectors))}).write_parquet(tmp_path / "ids.parquet")
    (tmp_path / "ids.txt").write_bytes("\r\n".join(vectors).encode())
    for dtype, ids in ((np.float64, "ids.txt"), (np.float32, "ids.parquet")):
        np.save(tmp_path / "v.npy", array.astype(dtype))
        config = config_of(tmp_path / "v.npy", ids=str(tmp_path / ids))
        found.append(read_vectors(config, small_data))
    typed = pl.DataFrame({"id": list(vectors), "vec": list(vectors.values())})
    typed.with_columns(pl.col("vec").cast(pl.Array(pl.Float64, 4))).write_parquet(tmp_path / "array.parquet")
    found.append(read_vectors(config_of(tmp_path / "array.parquet"), small_data))
    for (one,) in found:
        values = small_data.vocabularies["item"].decode(one.rows.numpy()).to_list()
        assert one.values.tolist() == [vectors[value] for value in values]
        assert (
            f"item: {len(values)} of {len(small_data.vocabularies['item']) - 1} values start" in one.summary
        )
        assert f"{len(vectors) - len(values)} of its 45 ids are unknown" in one.summary


GOOD = {"1": [1.0] * 4, "2": [2.0] * 4, "3": [3.0] * 4}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": (
        {"id": ["1", "2"], "v": [[1.0] * 4, [float("nan")] * 4]},
        "row 2: the vector of '2' holds a number",
    ),
    "too large": (
        {"id": ["1"], "v": [[1e39] * 4]},
        "row 1: the vector of '1' holds a number that is not finite",
    ),
    "null inside": ({"id": ["1"], "v": [[1.0, None, 1.0, 1.0]]}, "row 1: the vector of '1' holds"),
    "two widths": ({"id": ["1", "2"], "v": [[1.0] * 4, [1.0] * 3]}, r"row 2: .*width 3, .* the first, 4"),
    "no vector": ({"id": ["1", "2"], "v": [[1.0] * 4, None]}, "row 2: column 'v': found nothing"),
    "no first vector": ({"id": ["1", "2"], "v": [None, [1.0] * 4]}, "row 1: column 'v': found nothing"),
    "empty vectors": ({"id": ["1", "2"], "v": [[], [1.0]]}, "row 1: column 'v': found a vector of width 0"),
    "an id twice": (
        {"id": ["1", "2", "1"], "v": [[1.0] * 4] * 3},
        r"row 3: .*'1' has a vector already \(row 1\)",
    ),
    "an id missing": ({"id": ["1", None], "v": [[1.0] * 4] * 2}, "row 2: column 'id': an id is missing"),
    "floats": (
        {"id": [1.0, 2.5], "v": [[1.0] * 4] * 2},
        "row 2: column 'id': found 2.5; expected text or whole numbers",
    ),
    "text": ({"id": ["1"], "v": [["a"]]}, "column 'v' holds List.*expected lists of numbers"),
    "columns": ({"id": ["1"], "v": [1.0], "w": [1.0]}, "expected two, of ids and of lists of numbers"),
    "nothing": ({"id": [], "v": []}, "expected two|no row"),
    "other ids": ({"id": ["x"], "v": [[1.0] * 4]}, r"none of its 1 ids \('x', ...\) is a value of item"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_used_is_named_with_its_row(
    case: str, small_data: Dataset, tmp_path: Path
) -> None:
    table, message = BAD[case]
    path = tmp_path / "vectors.parquet"
    pl.DataFrame(table, strict=False).write_parquet(path)
    with pytest.raises(DataError, match=rf"vectors.parquet: .*{message}|vectors.parquet: {message}"):
        fit(small_data, config_of(path), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("feature", "width", "message"),
    [
        ("item", 5, "are 5 wide, the embedding of item is 4; make both equal"),
        ("sku", 4, "has no such feature; expected one of: item, "),
    ],
)
def test_vectors_for_no_table_or_of_another_width_are_refused(
    feature: str, width: int, message: str, small_data: Dataset, tmp_path: Path
) -> None:
    path = write(tmp_path / "v.parquet", vectors_of(["1"], width))
    config = override(
        load_config(overrides=SMALL), [{"training": {"pretrained": {feature: {"file": str(path)}}}}]
    )
    with pytest.raises(ConfigError, match=rf"training.pretrained.{feature}: .*{message}"):
        read_vectors(config, small_data)


def test_files_that_are_none_are_refused(small_data: Dataset, tmp_path: Path) -> None:
    path, ids = tmp_path / "v.npy", tmp_path / "ids.txt"
    ids.write_text("1\n2\n")

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_vectors(config_of(path, ids=str(ids)), small_data)

    refused("v.npy: not a readable .npy file")
    path.write_bytes(b"\x93NUMPY")
    refused("v.npy: not a readable .npy file")
    np.save(path, np.zeros((2, 2, 2)))
    refused(r"v.npy: float64 \[2, 2, 2\], expected numbers \[ids, width\]")
    np.save(path, np.array([["a"], ["b"]]))
    refused("expected numbers")
    np.save(path, np.zeros((3, 4)))
    refused(r"ids.txt: 2 ids, .*v.npy has 3 vectors; expected as many")
    ids.write_bytes(b"\xff\n1\n2\n")
    refused("ids.txt: cannot be read as lines of UTF-8 text")
    save_tensors(tmp_path / "v.parquet", {})
    with pytest.raises(DataError, match=r"v.parquet: not a readable Parquet file"):
        read_vectors(config_of(tmp_path / "v.parquet"), small_data)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"file": "v.csv"}, "file is 'v.csv', expected a name ending in .parquet or .npy"),
        ({"file": "v.npy"}, "a .npy file holds no ids"),
        ({"file": "v.parquet", "ids": "i.txt"}, "a Parquet file holds the ids itself"),
        ({"file": "v.parquet", "frozn": True}, "training.pretrained.item.frozn"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(RunConfig(), [{"training": {"pretrained": {"item": given}}}])
