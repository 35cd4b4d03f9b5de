"""The run folder: enough on its own, and clear about what is wrong with it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.errors import DataError, RunError
from dien.run import Run, differences
from dien.tensors import read_tensors
from dien.training import evaluate
from dien.training.checkpoint import save_tensors


@pytest.fixture
def run(small_run: Run, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(small_run.path, tmp_path / "run")


def test_a_run_has_the_catalogue_of_its_data_and_outlives_it(
    small_data: Dataset, small_run: Run, tmp_path: Path
) -> None:
    data = Dataset.open(shutil.copytree(small_data.path, tmp_path / "data"))
    path = Run.create(tmp_path / "run", small_run.config, data).path
    shutil.rmtree(tmp_path / "data")
    run = Run.open(path)
    assert run.schema == small_data.schema
    assert run.config == small_run.config
    assert run.item_ids.values.to_list() == small_data.item_ids.values.to_list()
    assert run.user_ids.values.to_list() == small_data.user_ids.values.to_list()
    for mine, theirs in ((run.items, small_data.items), (run.users, small_data.users)):
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    for name, vocabulary in small_data.vocabularies.items():
        assert run.vocabularies[name].values.to_list() == vocabulary.values.to_list()


def test_a_run_from_before_a_key_was_added_opens_without_a_warning(
    run: Path, recwarn: pytest.WarningsRecorder
) -> None:
    kept = (run / "config.yaml").read_text().splitlines()
    (run / "config.yaml").write_text("\n".join(line for line in kept if "head_affine" not in line))
    assert Run.open(run).config.model.head_affine is False
    assert not recwarn.list


def test_a_loaded_model_has_the_trained_weights_and_draws_no_random_number(small_run: Run) -> None:
    before = torch.get_rng_state()
    model = small_run.load_model()
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    trained = load_file(small_run.path / "model.safetensors")
    assert all(torch.equal(trained[name], tensor) for name, tensor in model.state_dict().items())


def test_a_run_is_made_whole_or_not_at_all(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dien.run._copy", full)
    with pytest.raises(RunError, match="could not be written"):
        Run.create(tmp_path / "run", load_config(), small_data)
    assert not list(tmp_path.iterdir())


def test_a_run_begun_while_its_dataset_is_replaced_is_refused_and_nothing_is_left(
    small_data: Dataset, tmp_path: Path
) -> None:
    data = Dataset.open(shutil.copytree(small_data.path, tmp_path / "data"))
    data.path.rename(tmp_path / "before")
    shutil.copytree(small_data.path, data.path)
    with pytest.raises(DataError, match="was replaced, as by an append, since it was opened; run again"):
        Run.create(tmp_path / "run", load_config(), data)
    assert {path.name for path in tmp_path.iterdir()} <= {"data", "before", ".run.lock"}


def test_what_becomes_of_a_dataset_changes_no_run(small_data: Dataset, tmp_path: Path) -> None:
    data = Dataset.open(shutil.copytree(small_data.path, tmp_path / "data"))
    run = Run.create(tmp_path / "run", load_config(), data)
    before = {name: column.copy() for name, column in run.items.items() if isinstance(column, np.ndarray)}
    for file in (data.path / "items").iterdir():
        file.write_bytes(b"")
    again = Run.open(run.path).items
    assert before
    assert all(np.array_equal(again[name], column) for name, column in before.items())


def test_a_run_is_not_made_over_what_exists(small_data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(RunError, match="exists already"):
        Run.create(tmp_path / "run", load_config(), small_data)


def test_no_run_is_recognised_as_such(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(RunError, match=r"run\.json.*run folder"):
            Run.open(path)


def test_another_format_is_refused(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "format": 99}))
    with pytest.raises(RunError, match=r"format 99.*train again"):
        Run.open(run)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2}',
        '{"format": 2, "dataset": {"schema": 3}}',
        '{"format": 2, "data": 3, "dataset": {"schema": []}}',
    ],
)
def test_a_damaged_description_is_named(text: str, run: Path) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json: not (as dien train writes it|JSON)"):
        Run.open(run)


WRONG_DATASETS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda data: data["time"].update(train=3), r"dataset: .* - at `\$.time"),  # a converted run has none
    (lambda data: data.pop("sizes"), "dataset: .*missing required field `sizes`"),
    (lambda data: data["sizes"].update(items="3"), r"dataset: .* - at `\$.sizes.items`"),
    (lambda data: data.pop("schema"), "dataset: .*missing required field `schema`"),
    (lambda data: data["schema"].pop("features"), r"dataset.schema: .*missing required field `features`"),
    (
        lambda data: data["schema"]["features"][1].update(size="82"),
        r"dataset.schema: features\[1\]: Expected `int`, got `str` - at `\$.size`",
    ),
    (
        lambda data: data["schema"]["features"][0].update(encoder=3),
        r"dataset.schema: features\[0\]: encoder: Expected `object`, got `int`",
    ),
]


@pytest.mark.parametrize(
    ("change", "message", "converted"),
    [(*one, converted) for converted in (False, True) for one in WRONG_DATASETS[converted:]],
)
def test_a_wrong_field_of_the_dataset_is_named_when_a_run_is_opened(
    change: Callable[[Any], Any], message: str, converted: bool, run: Path
) -> None:
    info = json.loads((run / "run.json").read_text())
    if converted:
        info["data"], info["dataset"] = None, {name: info["dataset"][name] for name in ("schema", "sizes")}
        (run / "run.json").write_text(json.dumps(info))
        assert len(Run.open(run).items) > 0
    change(info["dataset"])
    (run / "run.json").write_text(json.dumps(info))
    with pytest.raises(RunError, match=rf"run\.json: not as dien train writes it: {message}"):
        Run.open(run)


def test_fields_of_a_later_version_make_no_other_dataset(
    run: Path, small_data: Dataset, tmp_path: Path
) -> None:
    data = shutil.copytree(small_data.path, tmp_path / "data")
    info, of_data = (json.loads(file.read_text()) for file in (run / "run.json", data / "dataset.json"))
    info["dataset"]["colour"] = "red"
    of_data["recipe"]["colour"] = "blue"
    (run / "run.json").write_text(json.dumps(info))
    (data / "dataset.json").write_text(json.dumps(of_data))
    Run.open(run).expect_data(Dataset.open(data))


def test_a_dataset_whose_items_have_names_since_is_no_other(run: Path, small_data: Dataset) -> None:
    named = msgspec.structs.replace(small_data.info, item_names=not small_data.info.item_names)
    Run.open(run).expect_data(replace(small_data, info=named))


def test_the_feature_in_which_another_dataset_differs_is_named(run: Path, small_data: Dataset) -> None:
    def message(change: Callable[[list[Any]], Any]) -> str:
        features = small_data.info.to_json()["schema"]["features"]
        change(features)
        info = msgspec.structs.replace(small_data.info, schema={"features": features})
        with pytest.raises(RunError) as raised:
            Run.open(run).expect_data(replace(small_data, info=info))
        return str(raised.value)

    size = small_data.schema.features[1].size
    name = small_data.schema.features[1].name
    assert f"schema.features.{name}.size of its dataset.json was {size}, is 7;" in message(
        lambda features: features[1].update(size=7)
    )
    assert f"schema.features.{name} of its dataset.json was {{'name'" in message(
        lambda features: features.pop(1)
    )
    names = [feature.name for feature in small_data.schema.features]
    assert f"the order of schema.features of its dataset.json was {names}, is " in message(
        lambda features: features.reverse()
    )


@given(
    st.lists(st.sampled_from("abc"), max_size=4),
    st.lists(st.sampled_from("abc"), max_size=4),
    st.integers(0, 1),
)
def test_lists_by_name_have_a_difference_exactly_where_they_differ(
    old: list[str], new: list[str], size: int
) -> None:
    was = [{"name": name, "size": 0} for name in old]
    now = [{"name": name, "size": size} for name in new]
    assert bool(list(differences({"key": was}, {"key": now}))) == (was != now)


@pytest.mark.parametrize(
    "file", ["config.yaml", "items/ids.parquet", "users/user.npy", "vocabularies/hour.parquet"]
)
def test_a_missing_file_is_named(file: str, run: Path) -> None:
    (run / file).unlink()
    with pytest.raises(RunError, match=file):
        Run.open(run)


def test_weights_that_do_not_fit_or_cannot_be_read_are_named(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    name = "logit.weight"
    save_file({**weights, name: weights[name][:, 1:].contiguous()}, run / "model.safetensors")
    with pytest.raises(RunError, match=r"model.safetensors: logit.weight is float32 .*, expected float32"):
        Run.open(run).load_model()
    save_file({**weights, "auxiliary_x": weights[name].clone()}, run / "model.safetensors")
    with pytest.raises(RunError, match=r"(?s)model.safetensors: does not fit config.yaml: .*auxiliary_x"):
        Run.open(run).load_model()
    (run / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(RunError, match=r"model.safetensors: cannot be read.*train again"):
        Run.open(run).load_model()
    (run / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model.safetensors: missing.*train again"):
        Run.open(run).load_model()


def test_a_calibration_that_is_none_is_named(run: Path) -> None:
    weights, texts = read_tensors(Run.open(run).folder, "model.safetensors")
    damaged = texts["calibration"].replace('"scale": ', '"scale": -')
    save_tensors(run / "model.safetensors", weights, {"calibration": damaged})
    with pytest.raises(RunError, match=r"model.safetensors: its calibration: .*scale is -.*above 0"):
        Run.open(run).load_model()


def test_weights_of_an_earlier_version_without_a_calibration_score_as_they_did(run: Path) -> None:
    weights, _ = read_tensors(Run.open(run).folder, "model.safetensors")
    calibrated = evaluate(run)
    save_file(weights, run / "model.safetensors")
    assert Run.open(run).load_model().calibration is None
    bare = evaluate(run)
    assert bare.uncalibrated is None
    assert calibrated.uncalibrated is not None
    assert (bare.auc, bare.gauc) == (calibrated.auc, calibrated.gauc)
    assert bare.log_loss == calibrated.uncalibrated.log_loss != calibrated.log_loss
    assert bare.calibration == calibrated.uncalibrated.calibration
