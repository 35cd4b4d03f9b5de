"""Publish and rollback, killed or without room at any file operation: old or new, and nothing between."""

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.faults.disturbed import Operations, full, kill
from tests.serving.publish.putting import put

from dien.errors import DienError
from dien.published import MODELS, model_folder, read_published
from dien.run import Run
from dien.serving.publish import rollback
from dien.serving.publish import rollback as rollback_module

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and /proc")

Step = int | None
"""The number of the run that is published; None for a rollback."""


def do(path: Path, runs: list[Path], step: Step) -> None:
    if step is not None:
        put(path, runs[step], keep=2)
        return
    module = sys.modules[rollback_module.__module__]
    with mock.patch.object(module, "expect_loads"):  # Polars does not outlive a fork
        rollback(path)


def disturbed(
    path: Path, work: Callable[[], None], number: int, fault: Callable[[str, bool], None], count: Path
) -> int:
    """Work in a fork with a fault at an operation; 0 done, 1 an error of dien, or minus the signal.

    The number of operations is written to a file where there was no fault.
    """
    if (child := os.fork()) == 0:
        code = 99
        try:
            warnings.simplefilter("ignore")
            operations = Operations(path, number, fault)
            work()
            count.write_text(str(operations.count))
            code = 0
        except DienError:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def models(path: Path) -> dict[str, dict[str, bytes]]:
    """The files of each model in the folder, by its version."""
    folders = list((path / MODELS).iterdir()) if (path / MODELS).is_dir() else []
    return {
        folder.name: {
            str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()
        }
        for folder in folders
    }


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 2), max_size=4),
    st.one_of(st.integers(0, 2), st.none()),
    st.one_of(st.integers(0, 30), st.integers(0, 100)),
    st.sampled_from([kill, full]),
)
def test_the_folder_is_as_before_or_as_after_and_the_next_publish_tidies_up(
    three_runs: list[Path],
    earlier: list[int],
    step: Step,
    before_end: int,
    fault: Callable[[str, bool], None],
) -> None:
    whole = {
        (run := Run.open(path)).version: {name: (path / name).read_bytes() for name in run.scoring_files}
        for path in three_runs
    }
    with TemporaryDirectory() as name:
        path = Path(name) / "shop"
        for before in earlier:
            put(path, three_runs[before], keep=2)
        was = read_published(path)
        if step is None and (was is None or was.before is None):
            return
        copy, count = Path(name) / "copy", Path(name) / "count"
        if path.exists():
            shutil.copytree(path, copy)
        assert disturbed(copy, lambda: do(copy, three_runs, step), 10**9, kill, count) == 0
        number = max(1, int(count.read_text()) - before_end)
        shutil.rmtree(copy)
        code = disturbed(path, lambda: do(path, three_runs, step), number, fault, count)
        count.unlink()
        assert code == -signal.SIGKILL if fault is kill else code in (0, 1)
        now = read_published(path)
        target = (was and was.before) if step is None else Run.open(three_runs[step]).version
        versions = {None if published is None else published.version for published in (was, now)}
        assert versions <= {None if was is None else was.version, target}
        if code == 0:
            assert now is not None
            assert now.version == target
        found = models(path)
        for model in () if now is None else now.models:
            assert found[model.version] == whole[model.version]
            assert model_folder(path, model.version).is_dir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            put(path, three_runs[0], keep=2)
        now = read_published(path)
        assert now is not None
        assert sorted(models(path)) == sorted(model.version for model in now.models)
        assert sorted(one.name for one in path.iterdir()) == ["current.json", MODELS]
        assert [one.name for one in Path(name).iterdir()] == ["shop"]
