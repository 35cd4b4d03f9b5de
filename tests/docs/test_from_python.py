"""The page on Python, run block by block."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, run_blocks


@pytest.fixture
def _own_model(_models_as_before: None) -> Iterator[None]:
    """Forget the module of the model that the page registers."""
    yield
    sys.modules.pop("mean_pooling", None)


@pytest.mark.usefixtures("_own_model")
def test_the_page_leads_from_data_frames_to_scores_and_a_model_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    run_blocks(DOCS / "from-python.md", tmp_path)
    runs = json.loads((tmp_path / "compared/comparison.json").read_text())["runs"]
    assert [(run["model"], run["status"]) for run in runs] == [("mean-pooling", "done"), ("dien", "done")]
