"""examples/daily.py beside a server: a day later the server answers with the new model, and failed nobody."""

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.serving.http.servers import Asking, running

from dien.data.sources.synthetic import Simulation
from dien.errors import RunError
from dien.published import model_folder
from dien.run import Run
from dien.serving import Scorer

EXAMPLE = Path(__file__).parents[3] / "examples" / "daily.py"
SCHEMA = "interactions: {label: label}\nfeatures: {item: {category: }, context: {hour: }}\n"
SETTINGS = ("training.epochs=1", "training.batch_size=64", "model.max_history=10", "model.hidden_size=8")
ASKED = {
    "user": "1",
    "history": ["1", "2"],
    "candidates": ["3", "4", "5"],
    "context": {"hour": "5"},
    "times": [1704067200, 1704067300],
    "time": 1704240000,
}


@pytest.fixture(scope="module")
def daily() -> ModuleType:
    spec = importlib.util.spec_from_file_location("daily", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_server_answers_with_the_model_of_the_new_day_and_no_request_fails(
    daily: ModuleType, tmp_path: Path
) -> None:
    log, work = tmp_path / "log", tmp_path / "shop"
    Simulation(users=100, items=60, days=2, seed=3, per_day=12).write(log)
    (tmp_path / "schema.yaml").write_text(SCHEMA)

    def work_on(day: int) -> str:
        done = daily.day(
            log / "interactions" / f"day=2024-01-0{day}",
            work,
            schema=tmp_path / "schema.yaml",
            items=log / "items.parquet",
            users=log / "users.parquet",
            settings=SETTINGS,
            margin=0.5,  # of so few rows the AUC is all luck
        )
        return str(done.version)

    versions = [work_on(1)]
    with running(work / "published") as server, Asking(server.url, ASKED, pause=0.01) as asking:
        versions.append(work_on(2))
        for _ in range(1500):
            if versions[1] in asking.answered:
                break
            time.sleep(0.02)
    assert asking.failures == []
    assert list(asking.answered) == versions
    runs = [work / "runs" / f"day=2024-01-0{day}" for day in (1, 2)]
    for run, version in zip(runs, versions, strict=True):
        assert Run.open(run).version == version
        assert np.allclose(asking.answered[version], Scorer.load(run).score(**ASKED), atol=1e-6)
    start_from = Run.open(runs[1]).info.start_from
    assert start_from is not None
    assert start_from.run == str(model_folder(work / "published", versions[0]).resolve())
    before = (work / "data" / "dataset.json").read_bytes()
    with pytest.raises(RunError, match="day=2024-01-02: is there already, and its day in the dataset"):
        work_on(2)
    assert (work / "data" / "dataset.json").read_bytes() == before


def test_what_goes_wrong_is_printed_and_the_exit_code_is_1(
    daily: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["daily.py", str(tmp_path / "none.csv"), "--work", str(tmp_path / "w")])
    with pytest.raises(SystemExit, match=r"error: .*none\.csv"):
        daily.main()
    assert list(tmp_path.iterdir()) == []
