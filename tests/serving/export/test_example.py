"""The example that scores raw ids with an exported model gives what the scorer gives."""

import ast
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.export.conftest import drawn_run

from dien.data.dataset import Dataset
from dien.run import Run
from dien.serving import Scorer
from dien.serving.export import export_run

EXAMPLE = Path(__file__).parents[3] / "examples" / "score_onnx.py"

ITEMS = st.sampled_from([f"i{k}" for k in range(25)] + ["new", "newer", 7, "7.0"])
NUMBERS = st.none() | st.floats(-1e4, 1e4, width=32)
LISTS = st.none() | st.lists(
    st.sampled_from([None, "label1", "label3", "tag2", "tag4", "none such"]), max_size=4
)
BEHAVIOURS = {
    "action": st.sampled_from([None, "action0", "action2", "other"]),
    "dwell": NUMBERS,
    "labels": LISTS,
    "gaze": st.none() | st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=2),
}
CONTEXT = {
    "hour": st.sampled_from([None, "3", 23, 5.0, "no hour"]),
    "zone": st.sampled_from([None, "zone7", "12.0", 12, True]),
    "position": NUMBERS,
    "age_of_page": NUMBERS,
    "wanted": LISTS,
    "weekday": st.sampled_from([None, "Fri"]),
    "screen": st.none() | st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3),
}


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    length = draw(st.integers(0, 12))

    def entries(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=length, max_size=length))

    given_behaviours = draw(st.sets(st.sampled_from([*BEHAVIOURS])))
    given_context = draw(st.sets(st.sampled_from([*CONTEXT])))
    return {
        "user": draw(st.sampled_from(["u1", "u29", "nobody", None])),
        "history": entries(ITEMS),
        "candidates": draw(st.lists(ITEMS, min_size=1, max_size=7)),
        "context": {name: draw(CONTEXT[name]) for name in sorted(given_context)},
        "behaviours": {name: entries(BEHAVIOURS[name]) for name in sorted(given_behaviours)},
        "times": draw(st.none()) if draw(st.booleans()) else entries(st.none() | st.integers(1, 200_000)),
        "time": draw(st.none() | st.integers(100_000, 900_000)),
    }


def example_of(run: Run, folder: Path) -> Any:
    export_run(run, folder)
    return runpy.run_path(str(EXAMPLE))["ExportedModel"](folder)


@pytest.fixture(scope="module")
def scored(full_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scorer, Any]:
    folder = tmp_path_factory.mktemp("example")
    run = drawn_run(folder / "run", full_data)
    return Scorer(run), example_of(run, folder / "exported")


@pytest.mark.filterwarnings("ignore:.*match an entry of their history")
@settings(max_examples=100)
@given(request=requests())
def test_the_example_scores_any_raw_request_as_the_scorer(
    scored: tuple[Scorer, Any], request: dict[str, Any]
) -> None:
    scorer, example = scored
    np.testing.assert_allclose(example.score(**request), scorer.score(**request), rtol=0, atol=1e-5)


def test_the_example_scores_a_trained_run_as_the_scorer(
    rich_run: Run, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    scorer, example = Scorer(rich_run), example_of(rich_run, tmp_path / "exported")
    found = [example.score(**request) for request in rich_requests]
    expected = [scorer.score(**request) for request in rich_requests]
    assert np.concatenate(expected).std() > 5e-5
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), rtol=0, atol=1e-6)


def test_the_example_answers_a_line_with_a_line(small_run: Run, tmp_path: Path) -> None:
    example_of(small_run, tmp_path / "exported")
    request = {"user": "u1", "history": ["1", "2"], "candidates": ["3", "new"], "context": {"hour": "4"}}
    lines = (json.dumps(request) + "\n") * 2
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "exported")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    expected = Scorer(small_run).score(**request).tolist()
    assert [json.loads(line) for line in done.stdout.splitlines()] == [pytest.approx(expected, abs=1e-5)] * 2


def test_the_example_needs_nothing_but_numpy_and_onnxruntime() -> None:
    nodes = list(ast.walk(ast.parse(EXAMPLE.read_text(encoding="utf-8"))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime"}
