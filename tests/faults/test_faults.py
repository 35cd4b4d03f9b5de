"""A fault at a file operation: what was there is whole, or what is new is; the same command mends the rest.

A sample of the operations; with ``DIEN_FAULTS=all`` in the environment, every one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commands import COMMANDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and /proc")
FAULTS = ("killed", "stopped", "full disk")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of every fault, by command."""
    wanted = {"commands": [], "most": None if os.environ.get("DIEN_FAULTS") == "all" else 5}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.disturbed", str(tmp_path_factory.mktemp("faults"))],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_a_command_that_is_disturbed_leaves_what_is_whole_and_comes_to_the_same_bytes_when_repeated(
    results: dict[str, Any], command: str, fault: str
) -> None:
    assert results[command]["complaints"][fault] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_faults_find_every_file_that_a_command_writes(results: dict[str, Any], command: Any) -> None:
    found = results[command.name]
    assert len(found["numbers"]) >= 5
    touched = " ".join(found["operations"])
    assert found["changed"], "the command did nothing"
    for name in found["changed"]:
        assert name.rpartition("/")[2] in touched, f"{name} was written by what is not watched"
