"""The benchmark of reloads under load: what it counts is what the server did."""

import json
import sys

import pytest

from benchmarks import reload
from dien.run import Run


def test_good_runs_are_loaded_broken_ones_refused_and_every_request_scored(
    small_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reload, "WARM_UPS", 0)
    options = {"--reloads": 4, "--broken": 4, "--candidates": 5, "--history": 3, "--load": 0.02}
    line = ["reload.py", "--run", str(small_run.path)]
    monkeypatch.setattr(sys, "argv", line + [str(part) for option in options.items() for part in option])
    reload.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["loaded"], found["refused"], found["amiss"]) == (4, 4, [])
    assert found["load"]["scored"] == found["load"]["requests"] > 0
    assert found["answers_checked"] > 0
    assert found["answers_wrong"] == 0
