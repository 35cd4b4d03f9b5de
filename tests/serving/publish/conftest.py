"""Three runs of the small data that give other scores each."""

from pathlib import Path

import pytest
from tests.serving.publish.putting import changed

from dien.run import Run


@pytest.fixture(scope="session")
def three_runs(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("three")
    return [changed(small_run.path, folder / f"run-{number}", 1 - number / 50) for number in range(3)]
