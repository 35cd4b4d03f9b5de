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


def test_a_command_that_is_disturbed_leaves_what_is_whole_and_comes_to_the_same_bytes_when_repeated(
    tmp_path: Path,
) -> None:
    wanted = {"most": None if os.environ.get("DIEN_FAULTS") == "all" else 6}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.disturbed", str(tmp_path)],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    assert list(results) == [command.name for command in COMMANDS]
    for name, found in results.items():
        assert found["complaints"] == {fault: [] for fault in found["complaints"]}
        assert found["complaints"].keys() == {"killed", "stopped", "full disk"}
        assert len(found["numbers"]) >= 6
        touched = " ".join(found["operations"])
        assert found["changed"], f"{name} did nothing"
        for file in found["changed"]:
            assert file.rpartition("/")[2] in touched, f"{file}: what has written it is not watched"
