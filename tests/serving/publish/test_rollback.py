"""Going back: to the model before, and further; to one by its version; never to one that cannot be loaded."""

from pathlib import Path

import pytest
from tests.serving.publish.putting import put

from dien.errors import PublishError, RunError
from dien.published import CURRENT, current_run, model_folder
from dien.run import WEIGHTS
from dien.serving.publish import published_models, rollback


def test_each_rollback_goes_one_further_back_and_the_last_says_that_there_is_none(
    three_runs: list[Path], tmp_path: Path
) -> None:
    first, second, third = (put(tmp_path / "shop", run) for run in three_runs)
    assert published_models(tmp_path / "shop").version == third
    assert rollback(tmp_path / "shop").version == second
    assert rollback(tmp_path / "shop").version == first
    assert current_run(tmp_path / "shop").name == first
    with pytest.raises(PublishError, match=f"no model was current before {first}; choose one of {second}"):
        rollback(tmp_path / "shop")


def test_after_a_rollback_and_another_publish_one_goes_back_to_what_was_current_and_not_to_what_was_bad(
    three_runs: list[Path], tmp_path: Path
) -> None:
    first, _ = (put(tmp_path, run) for run in three_runs[:2])
    rollback(tmp_path)
    third = put(tmp_path, three_runs[2])
    assert published_models(tmp_path).before == first
    assert rollback(tmp_path).version == first
    assert rollback(tmp_path, third).version == third


def test_what_was_rolled_back_can_be_chosen_again_by_its_version(
    three_runs: list[Path], tmp_path: Path
) -> None:
    first, second, third = (put(tmp_path, run) for run in three_runs)
    assert rollback(tmp_path, first).history == [first]
    assert rollback(tmp_path, third).history == [first, third]
    assert rollback(tmp_path, second).history == [first, third, second]


def test_a_version_that_is_not_there_or_is_current_is_refused_with_those_there_are(
    three_runs: list[Path], tmp_path: Path
) -> None:
    first, second = (put(tmp_path, run) for run in three_runs[:2])
    with pytest.raises(PublishError, match=f"found no version '../x'; choose one of {first}"):
        rollback(tmp_path, "../x")
    with pytest.raises(PublishError, match=f"{second} is current already"):
        rollback(tmp_path, second)
    with pytest.raises(PublishError, match="name a folder that dien publish wrote"):
        rollback(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_model_that_is_damaged_does_not_become_current(three_runs: list[Path], tmp_path: Path) -> None:
    first, second = (put(tmp_path, run) for run in three_runs[:2])
    (model_folder(tmp_path, first) / WEIGHTS).write_bytes(b"")
    before = (tmp_path / CURRENT).read_bytes()
    with pytest.raises(RunError, match=first):
        rollback(tmp_path)
    assert (tmp_path / CURRENT).read_bytes() == before
    assert published_models(tmp_path).version == second
