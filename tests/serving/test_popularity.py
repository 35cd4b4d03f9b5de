"""Scoring with popularity: the counts of the run folder, and of a dataset, as of the time of each request."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.popularity import DAY, popularity_of
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.errors import RunError
from dien.popularity_file import POPULARITY
from dien.run import Run
from dien.serving import Scorer, score_file, score_pairs, score_split
from dien.training import evaluate, fit


@pytest.fixture(scope="module")
def run(rich_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with popularity and without matches, on features of every kind."""
    folder = tmp_path_factory.mktemp("popularity")
    write(temporal(rich_log, warmup=1, negatives=2), folder / "data")
    settings = ["training.epochs=1", "model.max_history=6", "model.hidden_size=6", "model.popularity=true"]
    fit(
        Dataset.open(folder / "data"),
        load_config(None, [*settings, "model.matches=false"]),
        folder / "run",
        show_progress=False,
    )
    return Run.open(folder / "run")


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def flat(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**r, **r["context"], **r["behaviours"]} for r in requests]


def test_a_split_its_requests_its_pairs_and_evaluate_agree(
    run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = score_split(run, tmp_path / "split.parquet")
    split = pl.read_parquet(tmp_path / "split.parquet").select("scores", "labels").explode("*")
    expected = split["scores"].to_numpy()
    clicks = split["labels"].to_numpy()
    loss = -np.mean(np.log(np.where(clicks == 1, expected, 1 - expected)))
    assert evaluate(run, split="test").log_loss == pytest.approx(loss, abs=1e-6)
    pairs = [
        {"user": r["user"], "item": item, "time": r["time"], **r["context"]}
        for r in rich_requests
        for item in r["candidates"]
    ]
    score_pairs(run, written(tmp_path / "pairs.jsonl", pairs), tmp_path / "pairs.parquet")
    of_pairs = pl.read_parquet(tmp_path / "pairs.parquet")["score"].to_numpy()
    np.testing.assert_allclose(of_pairs, expected, atol=1e-6)

    # Of requests the run folder alone is read.
    monkeypatch.setattr(Dataset, "open", None)
    requests = written(tmp_path / "requests.jsonl", flat(rich_requests))
    of_file = score_file(Scorer.load(run.path), requests, tmp_path / "requests.parquet")
    of_requests = pl.read_parquet(tmp_path / "requests.parquet")["scores"].explode().to_numpy()
    np.testing.assert_allclose(of_requests, expected, atol=1e-6)
    assert (of_file.timeless_candidates, of_file.late_candidates) == (0, 0)
    assert (result.timeless_candidates, result.late_candidates) == (0, 0)
    scorer = Scorer.load(run.path)
    one_by_one = [scorer.score(**request) for request in rich_requests]
    np.testing.assert_allclose(np.concatenate(one_by_one), expected, atol=1e-6)


def test_the_file_of_a_run_holds_what_the_dataset_does_and_is_written_for_popularity_alone(
    run: Run, small_run: Run
) -> None:
    kept, sorted_ = run.popularity, popularity_of(run.dataset())
    assert list(kept.occurrences) == list(sorted_.occurrences) == list(run.schema.matched)
    for name, occurrences in kept.occurrences.items():
        other = sorted_.occurrences[name]
        np.testing.assert_array_equal(occurrences.keys, other.keys)
        assert (occurrences.first, occurrences.last) == (other.first, other.last)
    assert not (small_run.path / POPULARITY).exists()


def test_the_time_of_a_request_decides_and_without_one_it_is_the_end_of_the_log(
    run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    def request(time: int | None) -> dict[str, Any]:
        return {"user": None, "history": [], "candidates": rich_requests[0]["candidates"], "time": time}

    last = run.popularity.last
    scorer = Scorer(run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        early, end = (scorer.score(**request(time)) for time in (1, last + 1))
    assert (early != end).all()
    with pytest.warns(
        UserWarning, match=rf"^model.popularity: {len(end)} of .* without a time: .* give time"
    ):
        np.testing.assert_array_equal(scorer.score(**request(None)), end)
    with pytest.warns(UserWarning, match=r"more than a day later than the last .*--append.* says so once"):
        scorer.score(**request(last + DAY + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = scorer.score(**request(None))
        scorer.score(**request(last + DAY + 1))
    np.testing.assert_array_equal(again, end)

    times = [None, last + 1, last + DAY, last + DAY + 1]
    requests = written(tmp_path / "requests.jsonl", [request(time) for time in times])
    with pytest.warns(UserWarning, match="^model.popularity: ") as told:
        result = score_file(Scorer(run), requests, tmp_path / "scores.jsonl")
    assert (result.timeless_candidates, result.late_candidates) == (len(end), len(end))
    assert [str(one.message).split(":")[0] for one in told] == ["model.popularity"] * 2


def test_a_dataset_that_is_given_is_what_is_counted(
    run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / POPULARITY).unlink()
    without = Run.open(tmp_path / "run")
    assert evaluate(without) == evaluate(run)
    candidates = rich_requests[0]["candidates"]
    request = {"user": None, "history": [], "candidates": candidates, "time": run.popularity.last}
    expected = Scorer(run).score(**request)  # type: ignore[arg-type]
    np.testing.assert_array_equal(Scorer(without, run.dataset()).score(**request), expected)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=rf"{POPULARITY}.*train again"):
        Scorer(without)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"keys.item": None}, "expected keys. and each of item"),
        ({"keys.other": torch.ones(1, dtype=torch.int64)}, "expected keys. and each of item"),
        ({"seconds": None}, r"seconds is None, expected int64 \[2\]"),
        ({"seconds": torch.tensor([5, 4])}, "keys.item: from second 5 to 4; expected 136 years at most"),
        ({"keys.item": torch.tensor([[2**40]])}, r"keys.item is int64 \[1, 1\], expected int64 \[1\]"),
        ({"keys.item": torch.tensor([2.0**40])}, r"keys.item is float32 \[1\], expected int64 \[1\]"),
        ({"keys.item": torch.tensor([2**41, 2**40])}, "keys.item: keys fall; expected them in order"),
        ({"keys.item": torch.tensor([0, 2**40])}, "keys.item: keys from 0 to .*; expected those of values"),
        ({"keys.item": torch.tensor([2**62])}, "keys.item: keys from .*; expected those of values"),
    ],
    ids=str,
)
def test_a_file_that_is_not_what_was_written_is_refused_by_what_is_wrong(
    run: Run, tmp_path: Path, spoil: dict[str, torch.Tensor | None], said: str
) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    file = tmp_path / "run" / POPULARITY
    tensors = {**load_file(file), **spoil}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, file)
    with pytest.raises(RunError, match=said):
        _ = Run.open(tmp_path / "run").popularity


def test_one_byte_that_differs_is_noticed(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    file = tmp_path / "run" / POPULARITY
    content = bytearray(file.read_bytes())
    content[-8] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="is damaged: its checksum"):
        _ = Run.open(tmp_path / "run").popularity
