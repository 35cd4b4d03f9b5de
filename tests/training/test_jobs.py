"""Processes that are killed or complain: what is heard of them."""

import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dien.config import RunConfig, override
from dien.data.dataset import Dataset
from dien.data.features import Schema
from dien.data.features.encoders import Hashed
from dien.data.matches import NO_TIME
from dien.errors import DatasetWarning
from dien.training.jobs import TEST, Job, run_all, warn_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


class _Deadly:
    """A path that kills the process which opens it."""

    def __fspath__(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class _Verbose:
    """A path with a long complaint about its opening."""

    def __fspath__(self) -> str:
        raise ValueError("x" * 1_000_000)


class _Done:
    """A path that has the run done, then kills the process which opens it."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __fspath__(self) -> str:
        self.out.mkdir()
        (self.out / TEST).touch()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_complaint_of_any_length_is_heard(tmp_path: Path) -> None:
    errors: list[str | None] = []
    run_all([Job(_Verbose(), RunConfig(), tmp_path / "a")], 1, lambda _, error: errors.append(error))  # type: ignore[arg-type]
    assert str(errors[0]).startswith("ValueError: xxx")


def test_a_process_that_is_killed_when_all_is_written_has_done_its_work(tmp_path: Path) -> None:
    errors: list[str | None] = []
    job = Job(_Done(tmp_path / "a"), RunConfig(), tmp_path / "a")  # type: ignore[arg-type]
    run_all([job], 1, lambda _, error: errors.append(error))
    assert errors == [None]


def test_a_process_that_is_killed_is_a_run_that_failed(tmp_path: Path) -> None:
    jobs = [Job(_Deadly(), RunConfig(), tmp_path / "a"), Job(tmp_path / "no", RunConfig(), tmp_path / "b")]  # type: ignore[arg-type]
    errors: dict[str, str | None] = {}
    run_all(jobs, 2, lambda job, error: errors.update({job.out.name: error}))
    assert "ended by signal 9 (killed, often for want of memory" in str(errors["a"])
    assert str(tmp_path / "no") in str(errors["b"])


def test_what_is_odd_in_the_data_for_any_of_the_runs_is_said_once_for_all(
    small_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema(
        tuple(
            replace(f, encoder=Hashed(f.size - 1)) if f.name == "user" else f
            for f in small_data.schema.features
        )
    )
    time = np.array(small_data.behaviours.time)
    time[:7] = NO_TIME
    data = replace(small_data, schema=schema, behaviours=replace(small_data.behaviours, time=time))
    monkeypatch.setattr(Dataset, "check", lambda *_: None)  # of files, which are as they were

    def told(*settings: list[str]) -> list[str]:
        configs = [override(RunConfig(), [], of) for of in settings]
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            warn_of(data, configs)
        assert {one.category for one in found} <= {DatasetWarning}
        words = ("id_dropout has no effect on users", "7 of 1,500 behaviours")
        return [word for one in found for word in words if word in str(one.message)]

    assert told([], ["training.id_dropout=0"]) == []
    ids, counts = ["training.id_dropout=0.5"], ["model.popularity=true"]
    assert told(ids, [], counts, counts) == told(ids + counts) == told(counts, ids)
    assert sorted(told(ids, counts)) == ["7 of 1,500 behaviours", "id_dropout has no effect on users"]
    assert told(counts) == ["7 of 1,500 behaviours"]
