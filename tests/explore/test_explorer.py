"""Runs side by side: they are told apart, and they are of one dataset."""

import shutil
from pathlib import Path

import pytest

from dien.errors import RunError
from dien.explore.explorer import Explorer
from dien.run import Run


def test_runs_of_one_folder_name_are_told_apart_by_the_folders_around_them(
    explored_runs: list[Path], tmp_path: Path
) -> None:
    for name in ("monday", "tuesday"):
        shutil.copytree(explored_runs[0], tmp_path / name / "run")
    explorer = Explorer([tmp_path / "monday" / "run", tmp_path / "tuesday" / "run"])
    assert [run.name for run in explorer.runs] == ["monday/run", "tuesday/run"]
    assert explorer.whole_run(1).run == "tuesday/run"
    assert [run.name for run in Explorer(explored_runs[:1] * 2).runs] == ["dien", "dien"]


def test_a_second_run_of_another_dataset_is_refused(explored_runs: list[Path], small_run: Run) -> None:
    with pytest.raises(RunError, match=r"--against .* trained on another dataset than .*dien: .*by itself"):
        Explorer([explored_runs[0], small_run.path])
