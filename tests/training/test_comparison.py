"""comparison.json: what is in it, and what is said where it is not as it must be."""

import json
from pathlib import Path

import pytest

from dien.errors import RunError
from dien.training.comparison import Comparison, FailedRun, Spread, UnfinishedRun
from tests.reports.comparisons import OVER, SPREAD, comparison, difference, run, summary

ABOUT = {"model", "data", "seed", "run", "status"}


@pytest.fixture
def made() -> Comparison:
    return comparison(
        ["din", "dien"],
        [
            run("din", 0, auc=0.75, valid_auc=None),
            FailedRun("dien", "/data/beauty", 0, "runs/dien-0", "no memory"),
            UnfinishedRun("din", "/data/beauty", 1, "runs/din-1"),
        ],
        table=[summary("din", over_best=OVER, auc=Spread(0.1 + 0.2, None, None, None, 1)), summary("dien")],
        differences=[difference("dien", "din", p_holm=0.25)],
        settings={"din": {"model": {"head_hidden": [80, 40]}, "training": {"seed": 0}}},
        untested="there is one replicate",
    )


def test_a_comparison_comes_back_from_its_file_as_it_was(made: Comparison, tmp_path: Path) -> None:
    made.save(tmp_path)
    assert Comparison.load(tmp_path) == made
    assert json.loads((tmp_path / "comparison.json").read_text()) == made.to_dict()


def test_a_run_has_the_fields_of_its_status_and_null_where_a_figure_is_unknown(made: Comparison) -> None:
    done, failed, unfinished = made.to_dict()["runs"]
    assert [part["status"] for part in (done, failed, unfinished)] == ["done", "failed", "unfinished"]
    assert [part.status for part in made.runs] == ["done", "failed", "unfinished"]
    rates = {"training_rows_per_second", "scoring_rows_per_second"}
    assert done.keys() == ABOUT | rates | {
        "epochs",
        "best_epoch",
        "stopped",
        "valid_auc",
        "test",
        "parameters",
    }
    assert done["valid_auc"] is None
    assert failed.keys() == {*ABOUT, "error"}
    assert unfinished.keys() == ABOUT


def test_differences_and_summaries_have_their_figures_under_the_names_they_had(made: Comparison) -> None:
    content = made.to_dict()
    over = {"mean", "low", "high", "p", "count"}
    assert content["differences"][0].keys() == over | {"model", "over", "p_holm"}
    assert content["table"][0]["over_best"].keys() == over
    assert content["table"][1]["auc"] == {name: getattr(SPREAD, name) for name in SPREAD.__struct_fields__}


@pytest.mark.parametrize("field", ["data", "models", "runs", "table", "differences", "drawn"])
def test_a_field_that_is_missing_or_of_another_type_is_named_with_the_file(
    field: str, made: Comparison, tmp_path: Path
) -> None:
    file, content = tmp_path / "comparison.json", made.to_dict()
    for damaged in ({name: value for name, value in content.items() if name != field}, {**content, field: 7}):
        file.write_text(json.dumps(damaged))
        with pytest.raises(RunError, match=rf"comparison\.json: not as dien compare writes it .*{field}"):
            Comparison.load(tmp_path)


def test_a_file_that_is_no_json_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"comparison\.json: No such file.*that dien compare wrote"):
        Comparison.load(tmp_path)
    (tmp_path / "comparison.json").write_text('{"format": 1')
    with pytest.raises(RunError, match=r"comparison\.json: not as dien compare writes it"):
        Comparison.load(tmp_path)
