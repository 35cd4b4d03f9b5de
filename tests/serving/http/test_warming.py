"""A model is warmed up with what was recorded: one that would refuse what clients send does not take over."""

from pathlib import Path
from typing import Any

import pytest
from tests.serving.http.servers import running

from dien.errors import RunError
from dien.run import Run
from dien.serving import Request, Scorer
from dien.serving.http import recording, sample
from dien.serving.http.warming import MADE, WarmUp, warm_up
from dien.serving.recorded import to_line

PLAIN = Request(user="u1", history=["1"], candidates=["2"], times=[5], time=9)
POSITION = Request(user="u1", history=["1"], candidates=["2"], times=[5], time=9, context={"position": 1.5})
REFUSED = "requests are refused by this run: position: no such feature in this run"
TOKEN = {"Authorization": "Bearer secret"}


def test_requests_that_the_run_refuses_are_counted_with_the_first_reason(small_run: Run) -> None:
    recorded = list(map(to_line, [PLAIN, POSITION, PLAIN, POSITION]))
    found = warm_up(Scorer(small_run), recorded)
    assert found == WarmUp(4, 2, "position: no such feature in this run")
    assert str(found) == f"2 of 4 recorded {REFUSED}"


def test_a_run_that_refuses_all_of_them_is_refused(small_run: Run) -> None:
    with pytest.raises(RunError, match="3 of 3 recorded requests are refused by this run: position: no such"):
        warm_up(Scorer(small_run), [to_line(POSITION)] * 3)


@pytest.mark.parametrize("recorded", [0, 1, MADE, 9])
def test_each_recorded_request_is_scored_and_others_are_made_where_there_are_few(
    small_run: Run, recorded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, users = Scorer(small_run), list[Any]()
    monkeypatch.setattr(scorer, "score_many", lambda requests: users.extend(one.user for one in requests))
    assert warm_up(scorer, [to_line(PLAIN)] * recorded) == WarmUp(recorded)
    assert users.count("u1") == recorded
    assert len(users) == (recorded if recorded >= MADE else recorded + MADE)


def test_a_run_whose_scores_are_not_finite_is_refused_for_that(
    small_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_finite(*arguments: Any) -> Any:
        raise RunError("run: a score is not finite")

    scorer = Scorer(small_run)
    monkeypatch.setattr(scorer, "score_many", not_finite)
    with pytest.raises(RunError, match=r"^run: a score is not finite"):
        warm_up(scorer, [to_line(PLAIN)])


def test_a_server_reloads_and_starts_only_with_a_run_that_takes_what_was_recorded(
    rich_run: Run, small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "FIRST_EVERY", 0.0)
    monkeypatch.setattr(recording, "WRITE_EVERY", 0.0)
    file, told = tmp_path / "requests.jsonl", list[str]()
    asked = {"candidates": ["1"], "history": []}
    with running(rich_run.path, record=file, reload_token="secret") as server:
        monkeypatch.setattr(server.service, "_told", told.append)

        def recorded(body: Any, number: int) -> None:
            assert server.score(body).status_code == 200
            while len(server.service.recorder.spread(99)) < number:  # type: ignore[union-attr]
                pass

        def reload(run: Run) -> Any:
            return server.client.post("/reload", headers=TOKEN, json={"run": str(run.path)})

        recorded(asked | {"context": {"position": 0.5}}, 1)
        before = server.client.get("/model").json()
        answer = reload(small_run)
        assert answer.status_code == 422
        assert "1 of 1 recorded requests are refused by this run: position" in answer.json()["error"]
        assert server.client.get("/model").json() == before
        assert told == []

        recorded(asked, 2)
        assert reload(small_run).status_code == 200
        assert told == [f"1 of 2 recorded {REFUSED}"]
        counts = server.client.get("/metrics").text
        assert 'dien_warm_up_requests_total{result="scored"} 1.0' in counts
        assert 'dien_warm_up_requests_total{result="refused"} 1.0' in counts
    file.write_bytes(to_line(POSITION))
    with (
        pytest.raises(RunError, match="1 of 1 recorded requests are refused"),
        running(small_run.path, record=file),
    ):
        pass
