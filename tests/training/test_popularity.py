"""Training with popularity among the inputs: what it needs, and what it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.data.matches import NO_TIME
from dien.data.times import Times
from dien.errors import ConfigError, DatasetWarning, RunError
from dien.run import Run
from dien.training import evaluate, fit

SETTINGS = ["training.epochs=1", "model.hidden_size=4", "model.embedding_size=4", "model.max_history=5"]


def config_of(*overrides: str) -> RunConfig:
    return load_config(None, [*SETTINGS, "model.popularity=true", *overrides])


def test_a_log_without_times_is_refused_before_anything_is_written(
    small_data: Dataset, tmp_path: Path
) -> None:
    data = replace(small_data, info=structs.replace(small_data.info, times=Times(form="order")))
    with pytest.raises(ConfigError, match=r"have no times.*; prepare .* or set model.popularity=false"):
        fit(data, config_of(), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_behaviours_without_a_time_are_warned_of_with_their_number(
    small_data: Dataset, tmp_path: Path
) -> None:
    time = np.array(small_data.behaviours.time)
    time[:7] = NO_TIME
    data = replace(small_data, behaviours=replace(small_data.behaviours, time=time))
    with pytest.warns(DatasetWarning, match=r"^model.popularity: 7 of 1,500 behaviours .* are not counted"):
        fit(data, config_of(), tmp_path / "run", show_progress=False)


def test_where_rows_have_histories_of_their_own_one_is_told_that_later_rows_are_counted(
    small_data: Dataset, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    recipe = structs.replace(small_data.info.recipe, history="row")
    own = replace(small_data, info=structs.replace(small_data.info, format=4, recipe=recipe))
    assert own.info.own_histories
    for data in (small_data, own):
        with pytest.raises(RunError, match="taken"):  # one is told before any work
            fit(data, config_of(), tmp_path / "taken", show_progress=False)
    told = [str(one.message) for one in recwarn if "has a history of its own" in str(one.message)]
    assert len(told) == 1
    assert told[0].startswith("model.popularity: each row of ")
    assert "set model.popularity=false" in told[0]


def test_a_run_reads_the_popularity_it_was_trained_with(small_data: Dataset, tmp_path: Path) -> None:
    for name, matches in (("with", "true"), ("without", "false")):
        fit(small_data, config_of(f"model.matches={matches}"), tmp_path / name, show_progress=False)
        run = Run.open(tmp_path / name)
        numbers = run.load_model().inputs.numbers_width  # type: ignore[union-attr]
        assert numbers == 5 * 2 + 2 + (1 + 4 * 2) * (matches == "true")
        assert evaluate(run).rows == len(small_data.splits["test"].item)
