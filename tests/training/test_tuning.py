"""tune.json: what is in it, and what is said where it is not as it must be."""

import json
from pathlib import Path

import pytest

from dien.errors import RunError
from dien.training.tuning import Trial, TrialRun, Tuning


@pytest.fixture
def made() -> Tuning:
    done = TrialRun(0, "runs/000-0", "done", None, 0.75, best_epoch=1, epochs=2, parameters=10)
    failed = TrialRun(1, "runs/000-1", "failed", "no memory")
    values = {"training.learning_rate": 0.1 + 0.2, "model.head_hidden": (80, 40)}
    return Tuning(
        format=1,
        data="/data/beauty",
        model="din",
        seeds=2,
        settings={"model": {"head_hidden": [80, 40]}, "training": {}},
        space=dict.fromkeys(values, "anything"),
        trials=[
            Trial(0, values, "failed", None, None, [done, failed]),
            Trial(1, values, "unfinished", None, None, [TrialRun(0, "runs/001-0", "unfinished")]),
        ],
        best=None,
        importance=None,
    )


def test_a_search_comes_back_from_its_file_as_it_was_with_layers_as_tuples(
    made: Tuning, tmp_path: Path
) -> None:
    made.save(tmp_path)
    assert Tuning.load(tmp_path) == made
    assert json.loads((tmp_path / "tune.json").read_text()) == made.to_dict()


def test_a_run_has_the_fields_of_its_status(made: Tuning) -> None:
    first, second = made.to_dict()["trials"]
    about = {"seed", "run", "status"}
    assert [run.keys() for run in first["runs"]] == [
        about | {"valid_auc", "best_epoch", "epochs", "parameters"},
        about | {"error"},
    ]
    assert [run.keys() for run in second["runs"]] == [about]
    assert made.trials[0].error == "no memory"
    assert made.trials[1].error is None


@pytest.mark.parametrize("field", ["settings", "space", "trials", "best", "importance"])
def test_a_field_that_is_missing_or_of_another_type_is_named_with_the_file(
    field: str, made: Tuning, tmp_path: Path
) -> None:
    content = made.to_dict()
    for damaged in (
        {name: value for name, value in content.items() if name != field},
        {**content, field: "x"},
    ):
        (tmp_path / "tune.json").write_text(json.dumps(damaged))
        with pytest.raises(RunError, match=rf"tune\.json: not as dien tune writes it .*{field}"):
            Tuning.load(tmp_path)
