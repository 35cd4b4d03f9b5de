"""Requests that were scored are kept in a file, which gives the same scores and is whole at any moment."""

import json
import re
import resource
import stat
import sys
import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from tests.serving.http.servers import running

from dien.errors import ConfigError
from dien.run import Run
from dien.serving import Request, Scorer, score_file
from dien.serving.http import recording, sample
from dien.serving.http.options import ServerOptions
from dien.serving.http.recording import Recorder, read_sample
from dien.serving.http.sample import Sample
from dien.serving.http.service import Service

ASKED = {"candidates": ["i1", "i2"], "history": ["i3"], "times": [1], "time": 2}


@pytest.fixture(autouse=True)
def _all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record every call, and write each at once."""
    monkeypatch.setattr(sample, "FIRST_EVERY", 0.0)
    monkeypatch.setattr(recording, "WRITE_EVERY", 0.0)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def until_lines(file: Path, number: int) -> list[dict[str, Any]]:
    for _ in range(6000):
        if file.exists() and len(lines_of(file)) >= number:
            break
        time.sleep(0.01)
    return lines_of(file)


def test_a_replay_of_the_file_gives_the_scores_that_were_answered(
    rich_run: Run, rich_scorer: Scorer, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "requests.jsonl"
    with running(rich_run.path, record=file, store="memory:") as server:
        answered = [server.score(request).json()["scores"] for request in rich_requests[:5]]
        observed = {"user": "u3", "behaviours": [{"item": "i1", "features": {"dwell": 2.5}}]}
        assert server.client.post("/observe", json=observed).status_code == 200
        answered.append(server.score({"user": "u3", "candidates": ["i4", "i1"]}).json()["scores"])
        tensors = [
            {"name": "candidates", "shape": [2], "datatype": "BYTES", "data": ["i1", "i2"]},
            {"name": "user", "shape": [1], "datatype": "BYTES", "data": ["u3"]},
            {"name": "context.position", "shape": [1], "datatype": "FP64", "data": [0.5]},
        ]
        answer = server.client.post("/v2/models/dien/infer", json={"inputs": tensors}).json()
        answered.append(answer["outputs"][0]["data"])
        now = time.time()
    lines = lines_of(file)
    assert lines[5]["history"] == lines[6]["history"] == ["i1"]
    assert lines[5]["dwell"] == [2.5]
    assert [line.get(".stored") for line in lines] == [None] * 5 + [["action", "dwell", "labels"]] * 2
    assert now - 60 < lines[5]["time"] <= now + 1  # of the server's clock: the request had none
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    score_file(rich_scorer, file, tmp_path / "scores.jsonl")
    replayed = [line["scores"] for line in lines_of(tmp_path / "scores.jsonl")]
    assert len(replayed) == len(answered)
    for found, expected in zip(replayed, answered, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


def test_of_a_list_one_is_kept_and_of_what_is_refused_none(rich_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    with running(rich_run.path, record=file, largest=100) as server:
        assert server.score([ASKED | {"user": f"u{n}"} for n in range(9)]).status_code == 200
        assert server.score(ASKED | {"context": {"hours": 3}}).status_code == 422
        assert server.score(ASKED | {"candidates": ["i1"] * 99}).status_code == 413
        assert server.score([]).status_code == 200
    (line,) = lines_of(file)
    assert re.fullmatch("u[0-8]", line["user"])


def test_what_a_server_has_recorded_is_kept_by_the_next(rich_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    for user in ("first", "second"):
        with running(rich_run.path, record=file) as server:
            assert server.score(ASKED | {"user": user}).status_code == 200
    assert [line["user"] for line in lines_of(file)] == ["first", "second"]


def test_calls_that_come_sooner_than_one_is_due_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = Recorder(file, Sample([b'{"history":[],"candidates":[]}\n'] * 900), print, lambda well: None)
    for _ in range(100):
        recorder.offer([Request(user=1, history=[], candidates=[])], [False])
    recorder.close()
    assert len(lines_of(file)) == 901


def test_a_folder_that_is_missing_is_told_of_once_and_counted_and_scoring_goes_on(
    rich_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, told = tmp_path / "later" / "requests.jsonl", list[str]()
    with running(rich_run.path, record=file) as server:
        recorder = server.service.recorder
        assert recorder is not None
        monkeypatch.setattr(recorder, "_told", told.append)

        def counted(result: str) -> float:
            name = f'dien_record_writings_total{{result="{result}"}} '
            lines = server.client.get("/metrics").text.splitlines()
            return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

        while counted("failed") < 3:
            assert server.score(ASKED).status_code == 200
        assert len(told) == 1
        assert "requests are not recorded" in told[0]
        assert str(file) in told[0]
        assert "make its folder first" in told[0]
        file.parent.mkdir()
        while not counted("written"):
            assert server.score(ASKED).status_code == 200
        assert told[1:] == [f"{file}: requests are recorded again"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file, told, wrote = tmp_path / "requests.jsonl", list[str](), Queue[bool]()
    recorder = Recorder(file, Sample(), told.append, wrote.put)
    recorder.offer([Request(user="u1", history=[], candidates=[])], [False])
    assert wrote.get(timeout=30)
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # no file may grow beyond
        recorder.offer([Request(user="u1", history=["x" * 100] * 1000, candidates=[])], [False])
        assert not wrote.get(timeout=30)
        assert file.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    recorder.close()
    assert len(lines_of(file)) == 2
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert "(File too large)" in told[0]


def test_the_file_is_whole_whenever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MOST", 9)
    file = tmp_path / "requests.jsonl"
    recorder = Recorder(file, Sample(), print, lambda well: None)
    request = Request(user="u1", history=["x" * 50] * 200, candidates=[])
    stop = threading.Event()

    def offer() -> None:
        while not stop.wait(0.001):
            recorder.offer([request], [False])

    thread = threading.Thread(target=offer)
    thread.start()
    until_lines(file, 1)
    for _ in range(50):
        lines = lines_of(file)
        assert 1 <= len(lines) <= 9
        assert all(line["history"] == request.history for line in lines)
    stop.set()
    thread.join()
    recorder.close()


@pytest.mark.parametrize(
    "content", [b"{}\n", b'{"user": 3, "item": 4}\n', b"user,history\n", b"\x00\xff", b'{"candidates": [']
)
def test_a_file_that_holds_something_else_is_refused_and_left_as_it_is(
    rich_run: Run, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"file: line 1: .*choose another path"):
        Service(rich_run.path, ServerOptions(record=file))
    assert file.read_bytes() == content


def test_a_file_of_more_lines_than_a_sample_has_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    line = b'{"history":[],"candidates":[]}\n'
    file = tmp_path / "file"
    file.write_bytes(1000 * line)
    assert len(read_sample(file)) == 1000
    file.write_bytes(1001 * line)
    with pytest.raises(ConfigError, match=r"file: found 1,001 lines, .* the 1,000 of .*choose another path"):
        read_sample(file)
    assert file.read_bytes() == 1001 * line


def test_what_stands_in_the_place_of_the_file_is_left_as_it_is(tmp_path: Path) -> None:
    told, wrote = list[str](), Queue[bool]()
    (tmp_path / "folder").mkdir()
    recorder = Recorder(tmp_path / "folder", read_sample(tmp_path / "folder"), told.append, wrote.put)
    recorder.offer([Request(user=1, history=[], candidates=[])], [False])
    assert not wrote.get(timeout=30)
    recorder.close()
    assert "a folder has this name" in told[0]
    assert not list((tmp_path / "folder").iterdir())
