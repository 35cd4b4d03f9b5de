"""The Dockerfile, as far as it goes without Docker: what it copies is there, what it starts serves."""

import fnmatch
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dien.run import Run
from tests.deploy.serving import DEPLOY, ROOT, free_port, here, process

Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    """The instructions of each stage: a word in capitals and what is after it."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]
    found: list[list[Instruction]] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


def value(stage: list[Instruction], word: str) -> str:
    (found,) = [rest for own, rest in stage if own == word]
    return found


def command(text: str) -> list[str]:
    """Read a command in exec form, which alone gets the signals of its container."""
    found = json.loads(text)
    assert all(isinstance(part, str) for part in found)
    return list(found)


def copied(stages: list[list[Instruction]]) -> list[str]:
    """What comes from the repository."""
    lines = [rest for stage in stages for word, rest in stage if word == "COPY" and "--from" not in rest]
    return [source for line in lines for source in shlex.split(line)[:-1]]


def test_what_is_copied_is_there_and_not_left_out_by_the_ignore_file(
    stages: list[list[Instruction]],
) -> None:
    rules = [
        line
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line and line[0] != "#"
    ]
    for source in copied(stages):
        assert (ROOT / source).exists()
        ignored = False
        for rule in rules:
            if fnmatch.fnmatch(source, rule.removeprefix("!")):
                ignored = rule[0] != "!"
        assert not ignored, source


def test_what_is_copied_is_enough_to_describe_the_package(
    stages: list[list[Instruction]], tmp_path: Path
) -> None:
    for source in copied(stages[:1]):
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, tmp_path / source)
    line = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    (about,) = tmp_path.glob("*.egg-info/PKG-INFO")
    assert "Provides-Extra: serve\n" in about.read_text()
    listed = next(tmp_path.glob("*.egg-info/SOURCES.txt")).read_text()
    for file in ("presets", "attention_gru/cpu.py", "table/ready"):
        assert file in listed


def test_the_compiler_stays_out_of_the_last_image_and_its_user_is_not_root(
    stages: list[list[Instruction]],
) -> None:
    assert len(stages) == 2
    assert any("g++" in rest for _, rest in stages[0])
    assert not any("apt" in rest or "g++" in rest for _, rest in stages[1])
    user = value(stages[1], "USER")
    assert int(user.partition(":")[0]) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_what_it_starts_serves_is_healthy_and_ends_with_0_on_its_stop_signal(
    stages: list[list[Instruction]], small_run: Run
) -> None:
    last, port = stages[-1], free_port()
    names = {"/model": str(small_run.path), "0.0.0.0": "127.0.0.1"}
    line = here(command(value(last, "ENTRYPOINT")) + command(value(last, "CMD")), names, port)
    check = command(value(last, "HEALTHCHECK").partition("CMD ")[2])
    healthy = here(check, {}, port)
    assert subprocess.run(healthy, capture_output=True, check=False).returncode != 0
    with process(line, port) as server:
        subprocess.run(healthy, check=True)
        server.send_signal(signal.Signals[value(last, "STOPSIGNAL")])
        said, errors = server.communicate(timeout=60)
        assert (server.returncode, errors) == (0, "")
        assert str(port) in said
    assert value(last, "EXPOSE") == "8000"
