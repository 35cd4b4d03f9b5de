"""``dien bench serve``, with a server that it starts itself."""

import pytest

from dien.run import Run
from tests.cli.running import dien, ok

FEW = ("--candidates", 5, "--history", 3, "--seconds", 0.3, "--rounds", 1)


def test_it_starts_a_server_and_prints_what_became_of_the_load(small_run: Run) -> None:
    found = ok("bench", "serve", small_run.path, *FEW, "--rate", 30, "--threads", 1)
    assert found["threads"] == 1
    assert found["load"]["unanswered"] == 0
    assert found["answers_checked"] > 0
    memory = found["server_megabytes"]
    assert memory["begin"] is None or memory["begin"] > 10
    done = dien("bench", "serve", small_run.path, *FEW, "--rate", 30, "--threads", 1)
    assert done.returncode == 0, done.stderr
    for said in ("scorer alone", "queue", "scoring", "answers checked"):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--rate", 5, "--bound", 5), 2, "give one of them"),
        (("--url", "http://10.1.2.3"), 1, "of this machine alone"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    small_run: Run, options: tuple[object, ...], code: int, says: str
) -> None:
    done = dien("bench", "serve", small_run.path, *options)
    assert done.returncode == code
    assert says in done.message


def test_options_before_the_command_are_refused_and_not_lost(small_run: Run) -> None:
    done = dien("bench", "--rounds", 3, "serve", small_run.path)
    assert done.returncode == 2
    assert "found --rounds before serve" in done.message
