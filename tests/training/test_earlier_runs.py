"""Run folders of earlier versions, whose ``config.yaml`` lacks keys."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.run import Run
from dien.serving import Scorer
from dien.training import evaluate, fit

SETTINGS = ["training.epochs=1", "model.max_history=12", "model.hidden_size=6"]


@pytest.fixture(scope="module")
def without_matches(small_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """A run without matches, and one that is the same but for a config.yaml that does not speak of them."""
    path = tmp_path_factory.mktemp("earlier")
    for name in ("now", "before"):
        fit(
            small_data,
            load_config(None, [*SETTINGS, "model.matches=false"]),
            path / name,
            show_progress=False,
        )
    file = path / "before/config.yaml"
    config = yaml.safe_load(file.read_text())
    for key in ("matches", "match_history", "popularity", "filter_by", "filter_history"):
        del config["model"][key]
    file.write_text(yaml.safe_dump(config))
    return Run.open(path / "now"), Run.open(path / "before")


def test_a_run_whose_configuration_does_not_speak_of_matches_has_none_and_scores_as_before(
    without_matches: tuple[Run, Run], small_data: Dataset
) -> None:
    now, before = without_matches
    assert before.config == now.config
    assert evaluate(before, small_data) == evaluate(now, small_data)
    request = ("u1", ["1", "2", "1"], ["1", "3"])
    np.testing.assert_array_equal(Scorer(before).score(*request), Scorer(now).score(*request))
    assert "times" not in [field.name for field in Scorer(before).fields.all]


def test_starting_from_such_a_run_or_resuming_it_with_matches_is_refused_with_the_options_that_do(
    without_matches: tuple[Run, Run], small_data: Dataset, tmp_path: Path
) -> None:
    _, before = without_matches
    config = load_config(None, SETTINGS)
    options = rf"\(--config {before.path / 'config.yaml'} --set model.matches=false\)"
    with pytest.raises(RunError, match=rf"with model.matches = False, not True; start .* model {options}"):
        fit(small_data, config, tmp_path / "next", start_from=before, show_progress=False)
    with pytest.raises(RunError, match=rf"with model.matches = False, not True; resume .* {options}"):
        fit(small_data, config, before.path, resume=True, show_progress=False)
    same = load_config(before.path / "config.yaml", ["model.matches=false"])
    assert same == before.config


def test_a_key_that_matches_alone_read_has_no_effect_without_them() -> None:
    with pytest.warns(UserWarning, match=r"model.match_history has no effect with model.matches=False"):
        load_config(None, ["model.matches=false", "model.match_history=7"])
