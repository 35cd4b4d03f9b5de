"""Dataset folders, run folders and checkpoints that are damaged, or made to do harm, in hundreds of ways.

Each is refused by a message that names the file, or comes to the same result as the whole one: to the same
weights and metrics when it is trained on or gone on with, to the same scores when it scores.
"""

import itertools
import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.data.prepare.append import append
from dien.errors import DataError, DienError
from dien.run import Run
from dien.serving import Scorer
from dien.training import evaluate, fit
from tests.damage import (
    Change,
    Mutation,
    at,
    config_mutations,
    file_mutations,
    folder_leads_out,
    json_mutations,
    leaves,
    replaced,
    rewrite,
    tensor_mutations,
)
from tests.data.datasets import random_prepared, stored
from tests.training.stopped import of_epoch, stopping

SECONDS = 60


def config(epochs: int = 2) -> RunConfig:
    return load_config(
        overrides=[
            *(
                "model.hidden_size=4",
                "model.max_history=5",
                "model.embedding_size=4",
                "model.head_hidden=[8]",
            ),
            *(f"training.epochs={epochs}", "training.batch_size=16", "training.checkpoint_steps=2"),
            "training.patience=2",
        ]
    )


# What a folder comes to


@contextmanager
def within_seconds() -> Iterator[None]:
    def hangs(*_: object) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcomes(
    whole: Path,
    place: Path,
    mutations: Iterator[Mutation],
    result: Callable[[Path], Any],
    writes: bool = False,
) -> tuple[Counter[str], list[str]]:
    """Apply each mutation to a copy of a folder; count what comes of it, and list what must not."""
    root = place / "folder"
    shutil.copytree(whole, root)
    expected = result(root)
    restore(whole, root, "", every=True)
    counts, bad = Counter[str](), []
    for mutation in mutations:
        mutation.change(root / mutation.file)
        try:
            with within_seconds():
                found = result(root)
            kind = "harmless" if same(found, expected) else "changed"
        except DienError as error:
            about = mutation.file.rpartition("/")[2].removesuffix(".npy").removesuffix(".offsets")
            kind = "refused" if about in str(error) or str(root) in str(error) else f"unclear: {error}"
        except TimeoutError:
            kind = "hang"
        except Exception as error:
            kind = f"traceback: {type(error).__name__}: {error}"
        counts[kind.partition(":")[0]] += 1
        restore(whole, root, mutation.file, every=writes)
        if kind not in ("refused", "harmless"):
            bad.append(f"{mutation.file}: {mutation.name}: {kind}")
    return counts, bad


def restore(whole: Path, root: Path, file: str, every: bool) -> None:
    """Bring a file back, or every file, as they were."""
    if every or (whole / file).is_dir():
        shutil.rmtree(root)
        shutil.copytree(whole, root)
        return
    if (root / file).is_dir():
        (root / file).rmdir()
    (root / file).unlink(missing_ok=True)
    shutil.copy2(whole / file, root / file)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


# Dataset folders


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(random_prepared(seed=3), tmp_path_factory.mktemp("whole") / "data")


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("whole") / "run"
    fit(data, config(), path, show_progress=False)
    return Run.open(path)


def files_in(folder: Path, *parts: str) -> list[str]:
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return [name for name in names if not parts or name.startswith(parts)]


def trained(place: Path) -> Callable[[Path], Any]:
    def result(folder: Path) -> Any:
        shutil.rmtree(place / "run", ignore_errors=True)
        fit(Dataset.open(folder), config(epochs=1), place / "run", show_progress=False)
        weights = load_file(place / "run/model.safetensors")
        return weights | {"test": evaluate(place / "run", folder).to_dict()}

    return result


def test_a_damaged_dataset_is_refused_by_name_or_trains_the_same(data: Dataset, tmp_path: Path) -> None:
    files = files_in(data.path)
    mutations = [
        *json_mutations(data.path, "dataset.json"),
        *file_mutations(data.path, files, 1),
    ]
    counts, bad = outcomes(data.path, tmp_path, iter(mutations), trained(tmp_path))
    assert counts["refused"] > 300
    assert not bad, "\n".join(bad)


def test_a_damaged_column_is_refused_by_every_command_that_reads_it(
    data: Dataset, run: Run, tmp_path: Path
) -> None:
    folder = shutil.copytree(data.path, tmp_path / "data")
    at(0, 127)(folder / "valid/label.npy")
    commands: tuple[Callable[[Dataset], Any], ...] = (
        lambda damaged: evaluate(run, damaged),
        lambda damaged: append(damaged, None, None),  # type: ignore[arg-type]  # neither is read
        lambda damaged: fit(damaged, config(), tmp_path / "run", show_progress=False),
    )
    for command in commands:
        with pytest.raises(DataError, match=r"valid/label.npy: row 0: 127 is out of range"):
            command(Dataset.open(folder))
    assert not (tmp_path / "run").exists()


# Run folders


def scored(folder: Path) -> Any:
    scorer = Scorer.load(folder)
    ids = [f"i{k}" for k in range(4)]
    scores = scorer.score(
        "u1", ids, ids, context={"device": "v1", "wanted": ["v1", "v2"]}, times=[1, 2, 3, 4], time=50
    )
    return {"scores": scores}


def test_a_damaged_run_is_refused_by_name_or_scores_the_same(run: Run, tmp_path: Path) -> None:
    files = [
        *files_in(run.path, "items", "users", "vocabularies", "config.yaml", "run.json", "result.json"),
        "model.safetensors",
    ]
    names = list(load_file(run.path / "model.safetensors"))
    mutations = [
        *json_mutations(run.path, "run.json", every=4),
        *file_mutations(run.path, files, 1),
        *tensor_mutations("model.safetensors", names),
        *config_mutations(run.path),
    ]
    counts, bad = outcomes(run.path, tmp_path, iter(mutations), scored)
    assert counts["refused"] > 180
    assert not bad, "\n".join(bad)


# Checkpoints


@pytest.fixture(scope="module")
def stopped(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second epoch."""
    path = tmp_path_factory.mktemp("whole") / "stopped"
    with stopping(of_epoch(2, steps=2)):
        fit(data, config(), path, show_progress=False)
    return path


def test_a_damaged_checkpoint_is_refused_by_name_or_comes_to_the_same_weights(
    data: Dataset, stopped: Path, tmp_path: Path
) -> None:
    def gone_on(folder: Path) -> Any:
        fit(data, config(), folder, resume=True, show_progress=False)
        return load_file(folder / "model.safetensors")

    (newest,) = files_in(stopped, "checkpoints/step-")
    (best,) = files_in(stopped, "checkpoints/best-")
    with safe_open(stopped / newest, "pt") as file:
        names, texts = list(file.keys()), file.metadata()

    def text(key: str, value: Any) -> Change:
        return lambda path: rewrite(path, lambda _, kept: kept.update({key: value}))

    progress, numbers = (json.loads(texts[key]) for key in ("progress", "numbers"))
    wrong = itertools.cycle(
        (-1, "text", None, [], 2**70, 10**6, "../../best-000000001.safetensors", True, {})
    )
    mutations = [
        *tensor_mutations(newest, names[:: 2 if len(names) % 2 else 3]),
        *tensor_mutations(best, list(load_file(stopped / best))[::5]),
        *file_mutations(stopped, [newest, best, "metrics.jsonl", "run.json", "config.yaml"], 5),
        *(
            Mutation(
                newest,
                f"progress {place}",
                text("progress", json.dumps(replaced(progress, place, next(wrong)))),
            )
            for place in leaves(progress)
            if place[0] not in ("best", "timed_rows", "timed_seconds") or len(place) == 1
        ),
        *(
            Mutation(newest, f"{name} {by!r}", text("numbers", json.dumps({**numbers, name: by})))
            for name in numbers
            for by in (-1, 10**6, "text")
        ),
        *(
            Mutation(newest, f"{key} {by}", text(key, by))
            for key in ("progress", "numbers")
            for by in ("", "[]", "3")
        ),
        Mutation(newest, "no texts", lambda path: rewrite(path, lambda _, kept: kept.clear())),
        Mutation("checkpoints", "leads out", folder_leads_out),
        Mutation("checkpoints", "removed", shutil.rmtree),
        Mutation("tensorboard", "leads out", folder_leads_out),
    ]
    counts, bad = outcomes(stopped, tmp_path, iter(mutations), gone_on, writes=True)
    assert counts["refused"] > 100
    assert not bad, "\n".join(bad)
