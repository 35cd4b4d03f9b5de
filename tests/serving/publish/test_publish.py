"""Publishing: what is worse is refused with the reason, what is forced says so, and nothing is half done."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from tests.serving.publish.putting import changed, put

from dien.data.dataset import Dataset
from dien.errors import PublishError, RunError
from dien.published import CURRENT, MODELS, current_run, model_folder, read_published
from dien.run import WEIGHTS, Run
from dien.serving import Scorer
from dien.serving.publish import GateError, Limits, publish
from dien.serving.publish.loading import expect_scores_as
from dien.training import evaluate


@pytest.fixture(scope="module")
def better_and_worse(
    small_data: Dataset, small_run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Two runs, the second of which has the lower AUC by far: its weights are upside down."""
    upside_down = changed(small_run.path, tmp_path_factory.mktemp("worse") / "run", -1, "logit")
    runs = sorted((upside_down, small_run.path), key=lambda run: -(evaluate(run, small_data).auc or 0))
    return runs[0], runs[1]


REQUEST = {"user": "u1", "history": ["1", "2"], "candidates": ["3", "4"], "times": [1, 2], "time": 3}


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    (tmp_path / "requests.jsonl").write_text(json.dumps(REQUEST) + "\n")
    return tmp_path / "requests.jsonl"


def test_the_first_is_published_without_a_comparison_and_says_what_was_not_checked(
    small_run: Run, small_data: Dataset, tmp_path: Path, requests: Path
) -> None:
    done = publish(small_run.path, tmp_path / "shop", requests=requests)
    assert (done.changed, done.before, done.forced, done.version) == (True, None, False, small_run.version)
    assert done.gate is not None
    assert done.gate.loaded == 2
    assert done.gate.refused == []
    assert "nothing is published yet" in done.gate.unchecked[0]
    assert done.gate.held_out is not None
    own = evaluate(small_run, small_data)
    assert done.gate.held_out.metrics["auc"].new == pytest.approx(own.auc, abs=1e-5)
    published = read_published(tmp_path / "shop")
    assert published is not None
    assert published.models[0].run == str(small_run.path.resolve())
    assert published.models[0].gate == done.gate.to_dict()


def test_the_first_is_published_where_its_dataset_is_gone(small_run: Run, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run.path, tmp_path / "run"))
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"data": str(tmp_path / "gone")}))
    done = publish(run, tmp_path / "shop")
    assert done.gate is not None
    assert any("no longer there" in what for what in done.gate.unchecked)
    with pytest.raises(GateError, match="No such file or directory"):
        publish(run, tmp_path / "other", data=tmp_path / "gone")


def test_a_worse_model_is_refused_with_figures_and_nothing_changes_until_it_is_forced(
    better_and_worse: tuple[Path, Path], tmp_path: Path
) -> None:
    better, worse = better_and_worse
    first = publish(better, tmp_path).version
    before = (tmp_path / CURRENT).read_bytes()
    with pytest.raises(GateError, match=r"auc is 0\.\d+, of the current model 0\.\d+: worse by") as error:
        publish(worse, tmp_path)
    assert error.value.gate.held_out is not None
    assert error.value.gate.held_out.metrics["auc"].high is not None
    assert (tmp_path / CURRENT).read_bytes() == before
    assert [one.name for one in (tmp_path / MODELS).iterdir()] == [first]
    publish(worse, tmp_path, limits=Limits(margin=1))  # a margin that lets it through
    assert not [model for model in read_published(tmp_path).models if model.forced]  # type: ignore[union-attr]
    publish(better, tmp_path)
    done = publish(worse, tmp_path, force=True)
    published = read_published(tmp_path)
    assert published is not None
    assert done.forced
    assert published.model(published.version).forced  # type: ignore[union-attr]
    assert "worse by" in published.model(published.version).gate["refused"][0]  # type: ignore[union-attr]
    assert published.before == first


def test_scores_that_drift_too_far_are_refused(
    better_and_worse: tuple[Path, Path], tmp_path: Path, requests: Path
) -> None:
    put(tmp_path / "shop", better_and_worse[0])
    limits = Limits(margin=1, most_drift=0)
    with pytest.raises(GateError, match="expected 0 at most"):
        publish(better_and_worse[1], tmp_path / "shop", requests=requests, limits=limits)
    requests.write_text(json.dumps({**REQUEST, "device": "phone"}) + "\n")
    with pytest.raises(GateError, match=r"1 of 1 requests of .*: line 1: device"):
        publish(better_and_worse[1], tmp_path / "shop", requests=requests, limits=Limits(margin=1))


def test_where_the_current_model_is_damaged_one_may_force_another(
    three_runs: list[Path], tmp_path: Path, requests: Path
) -> None:
    (model_folder(tmp_path / "shop", put(tmp_path / "shop", three_runs[0])) / WEIGHTS).write_bytes(b"")
    with pytest.raises(GateError, match="not compared with the current model"):
        publish(three_runs[1], tmp_path / "shop", requests=requests)
    done = publish(three_runs[1], tmp_path / "shop", requests=requests, force=True)
    assert done.gate is not None
    assert done.gate.held_out is not None
    assert done.gate.held_out.metrics["auc"].new is not None
    assert done.gate.held_out.metrics["auc"].current is None


@pytest.fixture
def without_finite_scores(small_run: Run, tmp_path: Path) -> Path:
    """A run whose weights are finite, and whose scores are not."""
    return changed(small_run.path, tmp_path / "nan", 1e30)


def test_a_first_model_whose_scores_are_not_finite_is_refused(
    without_finite_scores: Path, tmp_path: Path
) -> None:
    with pytest.raises(GateError, match=r"no metrics of held-out rows: .*NaN"):
        publish(without_finite_scores, tmp_path / "shop")


def test_where_the_scores_of_the_current_model_are_not_finite_one_may_force_another(
    without_finite_scores: Path, three_runs: list[Path], tmp_path: Path, requests: Path
) -> None:
    put(tmp_path / "shop", without_finite_scores)
    with pytest.raises(GateError, match=r"; requests not compared with the current model: .*NaN"):
        publish(three_runs[1], tmp_path / "shop", requests=requests)
    done = publish(three_runs[1], tmp_path / "shop", requests=requests, force=True)
    assert done.gate is not None
    assert done.gate.drift is not None
    assert (done.gate.drift.requests, done.gate.drift.compared) == (1, 0)
    assert "NaN" in (done.gate.drift.not_compared or "")


def test_a_copy_that_was_damaged_is_made_anew_when_its_run_is_published_again(
    three_runs: list[Path], tmp_path: Path
) -> None:
    first, _ = (put(tmp_path, run) for run in three_runs[:2])
    (model_folder(tmp_path, first) / WEIGHTS).write_bytes(b"")
    assert publish(three_runs[0], tmp_path, limits=Limits(margin=1)).version == first
    assert Run.open(current_run(tmp_path)).version == first


def test_rows_that_a_run_is_trained_on_are_no_split_to_publish_by(small_run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split is 'train'; expected one of test, valid"):
        publish(small_run.path, tmp_path / "shop", split="train")


def test_a_run_that_is_current_is_not_published_again_and_one_that_was_so_before_is(
    three_runs: list[Path], tmp_path: Path
) -> None:
    first, second = put(tmp_path, three_runs[0]), put(tmp_path, three_runs[1])
    before = (tmp_path / CURRENT).read_bytes()
    again = publish(three_runs[1], tmp_path)
    assert (again.changed, again.version, again.gate) == (False, second, None)
    assert (tmp_path / CURRENT).read_bytes() == before
    back = publish(three_runs[0], tmp_path, limits=Limits(margin=1), keep=1)
    assert (back.version, back.before, back.removed) == (first, second, [])


def test_older_models_are_removed_and_the_answer_names_them(three_runs: list[Path], tmp_path: Path) -> None:
    first, second = put(tmp_path, three_runs[0]), put(tmp_path, three_runs[1])
    done = publish(three_runs[2], tmp_path, limits=Limits(margin=1), keep=2)
    assert done.removed == [first]
    assert sorted(one.name for one in (tmp_path / MODELS).iterdir()) == sorted([second, done.version])


def test_a_run_that_cannot_be_loaded_is_refused_though_it_is_forced(
    three_runs: list[Path], tmp_path: Path
) -> None:
    put(tmp_path / "shop", three_runs[0])
    run = Path(shutil.copytree(three_runs[1], tmp_path / "run"))
    (run / WEIGHTS).write_bytes(b"")
    with pytest.raises(RunError, match=str(run)):
        publish(run, tmp_path / "shop", force=True)
    assert current_run(tmp_path / "shop").name == Run.open(three_runs[0]).version


def test_a_copy_that_scores_otherwise_is_refused(three_runs: list[Path]) -> None:
    with pytest.raises(PublishError, match="its copy gives scores that differ"):
        expect_scores_as(Scorer.load(three_runs[0]), three_runs[2], [])


def test_a_copy_that_fails_the_test_is_removed(
    three_runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise PublishError("no")

    monkeypatch.setattr(sys.modules[publish.__module__], "expect_scores_as", fails)
    with pytest.raises(PublishError, match="no"):
        publish(three_runs[0], tmp_path)
    assert list((tmp_path / MODELS).iterdir()) == []
    assert read_published(tmp_path) is None
