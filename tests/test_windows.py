"""What Windows has not is not needed: locks, threads, folders and maps of other systems are taken away."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import windows


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is left to take away")
def test_the_commands_work_without_what_windows_lacks(tmp_path: Path) -> None:
    line = [sys.executable, windows.__file__, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len((tmp_path / "scores.jsonl").read_bytes().splitlines()) == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"log.csv", "day.csv", "requests.jsonl", "schema.yaml", "data", "run", "scores.jsonl"}
    for file in (*tmp_path.rglob("*.json"), *tmp_path.rglob("*.yaml"), tmp_path / "scores.jsonl"):
        assert b"\r" not in file.read_bytes(), file
