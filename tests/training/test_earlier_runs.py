"""Run folders of earlier versions, whose ``config.yaml`` lacks keys."""

import shlex
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dien.config import RunConfig, load_config, override
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import ModelConfig, models, register
from dien.models.sum_pooling import SumPooling
from dien.run import RESULT, WEIGHTS, Run
from dien.serving import Scorer
from dien.training import evaluate, fit
from dien.training.folder import settings_now
from dien.training.warm import expect_extension

SETTINGS = ["training.epochs=1", "model.max_history=12", "model.hidden_size=6"]
BEFORE: dict[str, dict[str, Any]] = {
    "model": {
        "matches": False,
        "match_dropout": 0.0,
        "auxiliary_steps": "all",
        "auxiliary_score": False,
        "embedding_dropout": 0.0,
        "behaviour_attention": False,
    },
    "training": {"id_dropout": 0.0, "weight_average": None},
}
"""What was done before there were these keys, whose defaults are something else."""
AS_BEFORE = (
    "match_history",
    "popularity",
    "filter_by",
    "filter_history",
    "behaviour_attention_hidden",
    "attended_behaviours",
)
"""Keys of a model that are newer, too, and whose defaults do nothing beside these."""


@pytest.fixture(scope="module")
def without_new_keys(small_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """A run as of before these keys, and one that is the same but for a config.yaml that lacks them."""
    path = tmp_path_factory.mktemp("earlier")
    fit(small_data, override(RunConfig(), [BEFORE], SETTINGS), path / "now", show_progress=False)
    shutil.copytree(path / "now", path / "before")
    file = path / "before/config.yaml"
    config = yaml.safe_load(file.read_text())
    for part, keys in {"model": (*BEFORE["model"], *AS_BEFORE), "training": BEFORE["training"]}.items():
        for key in keys:
            del config[part][key]
    file.write_text(yaml.safe_dump(config))
    return Run.open(path / "now"), Run.open(path / "before")


def test_a_run_whose_configuration_lacks_new_keys_is_and_scores_as_before(
    without_new_keys: tuple[Run, Run], small_data: Dataset
) -> None:
    now, before = without_new_keys
    assert before.config == now.config
    assert evaluate(before, small_data) == evaluate(now, small_data)
    request = ("u1", ["1", "2", "1"], ["1", "3"])
    np.testing.assert_array_equal(Scorer(before).score(*request), Scorer(now).score(*request))
    assert "times" not in [field.name for field in Scorer(before).fields.all]


def test_starting_from_such_a_run_or_resuming_it_by_the_defaults_is_refused_with_the_options_that_do(
    without_new_keys: tuple[Run, Run], small_data: Dataset, tmp_path: Path
) -> None:
    _, before = without_new_keys
    config = load_config(None, SETTINGS)
    with pytest.raises(RunError, match=r"with model.matches = False, not True; start from") as start:
        fit(small_data, config, tmp_path / "next", start_from=before, show_progress=False)
    with pytest.raises(RunError, match=r"with model.embedding_dropout = 0.0, not 0.1; resume") as resume:
        fit(small_data, config, before.path, resume=True, show_progress=False)
    for refusal in (start, resume):
        assert f"({before.options()})" in str(refusal.value)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_an_earlier_run_names_every_key_that_differs_and_goes_on_by_these_options(
    without_new_keys: tuple[Run, Run], small_data: Dataset, tmp_path: Path
) -> None:
    now, before = without_new_keys
    _, file, *rest = shlex.split(before.options())
    assert file == str(before.path / "config.yaml")
    assert rest[::2] == ["--set"] * (len(rest) // 2)
    keys = [f"{part}.{key}" for part, of in BEFORE.items() for key in of]
    assert sorted(setting.partition("=")[0] for setting in rest[1::2]) == sorted(keys)
    assert now.options() == f"--config {now.path / 'config.yaml'}"

    config = load_config(file, rest[1::2])
    assert config == before.config
    out = shutil.copytree(before.path, tmp_path / "again")
    for name in (RESULT, WEIGHTS):  # as if it had been stopped at the end of its last epoch
        (out / name).unlink()
    fit(small_data, config, out, resume=True, show_progress=False)
    assert (out / WEIGHTS).read_bytes() == (before.path / WEIGHTS).read_bytes()


def test_keys_without_effect_refuse_neither_to_resume_a_run_nor_to_start_from_it(
    without_new_keys: tuple[Run, Run], small_data: Dataset
) -> None:
    _, before = without_new_keys
    idle = ["model.match_dropout=0.7", "model.match_history=3", "model.behaviour_attention_hidden=[7]"]
    config = override(before.config, [], idle)
    assert {setting.partition("=")[0] for setting in idle} <= config.without_effect().keys()
    assert fit(small_data, config, before.path, resume=True, show_progress=False).epochs == 1
    expect_extension(before, config.model, small_data)
    for setting in ("model.behaviour_attention=true", "model.target_weight=0.5"):
        other = override(config, [], [setting])
        with pytest.raises(RunError, match=r"was started with " + setting.partition("=")[0]):
            fit(small_data, other, before.path, resume=True, show_progress=False)
        with pytest.raises(RunError, match=r"was trained with " + setting.partition("=")[0]):
            expect_extension(before, other.model, small_data)


def test_how_a_run_was_trained_does_not_refuse_to_start_from_it(
    without_new_keys: tuple[Run, Run], small_data: Dataset
) -> None:
    _, before = without_new_keys
    expect_extension(before, override(before.config, [], ["model.auxiliary_steps=new"]).model, small_data)


@given(st.sampled_from(list(models())), st.data())
def test_stored_settings_of_any_model_mean_what_was_done_before_by_the_keys_they_lack(
    name: str, data: st.DataObject
) -> None:
    stored = RunConfig(model=models()[name].config).model_dump(mode="json")
    known = [(part, key) for part, of in BEFORE.items() for key in of if key in stored[part]]
    assert ("training", "id_dropout") in known
    assert ("model", "matches") in known
    lacking, expected = deepcopy(stored), deepcopy(stored)
    for part, key in data.draw(st.sets(st.sampled_from(known))):
        del lacking[part][key]
        expected[part][key] = BEFORE[part][key]
    assert settings_now(lacking, "settings: ").model_dump(mode="json") == expected


class OwnConfig(ModelConfig):
    """A model of one's own whose key has the name of one of DIEN's."""

    name: Literal["own"] = "own"
    auxiliary_weight: float = 0.5


class Own(SumPooling):
    """Never built."""


@pytest.mark.usefixtures("_models_as_before")
def test_an_earlier_run_of_a_model_of_ones_own_opens_whatever_its_keys_are_called(
    small_data: Dataset, tmp_path: Path
) -> None:
    register("own", Own, OwnConfig())
    config = RunConfig(model=OwnConfig(auxiliary_weight=0.25))
    Run.create(tmp_path / "own", config, small_data, None, 1)
    file = tmp_path / "own/config.yaml"
    stored = yaml.safe_load(file.read_text())
    del stored["model"]["matches"], stored["model"]["match_dropout"]
    del stored["training"]["id_dropout"], stored["training"]["weight_average"]
    file.write_text(yaml.safe_dump(stored))
    found = Run.open(tmp_path / "own").config
    assert found.model == OwnConfig(auxiliary_weight=0.25, match_dropout=0.0)
    assert (found.training.id_dropout, found.training.weight_average) == (0, None)


def test_a_key_that_matches_alone_read_has_no_effect_without_them() -> None:
    with pytest.warns(UserWarning, match=r"model.match_history has no effect with model.matches=False"):
        load_config(None, ["model.matches=false", "model.match_history=7"])
