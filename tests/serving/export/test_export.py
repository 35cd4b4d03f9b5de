"""What is written: graphs that score as the scorer does, whole or not at all, and what is refused by name."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tests.cli.running import dien
from tests.serving.export.conftest import Make

from dien.errors import RunError
from dien.models import models
from dien.models.dien import DIEN
from dien.run import Run
from dien.serving.export import export, export_run, onnx_file
from dien.serving.export import models as graphs

MODELS = models()
DIEN_KEYS = [
    [f"model.gru={gru}", f"model.gru_reset={reset}", f"model.attention={attention}"]
    for gru in ("gru", "aigru", "agru", "augru", "augru-complement")
    for reset, attention in (("before", "mlp"), ("after", "bilinear"))
] + [
    ["model.attention=mlp", "model.attention_scale=true", "model.hidden_size=9"],
    ["model.attention_query=prelu", "model.hidden_size=7", "model.last_behaviour=true"],
    ["model.popularity=true", "model.position_embedding=true", "model.pooled_history=true"],
    ["model.matches=false", "model.popularity=true", "model.conversion_weight=0"],
    ["model.head_activation=dice", "model.head_batch_norm=true", "model.head_dropout=0.2"],
    ["model.hidden_size=null", "model.head_affine=true", "model.head_activation=tanh"],
]


@pytest.mark.parametrize("model", models())
def test_the_graph_of_every_model_scores_as_the_scorer(model: str, make_run: Make, tmp_path: Path) -> None:
    exported = export_run(make_run(model=model), tmp_path / "exported")
    assert exported.largest_difference <= 1e-5
    assert exported.outputs == ("click", "conversion")


@pytest.mark.parametrize("keys", DIEN_KEYS, ids=" ".join)
def test_the_graph_of_every_variant_of_dien_scores_as_the_scorer(
    keys: list[str], make_run: Make, tmp_path: Path
) -> None:
    assert export_run(make_run(*keys), tmp_path / "exported").largest_difference <= 1e-5


@pytest.mark.parametrize(
    "keys",
    [
        ["model.attention_activation=dice", "model.attention_softmax=false"],
        ["model.attention_activation=prelu", "model.pooled_history=true", "model.position_embedding=true"],
        ["model.head_activation=prelu", "model.matches=false"],
        ["model.head_activation=relu"],
        ["model.head_activation=silu"],
    ],
    ids=" ".join,
)
def test_the_graph_of_every_variant_of_din_scores_as_the_scorer(
    keys: list[str], make_run: Make, tmp_path: Path
) -> None:
    run = make_run(*keys, model="din")
    assert export_run(run, tmp_path / "exported").largest_difference <= 1e-5


@pytest.mark.parametrize(("model", "key"), [("pnn", "inner_products"), ("wide-deep", "sparse_weights")])
def test_the_authors_variants_of_pnn_and_wide_deep_are_exported(
    model: str, key: str, make_run: Make, tmp_path: Path
) -> None:
    run = make_run(f"model.{key}=false", model=model)
    assert export_run(run, tmp_path / "exported").largest_difference <= 1e-5


@pytest.mark.parametrize("model", ["dien", "dien:authors"])
def test_an_archive_of_torch_export_scores_as_the_scorer(model: str, make_run: Make, tmp_path: Path) -> None:
    exported = export_run(make_run(model=model), tmp_path / "exported", "torch")
    assert exported.largest_difference <= 1e-5
    files = sorted(file.name for file in (tmp_path / "exported").iterdir())
    assert files == ["model.pt2", "preprocessing.json"]


ARCHIVE = """
import sys, torch
sys.modules["dien"] = sys.modules["onnx"] = None  # an import of them fails
module = torch.export.load(sys.argv[1]).module()
for length in (0, 1, 20):
    lengths = {"history": length, "times": length, "candidates": 4}
    (click,) = module(*(torch.ones(lengths.get(name, 1), dtype=torch.int64) for name in sys.argv[2:]))
    print(click.tolist())
"""


def test_an_archive_is_run_by_torch_without_dien(small_run: Run, tmp_path: Path) -> None:
    exported = export_run(small_run, tmp_path / "exported", "torch")
    file = str(tmp_path / "exported" / "model.pt2")
    command = [sys.executable, "-c", ARCHIVE, file, *exported.inputs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(scores) for scores in found] == [4, 4, 4]
    assert all(0 < score < 1 for scores in found for score in scores)


def test_a_trained_run_with_few_features_is_exported(small_run: Run, tmp_path: Path) -> None:
    exported = export_run(small_run.path, tmp_path / "exported")
    assert exported.inputs == ("history", "candidates", "user", "context.hour", "times", "time")
    assert exported.outputs == ("click",)


def test_every_part_of_a_request_moves_a_score(make_run: Make, tmp_path: Path) -> None:
    export_run(make_run("model.popularity=true", "model.position_embedding=true"), tmp_path / "exported")
    session = onnxruntime.InferenceSession(tmp_path / "exported" / "model.onnx")
    lengths = {"steps": 4, "candidates": 3}
    rng, feed = np.random.default_rng(0), {}
    for one in session.get_inputs():
        shape = [length if isinstance(length, int) else lengths.get(length, 2) for length in one.shape]
        whole = one.type == "tensor(int64)"
        feed[one.name] = np.ones(shape, np.int64) if whole else rng.normal(size=shape).astype(np.float32)
    feed |= {"popularity": np.abs(feed["popularity"]), "time": np.array([9_000_000])}
    usual = session.run(None, feed)[0]
    for name, values in feed.items():
        more = 8_000_000 if name in ("times", "time") else 1  # seconds
        changed = session.run(None, {**feed, name: values + more})[0]
        assert np.abs(changed - usual).max() > 1e-5, name


def test_a_graph_that_differs_from_the_scorer_is_refused_and_nothing_is_left(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Any, logit: str, platt: Any) -> str:
        return graph.op("Sigmoid", graph.op("Mul", logit, np.array(1.001, np.float32)))

    monkeypatch.setattr(export, "_probability", wrong)
    with pytest.raises(RunError, match=r"up to \S+ from those of the scorer; expected 1e-05 at most"):
        export_run(small_run, tmp_path / "new" / "exported")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_as_it_is(small_run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(RunError, match="exists already"):
        export_run(small_run, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_weights_beyond_what_a_file_of_onnx_holds_are_refused(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "_MOST", 1000)
    with pytest.raises(
        RunError, match=r"bytes of weights, most of them rows of items and users; expected 1,000 at"
    ):
        export_run(small_run, tmp_path / "exported")


def test_another_format_is_refused(small_run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format is 'pmml', expected one of onnx, torch"):
        export_run(small_run, tmp_path / "exported", "pmml")


def test_a_filtered_history_is_refused_by_its_key(make_run: Make, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"model\.filter_by=category cannot be exported"):
        export_run(make_run("model.filter_by=category"), tmp_path / "exported")


def test_a_model_that_has_no_graph_is_refused_by_its_name(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(graphs._MODELS, DIEN)
    with pytest.raises(RunError, match=r"the model dien \(DIEN\) cannot be exported; expected one of DIN, "):
        export_run(small_run, tmp_path / "exported")


def test_the_command_says_what_it_has_written(small_run: Run, tmp_path: Path) -> None:
    done = dien("export", str(small_run.path), "--out", str(tmp_path / "exported"), "--json")
    said = json.loads(done.stdout)
    assert said["format"] == "onnx"
    assert said["bytes"] == (tmp_path / "exported" / "model.onnx").stat().st_size
    assert sorted(file.name for file in (tmp_path / "exported").iterdir()) == [
        "model.onnx",
        "preprocessing.json",
    ]


def test_without_onnx_the_command_says_what_to_install(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("dien.serving.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)  # its import fails as if it were not there
    done = dien("export", str(small_run.path), "--out", str(tmp_path / "exported"))
    assert done.returncode == 1
    assert "pip install 'dien[export]'" in done.stderr
