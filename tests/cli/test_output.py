"""What every command prints on standard output: all of it arrives, or an error says that it did not."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dien.cli.output import finish, print_as_it_is, tell
from dien.errors import DienError
from tests.cli.commands import WORKS
from tests.cli.running import dien


def closed_pipe() -> int:
    """Give a pipe to write to that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("command", WORKS)
def test_a_command_whose_result_nobody_reads_fails_and_says_so(
    command: str, fill: Callable[[str], list[str]]
) -> None:
    with os.fdopen(closed_pipe(), "w") as output:
        done = dien(*command.split(), *fill(WORKS[command]), stdout=output)
    assert done.stderr.splitlines()[-1] == "error: standard output: could not be written (Broken pipe)"
    assert done.returncode == 1


class Failing(io.StringIO):
    """Standard error that fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed")])
def test_a_line_for_which_standard_error_cannot_be_had_is_lost_and_nothing_else(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Failing(error))
    tell("said")
    with os.fdopen(closed_pipe(), "w") as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        tell("said")


def test_a_line_is_told_without_what_a_terminal_would_obey(capfd: pytest.CaptureFixture[str]) -> None:
    tell("a\x1b[31mb")
    assert capfd.readouterr().err == "a\\x1b[31mb\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["bench", "schema infer", "inspect"])
def test_a_command_whose_result_finds_no_room_fails_and_says_so(
    command: str, fill: Callable[[str], list[str]]
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as output:
        done = dien(*command.split(), *fill(WORKS[command]), stdout=output)
    assert done.stderr.splitlines()[-1].startswith("error: standard output: could not be written (No space")
    assert done.returncode == 1


def test_text_for_a_program_is_printed_to_the_last_character(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a: [b]  # :smile: \x1b[1m\t \u202e " + "x" * 500 + "\n\n"
    print_as_it_is(text)
    assert capsys.readouterr().out == text


def test_a_key_is_printed_as_words_and_a_name_of_a_column_in_it_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    finish({}, {"valid_auc": 1, "rows without user (column 'user_id')": 2}, "done", as_json=False)
    printed = capsys.readouterr().out
    assert "valid AUC" in printed
    assert "(column 'user_id')" in printed


def test_a_standard_output_without_room_is_an_error_of_dien(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(DienError, match=r"^standard output: could not be written \(No space left on device"):
        print_as_it_is("text")
