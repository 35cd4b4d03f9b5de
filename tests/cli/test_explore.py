"""The command that serves a page: it says where, and refuses or warns of what should not be."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx

from dien.run import Run
from tests.cli.running import command, dien


def test_it_prints_where_it_answers_until_it_is_stopped(small_run: Run) -> None:
    line = command("explore", small_run.path, "--against", small_run.path, "--port", 0, "--json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            runs = httpx.get(f"{said['url']}api/runs").json()
            assert [run["model"] for run in runs] == ["dien", "dien"]
            assert said["against"] == str(small_run.path)
        finally:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130), errors
    assert "Traceback" not in errors


def test_an_address_that_others_reach_is_warned_of(small_run: Run) -> None:
    line = command("explore", small_run.path, "--port", 0, "--host", "0.0.0.0")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert " on http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert "from other machines: http://ADDRESS:" in errors
    assert "warning: whoever reaches 0.0.0.0 sees the histories of all users; there is no password" in errors


def test_a_port_that_is_taken_is_refused_in_a_sentence(small_run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = dien("explore", small_run.path, "--port", taken.getsockname()[1])
    assert done.returncode == 1
    assert "cannot be listened on: " in done.message
    assert os.strerror(98) in done.message


def test_another_dataset_is_refused(small_run: Run, amazon_data: Path) -> None:
    done = dien("explore", small_run.path, "--data", amazon_data, "--port", 0)
    assert done.returncode == 1
    assert "error: " in done.message
