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

from dien.data.batches import columns_of
from dien.data.changing import values_at
from dien.data.dataset import Dataset
from dien.data.features.encoders import Scaled
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


@given(numbers=st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1))
def test_the_example_scales_any_number_as_the_run(
    scored: tuple[Scorer, Any], numbers: list[float | None]
) -> None:
    scorer, example = scored
    found = [one for one in scorer.run.schema.features if isinstance(one.encoder, Scaled)]
    found = [one for one in found if one.name in example.said["features"]]
    assert {one.encoder.log for one in found} == {False, True}
    for feature in found:
        expected = feature.encoder.encode_values(numbers)
        np.testing.assert_array_equal(
            example.encoded(example.said["features"][feature.name], numbers), expected
        )


def test_the_example_takes_arrays_of_numpy(scored: tuple[Scorer, Any]) -> None:
    scorer, example = scored
    request = {
        "user": "u1",
        "history": np.array(["i1", "i2"]),
        "candidates": np.array(["i2", "i3"]),
        "times": np.array([100_000, 200_000]),
        "time": 300_000,
        "context": {"screen": np.array([1.0, 2.0, 3.0]), "wanted": np.array(["label1", "tag2"])},
        "behaviours": {"dwell": np.array([1.0, 2.0]), "gaze": np.array([[1.0, 2.0], [3.0, 4.0]])},
    }
    np.testing.assert_allclose(example.score(**request), scorer.score(**request), rtol=0, atol=1e-5)


def test_the_example_takes_popularity_where_the_model_reads_it_and_says_where_it_is_missing(
    full_data: Dataset, tmp_path: Path
) -> None:
    run = drawn_run(tmp_path / "run", full_data, "model.popularity=true")
    scorer, example = Scorer(run), example_of(run, tmp_path / "exported")
    assert scorer.popularity is not None
    request = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3", "i4", "i5"]}
    request |= {"times": [100_000, 120_000], "time": 150_000}
    items = scorer.catalogue.item_ids.encode_values(request["candidates"])
    features = columns_of(values_at(run.items, items, None))
    numbers = scorer.popularity.numbers(items, features, np.full(3, 150_000)).numpy()
    assert numbers.std() > 0
    listed = json.loads(json.dumps(numbers.tolist()).replace("NaN", "null"))
    for one in (numbers, listed):
        np.testing.assert_allclose(
            example.score(**request, popularity=one), scorer.score(**request), rtol=0, atol=1e-5
        )
    width = numbers.shape[1]
    with pytest.raises(ValueError, match=rf"popularity: found none, expected {width} .* 3 .*docs/export.md"):
        example.score(**request)
    with pytest.raises(ValueError, match=rf"popularity: found the shape \(2, {width}\)"):
        example.score(**request, popularity=numbers[:2])


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
