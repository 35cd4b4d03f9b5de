"""What the explorer's server answers, and to whom."""

from typing import Any

import httpx
import msgspec
import pytest

from dien.data.dataset import Dataset
from dien.explain import Explanation, WholeRun, whole_run
from dien.explore.explorer import EXPLAINED, SAMPLE, Explorer
from dien.run import Run
from dien.serving import Scorer
from tests.explore.explored import HOSTILE, LONG, served


@pytest.fixture
def client(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, timeout=60)


@pytest.fixture(scope="module")
def dataset(explorer: Explorer) -> Dataset:
    return explorer.dataset


def asked(client: httpx.Client, user: str, run: int = 0, drop: int = 0) -> dict[str, Any]:
    """What the page asks of a user, without the newest behaviours."""
    logged = client.get("api/user", params={"id": user}).json()["logged"]
    end = len(logged["history"]) - drop
    return {
        "run": run,
        "user": user,
        "history": logged["history"][:end],
        "times": logged["times"][:end],
        "candidates": logged["candidates"],
        "time": logged["time"],
        "context": logged["context"],
    }


def test_users_are_found_by_how_their_id_begins_whatever_the_case(client: httpx.Client) -> None:
    found = client.get("api/users", params={"q": "U-LO"}).json()
    assert [user["id"] for user in found] == [LONG]
    assert found[0]["behaviours"] == 1000
    assert len(client.get("api/users").json()) == 20
    assert client.get("api/users", params={"q": "long"}).json() == []


def test_items_are_found_by_id_or_name_and_an_id_itself_comes_first(client: httpx.Client) -> None:
    assert [item["id"] for item in client.get("api/items", params={"q": "SOAP NO. 17"}).json()] == ["i17"]
    found = client.get("api/items", params={"q": "i5"}).json()
    assert found[0] == {"id": "i5", "name": "Soap no. 5", "features": {"category": "<b>kind</b> 0"}}
    assert {item["id"] for item in found} == {"i5", *(f"i5{k}" for k in range(10))} | set()
    assert [item["name"] for item in client.get("api/items", params={"q": "<img"}).json()] == [HOSTILE]
    assert client.get("api/items", params={"q": "%"}).json() == []


def test_a_user_has_the_history_before_the_newest_impression(client: httpx.Client, dataset: Dataset) -> None:
    logged = client.get("api/user", params={"id": "u-3"}).json()["logged"]
    row = dataset.user_ids.index("u-3")
    split = dataset.split("test")
    impressions = [i for i in range(len(split)) if split.user[i] == row]
    assert impressions, "the log has no impression of this user in test"
    newest = impressions[-1]
    begin, end = dataset.behaviours.offsets[row], split.end[newest]
    rows = slice(split.offsets[newest], split.offsets[newest + 1])
    assert logged["history"] == dataset.item_ids.decode(dataset.behaviours.item[begin:end]).to_list()
    assert logged["times"] == dataset.behaviours.time[begin:end].tolist()
    assert logged["candidates"] == dataset.item_ids.decode(split.item[rows]).to_list()
    assert logged["clicked"] == [k for k, label in enumerate(split.label[rows]) if label]
    assert (logged["split"], logged["time"], logged["older"]) == ("test", int(split.time[newest]), 0)


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("drop", [0, 2])
def test_a_score_is_what_the_scorer_says(
    client: httpx.Client, explored_runs: list[Any], run: int, drop: int
) -> None:
    request = asked(client, "u-3", run, drop)
    scores = client.post("api/score", json=request).json()
    del request["run"]
    assert scores == Scorer.load(explored_runs[run]).score(**request).tolist()


def test_an_explanation_is_of_the_edited_history(client: httpx.Client) -> None:
    request = asked(client, "u-3", drop=2)
    answer = client.post("api/explain", json=request)
    explanation = msgspec.json.decode(answer.content, type=Explanation)
    assert [one.item.id for one in explanation.history] == request["history"]
    assert [one.score for one in explanation.candidates] == client.post("api/score", json=request).json()


def test_the_whole_run_is_that_of_a_sample(client: httpx.Client, explored_runs: list[Any]) -> None:
    whole = msgspec.json.decode(client.get("api/whole", params={"run": 1}).content, type=WholeRun)
    assert whole == whole_run(Run.open(explored_runs[1]), sample=SAMPLE)


def test_the_page_to_keep_holds_hostile_names_as_text(client: httpx.Client) -> None:
    request = asked(client, "u-3")
    request["candidates"] = ["i1", "i2"]
    page = client.post("api/page", json=request).text
    assert page.startswith("<!DOCTYPE html>")
    assert HOSTILE not in page
    assert "<script>document.title" not in page


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("api/user?id=nobody", None, "no user 'nobody'; search for another"),
        ("api/user", None, "'id'"),
        ("api/score", {"run": 0}, "missing required field `user`"),
        (
            "api/score",
            {"run": 7, "user": None, "history": [], "candidates": ["i1"]},
            "run is 7, expected 0 to 1",
        ),
        (
            "api/score",
            {"run": 0, "user": None, "history": ["i1"], "candidates": ["i1"], "times": [1, 2]},
            "times: ",
        ),
        ("api/whole?run=-1", None, "run is -1"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(client: httpx.Client, path: str, body: Any, says: str) -> None:
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "a b"]
)
def test_a_request_that_names_another_host_is_refused(client: httpx.Client, host: str) -> None:
    for path in ("", "api/runs"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code in (400, 421)
        assert "runs" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_another_page_asks_is_refused_and_a_link_of_it_is_followed(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    for answer in (
        client.get("api/runs", headers=headers),
        client.post("api/score", json=asked(client, "u-3"), headers=headers),
    ):
        assert answer.status_code == 403
        assert "another page" in answer.json()["error"]
    if "Origin" not in headers:
        assert client.get("whole", headers=headers).status_code == 200


def test_what_is_posted_is_json_and_says_so(client: httpx.Client, address: str) -> None:
    body = msgspec.json.encode(asked(client, "u-3"))
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("api/score", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 415
    ours = {"Content-Type": "application/json; charset=utf-8", "Origin": address.rstrip("/")}
    assert client.post("api/score", content=body, headers=ours).status_code == 200


def test_too_much_to_explain_at_once_is_refused_in_a_sentence(client: httpx.Client) -> None:
    request = asked(client, LONG) | {"candidates": ["i1"] * 100}
    answer = client.post("api/explain", json=request)
    assert answer.status_code == 400
    read = len(request["history"])
    assert f"found 100, expected {EXPLAINED // read} at most" in answer.json()["error"]


def test_a_failure_is_said_and_printed(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(text: str) -> None:
        raise RuntimeError(f"nothing for {text!r}")

    monkeypatch.setattr(explorer, "find_users", fail)
    with served(explorer) as url:
        answer = httpx.get(f"{url}api/users", params={"q": "u"})
    assert answer.status_code == 500
    assert "dien explore failed: RuntimeError" in answer.json()["error"]
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    assert "RuntimeError: nothing for 'u'" in errors


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:9", "LOCALHOST"])
def test_a_request_to_this_machine_is_answered(client: httpx.Client, host: str) -> None:
    assert client.get("api/runs", headers={"Host": host}).status_code == 200


def test_pages_load_nothing_from_elsewhere_and_no_other_page_may_hold_them(client: httpx.Client) -> None:
    headers = client.get("").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert client.get("static/explore.js").headers["content-type"].startswith("text/javascript")
    assert client.get("static/..%2fpage.py").status_code == 404
