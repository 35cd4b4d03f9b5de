"""The command that explains: a table, a page, one JSON object, and refusals that say how to mend."""

import json
from pathlib import Path

import pytest

from dien.explain import Explanation
from dien.run import Run
from dien.serving import Scorer
from tests.cli.running import dien
from tests.serving.conftest import rich_data, rich_log, rich_run, rich_scorer

__all__ = ["rich_data", "rich_log", "rich_run", "rich_scorer"]


@pytest.fixture
def run(rich_scorer: Scorer) -> Run:
    return rich_scorer.run


def test_the_table_has_the_candidates_and_the_behaviours_of_the_best(run: Run) -> None:
    options = ("explain", run.path, "--user", "u1", "--candidates", "i1,i2")
    done = dien(*options)
    assert done.returncode == 0, done.stderr
    for text in ("candidate", "(i1)", "(i2)", "behaviours of most influence"):
        assert text in done.stdout
    shown = Explanation.from_json(dien(*options, "--json").stdout)
    best = max(shown.candidates, key=lambda one: one.score)
    assert f"({best.item.id}): influence of several, left out at once" in done.stdout
    largest = sorted(best.influence, key=abs)[-15:]
    figures = [f"{one.logit:.4f}" for one in shown.candidates]
    figures += [f"{one:+.4f}" for one in (*largest, *(run.influence for run in best.runs))]
    figures += [f"{score:.4f}" for score in (shown.flip.after if shown.flip else ())]
    for text in (*figures, *(run.name for run in best.runs)):
        assert text in done.stdout
    assert "the order turns: " in done.stdout or "without which it turns" in done.stdout
    assert done.stdout.splitlines()[-1] == f"run folder: {run.path}"


def test_json_is_the_whole_explanation_and_the_page_is_written_beside(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = dien("explain", run.path, "--user", "u1", "--top", 3, "--html", page, "--json")
    assert done.returncode == 0, done.stderr
    found = Explanation.from_json(done.stdout)
    assert json.loads(done.stdout)["user"] == "u1"
    scores = [one.score for one in found.candidates]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert "do not tell the context of a request (hour, zone, position, age_of_page, wanted)" in done.stderr
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--user", "nobody"], 1, "no user 'nobody' (users/ids.parquet)"),
        (["--user", "u1", "--candidates", "i1,nothing"], 1, "no item 'nothing' (items/ids.parquet)"),
        (["--user", "u1", "--time", "0"], 1, "user 'u1' has no behaviours before 0"),
        (["--user", "u1", "--time", "abc"], 1, "--time: 'abc', expected integers, seconds since 1970"),
        (["--user", "u1", "--candidates", "i1", "--top", "2"], 2, "keep one of them"),
        (["--user", "u1", "--candidates", "i1,i2,i1"], 2, "--candidates: i1 is there twice"),
        ([], 2, "--user"),
    ],
)
def test_what_cannot_be_explained_is_refused(run: Run, options: list[str], code: int, says: str) -> None:
    done = dien("explain", run.path, *options)
    assert done.returncode == code
    assert says in done.message
