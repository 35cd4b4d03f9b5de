"""The systemd unit, as far as it goes without systemd: what it starts serves, reloads and ends."""

import configparser
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dien.run import Run
from tests.deploy.serving import DEPLOY, free_port, here, process

UNIT = DEPLOY / "dien.service"


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    found = configparser.RawConfigParser(strict=True)
    found.optionxform = str  # type: ignore[method-assign,assignment]  # keys have capitals
    found.read(UNIT)
    return found["Service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_every_line_of_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/dien/bin/dien", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    about_it = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert about_it == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_what_it_starts_serves_with_its_store_reloads_and_ends_with_0(
    service: configparser.SectionProxy, small_run: Run, tmp_path: Path
) -> None:
    port, run, state = free_port(), tmp_path / "run", tmp_path / "state"
    run.symlink_to(small_run.path)
    state.mkdir()
    names = {"/srv/dien/run": str(run), "${STATE_DIRECTORY}": str(state)}
    with process(here(shlex.split(service["ExecStart"]), names, port), port) as server:
        assert (state / "store").exists()
        reload = service["ExecReload"].replace("$MAINPID", str(server.pid))
        subprocess.run(shlex.split(reload), check=True)
        assert server.stderr is not None
        assert server.stderr.readline().startswith(f"reloaded: {small_run.path.resolve()}, model ")
        server.send_signal(signal.Signals[service["KillSignal"]])
        _, errors = server.communicate(timeout=60)
        assert (server.returncode, errors) == (0, "")


def test_it_is_given_longer_to_end_than_it_takes_for_requests_in_flight(
    service: configparser.SectionProxy,
) -> None:
    drain = re.search(r"--drain (\d+)", service["ExecStart"])
    assert drain is not None
    assert int(service["TimeoutStopSec"]) > int(drain[1])
