"""Presets: each is a configuration of every model it names."""

from pathlib import Path

import pytest

from dien.config import RunConfig, load_config, read_layers
from dien.errors import ConfigError
from dien.models import model_config
from dien.presets import PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_configures_each_model_it_names_otherwise_than_the_defaults(
    preset: str, recwarn: pytest.WarningsRecorder
) -> None:
    common, own = read_layers(Path(preset))
    assert own
    assert not common
    for model in own:
        config = load_config(Path(preset), model=model)
        assert config.model.name == model_config(model).name
        assert config != RunConfig(model=model_config(model))
    assert not recwarn.list  # no key is without effect


def test_a_file_of_a_presets_name_goes_before_the_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("amazon-beauty").write_text("training: {batch_size: 7}")
    assert load_config(Path("amazon-beauty")).training.batch_size == 7


def test_a_name_of_neither_a_file_nor_a_preset_is_answered_with_the_presets() -> None:
    with pytest.raises(ConfigError, match=r"amazon-books: cannot be read: .*; presets are .*amazon-beauty"):
        load_config(Path("amazon-books"))
