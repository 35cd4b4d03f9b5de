"""A dataset folder that the commands have prepared, and what each command needs to work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dien.bench import SHAPES, Shape, subject
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.sources import complete_journey, movielens
from dien.run import Run
from tests.cli.amazon import write_amazon
from tests.cli.running import ok
from tests.serving.publish.putting import put

INTER = "user_id:token\titem_id:token\tlabel:float\ttimestamp:float\n"


@pytest.fixture(scope="session")
def amazon_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews by the paper's recipe; their files lie beside it."""
    folder = tmp_path_factory.mktemp("amazon")
    ok("prepare", "amazon", *write_amazon(folder), "--out", folder / "data")
    return folder / "data"


@pytest.fixture(scope="session")
def published(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one published model."""
    folder = tmp_path_factory.mktemp("published") / "shop"
    put(folder, small_run.path)
    return folder


@pytest.fixture
def fill(
    small_log: Log,
    small_data: Dataset,
    small_run: Run,
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], list[str]]:
    """Put paths in place of the names in braces; nothing is fetched and nothing large is measured."""
    monkeypatch.setattr(complete_journey, "read", lambda: small_log)
    monkeypatch.setattr(movielens, "read", lambda edition, cache, on_terms: small_log)
    monkeypatch.setitem(SHAPES, "mean-15", Shape("16 rows", 16, mean=15))
    monkeypatch.setattr(subject, "LEAST", 0.001)
    events = small_log.events
    events.write_csv(tmp_path / "log.csv")
    atomic = tmp_path / "atomic"
    atomic.mkdir()
    lines = [f"{user}\t{item}\t{time % 2}\t{time}\n" for user, item, time, _ in events.iter_rows()]
    (atomic / "atomic.inter").write_text(INTER + "".join(lines))
    (tmp_path / "requests.jsonl").write_text('{"user": "u1", "history": ["1"], "candidates": ["2", "3"]}\n')
    (tmp_path / "checked.yaml").write_text("interactions: {user: user}\n")
    paths = {
        "schema": tmp_path / "checked.yaml",
        "amazon": " ".join(write_amazon(tmp_path)),
        "log": tmp_path / "log.csv",
        "atomic": atomic,
        "requests": tmp_path / "requests.jsonl",
        "data": small_data.path,
        "run": small_run.path,
        "published": published,
        "out": tmp_path / "out",
    }
    return lambda arguments: arguments.format(**paths).split()
