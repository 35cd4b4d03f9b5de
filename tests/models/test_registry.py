import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

import dien.models
from dien.errors import ConfigError
from dien.models import DIEN, DIENConfig, ModelConfig, build, model_config, models, register, registry
from dien.models.din import DIN, DINConfig
from tests.models.batches import SCHEMA

NEW_FILE = """
from dien.models import register
from dien.models.sum_pooling import SumPooling, SumPoolingConfig

class Newcomer(SumPooling): ...

register("newcomer", Newcomer, SumPoolingConfig(max_history=3))
"""


@pytest.fixture(autouse=True)
def _modules_as_before(_models_as_before: None) -> Iterator[None]:
    """Have the modules that a test adds be gone after it, with their models."""
    yield
    registry._load.cache_clear()
    sys.modules.pop("dien.models.newcomer", None)


def test_a_file_that_is_added_to_the_folder_adds_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(models())
    (tmp_path / "newcomer.py").write_text(NEW_FILE)
    monkeypatch.setattr(dien.models, "__path__", [*dien.models.__path__, str(tmp_path)])
    registry._load.cache_clear()
    # By the name of its file: after the paper's, in the order of its tables, and before Rocket Launching.
    assert list(models()) == [*before[:-1], "newcomer", "rocket"]
    assert model_config("newcomer").max_history == 3


def test_a_name_gives_a_class_other_defaults() -> None:
    register("short-dien", DIEN, DIENConfig(max_history=7))
    assert type(build(model_config("short-dien"), SCHEMA)) is DIEN


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="the name 'din' is taken, by DIN"):
        register("din", DIN, DINConfig())


def test_a_class_that_is_called_model_and_derives_from_none_is_refused() -> None:
    own = type("Model", (torch.nn.Module,), {})
    with pytest.raises(TypeError, match=r"expected a class derived from dien.Model"):
        register("own", own, DINConfig())


def test_a_configuration_of_no_registered_model_cannot_be_built() -> None:
    with pytest.raises(ConfigError, match="unknown model 'nothing'; expected one of: sum-pooling, "):
        build(ModelConfig(name="nothing"), SCHEMA)


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("mine", "nowhere.to_be_found", "dien.models")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    registry._load.cache_clear()
    with pytest.raises(ConfigError, match=r"entry point mine = nowhere.to_be_found .*mend or uninstall"):
        models()
