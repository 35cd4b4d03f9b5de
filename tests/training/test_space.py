"""What is searched: the same ranges for every model, nothing that was set by hand."""

from pathlib import Path

import pytest

from dien.config import RunConfig
from dien.data.dataset import Dataset
from dien.errors import ConfigError
from dien.models import Choice, LogUniform, model_config
from dien.training.space import flat, nested, search_space, spaces, with_values
from dien.training.step_size import settled


def test_a_key_has_the_same_range_in_every_model_and_all_share_five() -> None:
    ranges: dict[str, set[str]] = {}
    for model, space in spaces().items():
        for key, values in space.items():
            if model != "dien:recbole" or key not in ("model.embedding_size", "model.head_hidden"):
                ranges.setdefault(key, set()).add(str(values))
    assert all(len(found) == 1 for found in ranges.values()), ranges
    shared = set.intersection(*(set(space) for space in spaces().values()))
    assert shared == {
        "training.learning_rate",
        "training.batch_size",
        "model.embedding_size",
        "model.head_hidden",
        "training.id_dropout",
    }
    assert all(list(space)[:5] == list(spaces()["sum-pooling"])[:5] for space in spaces().values())


def test_recboles_sizes_are_the_shared_ones_with_its_own_in_their_order() -> None:
    own = RunConfig(model=model_config("dien:recbole"))
    for key in ("model.embedding_size", "model.head_hidden"):
        shared, found = spaces()["dien"][key], spaces()["dien:recbole"][key]
        assert isinstance(shared, Choice)
        assert isinstance(found, Choice)
        assert set(found.values) == {*shared.values, flat(own)[key]}
        assert list(found.values) == sorted(found.values)  # those beside each other are taken for alike


@pytest.mark.parametrize("model", spaces())
def test_every_value_fits_the_model_and_its_defaults_lie_in_its_space(
    model: str, small_data: Dataset
) -> None:
    space, config = spaces()[model], settled(RunConfig(model=model_config(model)), small_data)
    ends = {
        key: values.values if isinstance(values, Choice) else (values.low, values.high)
        for key, values in space.items()
    }
    for number in range(max(map(len, ends.values()))):
        values = {key: of_key[min(number, len(of_key) - 1)] for key, of_key in ends.items()}
        found = flat(with_values(config, values))
        assert {key: found[key] for key in values} == values
        assert found["model.name"] == config.model.name
    assert all(flat(config)[key] in values for key, values in space.items())


@pytest.mark.parametrize("model", [model for model in spaces() if model.startswith("gru")])
def test_models_without_the_auxiliary_loss_do_not_get_it_by_tuning(model: str) -> None:
    assert "model.auxiliary_weight" not in spaces()[model]
    assert "model.gru" not in spaces()[model]


def test_what_is_set_by_hand_is_not_searched(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "training: {batch_size: 64}\n"
        "models: {din: {model: {embedding_size: 4}}, sum-pooling: {model: {head_hidden: [8]}}}\n"
    )
    found = search_space("din", file, ["model.pooled_history=true", "training={learning_rate: 0.001}"])
    assert list(found) == [
        "model.head_hidden",
        "training.id_dropout",
        "model.match_dropout",
        "model.attention_hidden",
    ]
    assert search_space("din") == spaces()["din"]


def test_a_key_that_others_set_by_hand_leave_without_effect_is_not_searched() -> None:
    found = search_space("dien", settings=["model.auxiliary_weight=0"])
    assert found.keys() == spaces()["dien"].keys() - {"model.auxiliary_weight"}


@pytest.mark.parametrize("model", spaces())
def test_every_searched_key_has_an_effect_for_some_value_of_the_others(model: str) -> None:
    idle, space = model_config(model).without_effect(), spaces()[model]
    assert all(f"model.{cause}" in space for key, cause in idle.items() if f"model.{key}" in space)


def test_a_model_without_a_space_and_a_space_without_keys_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--model: nothing to search is stated for 'dian'; one of: sum-poo"
    ):
        search_space("dian")
    values = ["training.learning_rate=0.1", "training.batch_size=2", "model.embedding_size=2"]
    values += ["training.id_dropout=0", "model.match_dropout=0"]
    with pytest.raises(ConfigError, match=r"leave nothing to search of training.learning_rate, "):
        search_space("sum-pooling", None, [*values, "model.head_hidden=[2]"])


def test_dotted_keys_and_mappings_of_mappings_are_the_same() -> None:
    config = RunConfig()
    assert nested(flat(config)) == config.model_dump()


def test_ranges_hold_their_ends() -> None:
    assert 5e-4 in LogUniform(5e-4, 5e-3)
    assert 5e-3 in LogUniform(5e-4, 5e-3)
    assert 6e-3 not in LogUniform(5e-4, 5e-3)
    assert str(Choice(((80, 40), (36,)))) == "80-40 | 36"
