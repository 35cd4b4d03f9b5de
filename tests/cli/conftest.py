"""A dataset folder that the commands have prepared."""

from pathlib import Path

import pytest

from tests.cli.amazon import write_amazon
from tests.cli.running import ok


@pytest.fixture(scope="session")
def amazon_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews by the paper's recipe; their files lie beside it."""
    folder = tmp_path_factory.mktemp("amazon")
    ok("prepare", "amazon", *write_amazon(folder), "--out", folder / "data")
    return folder / "data"
