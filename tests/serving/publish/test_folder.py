"""A folder of published models: copies that nothing changes, one of them current, the newest kept."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.publish.putting import put

from dien.data.dataset import Dataset
from dien.errors import PublishError
from dien.published import (
    FORMAT,
    MODELS,
    Published,
    PublishedModel,
    current_run,
    model_folder,
    read_published,
)
from dien.run import WEIGHTS, Run
from dien.serving import Scorer
from dien.serving.publish.folder import copy_run, publishing, with_current, with_model, with_newest
from dien.training import fit


def names(path: Path) -> list[str]:
    return sorted(one.name for one in (path / MODELS).iterdir())


def test_a_published_model_scores_as_its_run_when_that_is_gone(small_run: Run, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run.path, tmp_path / "run"))
    asked = {"user": "u1", "history": ["1", "2"], "candidates": ["3", "4"], "context": {"hour": "5"}}
    expected = Scorer.load(run).score(**asked)
    put(tmp_path / "shop", run)
    shutil.rmtree(run)
    found = Scorer.load(current_run(tmp_path / "shop"))
    assert (found.score(**asked) == expected).all()
    assert found.run.path.name == found.run.version
    assert not (found.run.path / "checkpoints").exists()


def test_a_run_with_popularity_is_copied_with_all_that_scoring_needs(
    small_data: Dataset, small_run: Run, tmp_path: Path
) -> None:
    model = small_run.config.model.model_copy(update={"popularity": True})
    fit(
        small_data,
        small_run.config.model_copy(update={"model": model}),
        tmp_path / "run",
        show_progress=False,
    )
    put(tmp_path / "shop", tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    scorer = Scorer.load(current_run(tmp_path / "shop"))
    assert scorer.score("u1", [], ["3"], time=2_000_000).shape == (1,)


def test_a_run_that_is_trained_further_changes_no_published_model(small_run: Run, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run.path, tmp_path / "run"))
    put(tmp_path / "shop", run)
    copy = current_run(tmp_path / "shop") / WEIGHTS
    before = copy.read_bytes()
    with (run / WEIGHTS).open("r+b") as file:  # in place: a hard link would be the same file
        file.truncate(10)
    assert copy.read_bytes() == before


def test_a_run_that_changes_while_it_is_copied_is_refused_and_nothing_stays(
    three_runs: list[Path], tmp_path: Path
) -> None:
    with (
        publishing(tmp_path / "shop"),
        pytest.raises(PublishError, match="was changed while it was published"),
    ):
        copy_run(Run.open(three_runs[0]), tmp_path / "shop", Run.open(three_runs[1]).version)
    assert names(tmp_path / "shop") == []


def test_of_two_at_once_the_second_is_refused(three_runs: list[Path], tmp_path: Path) -> None:
    with (
        publishing(tmp_path / "shop"),
        pytest.raises(PublishError, match="another process is at work here"),
        publishing(tmp_path / "shop"),
    ):
        pass


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(small_run: Run, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run.path, tmp_path / "run"))
    before = sorted(run.rglob("*"))
    with pytest.raises(PublishError, match=r"no current\.json; expected a folder of published models"):
        put(run, small_run.path)
    assert sorted(run.rglob("*")) == before


def test_what_a_killed_process_has_left_is_removed_with_a_word_and_nothing_else(
    three_runs: list[Path], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    first = put(shop, three_runs[0])
    shutil.copytree(model_folder(shop, first), model_folder(shop, "0123456789ab"))
    (shop / MODELS / ".0123456789ab.scratch.01234567" / "new").mkdir(parents=True)
    (shop / MODELS / "notes").mkdir()
    with pytest.warns(UserWarning, match="a process that was killed had left it") as told:
        second = put(shop, three_runs[1])
    assert len(told) == 2
    assert names(shop) == sorted([first, second, "notes"])


def test_models_whose_current_json_is_lost_are_neither_removed_nor_published_over(
    three_runs: list[Path], tmp_path: Path
) -> None:
    versions = [put(tmp_path, run) for run in three_runs[:2]]
    (tmp_path / "current.json").rename(tmp_path.parent / "kept.json")
    with pytest.raises(
        PublishError, match=r"holds 2 models and no current\.json; put a copy of the file back"
    ):
        put(tmp_path, three_runs[2])
    assert names(tmp_path) == sorted(versions)
    (tmp_path.parent / "kept.json").rename(tmp_path / "current.json")
    assert current_run(tmp_path).name == versions[1]


def test_what_cannot_be_removed_is_not_told_to_be_so(three_runs: list[Path], tmp_path: Path) -> None:
    put(tmp_path, three_runs[0])
    (tmp_path / MODELS / "0123456789ab").write_text("no folder")
    with pytest.warns(UserWarning, match=r"0123456789ab: could not be removed, remove it; a process"):
        put(tmp_path, three_runs[1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "format None"),
        ('{"format": 2}', "format 2, this version of dien reads 1"),
        ('{"format": 1}', "not as dien publish writes it"),
    ],
)
def test_a_damaged_current_json_is_refused_with_its_name(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "current.json").write_text(text)
    with pytest.raises(PublishError, match=said) as error:
        current_run(tmp_path)
    assert "current.json" in str(error.value)


def test_no_version_leads_out_of_the_folder(three_runs: list[Path], tmp_path: Path) -> None:
    version = put(tmp_path, three_runs[0])
    text = (tmp_path / "current.json").read_text().replace(version, "../../elsewhere")
    (tmp_path / "current.json").write_text(text)
    with pytest.raises(PublishError, match="12 digits"):
        current_run(tmp_path)


def test_a_folder_without_current_json_is_a_run_folder(tmp_path: Path) -> None:
    assert read_published(tmp_path) is None
    (tmp_path / "link").symlink_to(tmp_path)
    assert current_run(tmp_path / "link") == tmp_path.resolve()


def model_of(number: int) -> PublishedModel:
    return PublishedModel(
        version=f"{number:012x}", run=f"runs/{number}", published="then", forced=False, gate={}
    )


@given(st.lists(st.one_of(st.integers(0, 5), st.just(None)), min_size=1, max_size=20), st.integers(1, 4))
def test_whatever_is_published_and_rolled_back_the_current_model_and_the_one_before_are_kept(
    steps: list[int | None], keep: int
) -> None:
    published: Published | None = None
    was_current: list[str] = []
    for step in steps:
        if step is not None:
            published = with_newest(with_model(published, model_of(step)), keep)
            was_current = [v for v in was_current if v != published.version] + [published.version]
        elif published is not None and published.before is not None:
            published = with_current(published, published.before)
            was_current.pop()
        if published is None:
            continue
        assert published.format == FORMAT
        assert published.version == was_current[-1]
        assert published.before == (was_current[-2] if len(was_current) > 1 else None)
        assert published.history == was_current[len(was_current) - len(published.history) :]
        was_current = list(published.history)
        assert {published.version, published.before} - {None} <= {one.version for one in published.models}
        assert len(published.models) <= max(keep, 2)
