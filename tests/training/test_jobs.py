"""Processes that are killed or complain: what is heard of them."""

import os
import signal
from pathlib import Path

import pytest

from dien.config import RunConfig
from dien.training.jobs import TEST, Job, run_all

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
