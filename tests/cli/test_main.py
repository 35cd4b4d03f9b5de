"""The commands from outside: exit codes, errors that say how to mend them, warnings, closed pipes, Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dien.data.dataset import Dataset
from tests.cli.running import command, dien, process


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("train",),
        ("evaluate", "run", "--split", "all"),
        ("prepare", "amazon", "--out", "x"),
        ("prepare", "complete-journey", "--out", "x", "--targets", "all"),
        ("prepare", "complete-journey", "--out", "x", "--recipe", "paper", "--negatives", "2"),
        ("prepare", "complete-journey", "--out", "x", "--valid-from", "yesterday"),
    ],
)
def test_wrong_usage_exits_with_2_and_prints_nothing_on_standard_output(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = dien(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "nowhere", "--out", "run"), "nowhere"),
        (("train", "{data}", "--out", "run", "--model", "dein"), "unknown model 'dein'"),
        (("train", "{data}", "--out", "run", "--set", "model.hidden=3"), "hidden"),
        (("train", "{data}", "--out", "run", "--set", "training.epochs"), "key=value"),
        (("train", "{data}", "--out", "run", "--config", "none.yaml"), "none.yaml"),
        (("evaluate", "nowhere"), "nowhere"),
        (("score", "nowhere", "r.jsonl", "--out", "s.jsonl"), "nowhere"),
    ],
)
def test_what_cannot_be_used_is_named_without_a_traceback(
    amazon_data: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = dien(*(a.format(data=amazon_data) for a in arguments), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_the_exit_codes_are_those_of_the_process() -> None:
    assert process("--help").returncode == 0
    assert process("evaluate", "nowhere").returncode == 1
    assert process("evaluate").returncode == 2


@pytest.mark.parametrize(
    "arguments", [("schema", "infer", "log.csv", "--out"), ("inspect", "{data}", "--html")]
)
def test_a_file_that_cannot_be_written_is_named_with_what_helps(
    arguments: tuple[str, ...], small_data: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\nu,i,1700000000\n")
    done = dien(*(a.format(data=small_data.path) for a in arguments), "nowhere/file", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.message.startswith("error: nowhere/file: could not be written (No such file or directory)")
    assert "make its folder first" in done.message
    assert "--resume" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


WARNINGS = """
import sys, warnings
import dien.data.inspection as inspection
from dien.cli import main

def warn(dataset):
    for _ in range(2):
        warnings.warn("model.gru_gate_bias has no effect:\\n it is [said] once", UserWarning, stacklevel=2)
        warnings.warn("model.gru_gate_bias has no effect:\\n it is [said] once", UserWarning)
    warnings.warn_explicit("of Python", RuntimeWarning, "elsewhere.py", 7)
    sys.exit(3)

inspection.inspect_data = warn
main()
"""


def test_a_warning_of_the_library_is_one_plain_line_and_said_once(small_data: Dataset) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WARNINGS, "inspect", str(small_data.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line]
    assert lines == [
        "warning: model.gru_gate_bias has no effect: it is [said] once",
        "elsewhere.py:7: RuntimeWarning: of Python",
    ]


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize(
    "arguments", [("train", "--help"), ("inspect", "{data}"), ("inspect", "{data}", "--json")]
)
def test_a_closed_pipe_ends_a_command_without_a_traceback(
    arguments: tuple[str, ...], small_data: Dataset
) -> None:
    line = command(*(a.format(data=small_data.path) for a in arguments))
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        errors = running.stderr.read()
        running.wait(timeout=60)
    assert "Traceback" not in errors
    assert "Exception" not in errors
    assert running.returncode == 1
    if "--help" not in arguments:
        assert errors == "error: standard output: could not be written (Broken pipe)\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_standard_output_is_an_error(buffered: bool, small_data: Dataset) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["sh", "-c", '"$@" > /dev/full', "sh", *command("inspect", small_data.path, "--json")],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environment if buffered else {**environment, "PYTHONUNBUFFERED": "1"},
    )
    assert done.stderr == "error: standard output: could not be written (No space left on device)\n"
    assert done.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_closed_standard_output_is_an_error_and_no_file_takes_its_place(tmp_path: Path) -> None:
    line = ["sh", "-c", '"$@" >&-', "sh", *command("--help")]
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False)
    assert "could not be written (Bad file descriptor)" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


STARTING = """
import os, signal, sys

class Finder:
    def find_spec(name, *_):
        if name == os.environ["STOPS_AT"]:
            signal.raise_signal(int(os.environ["STOPS_BY"]))

sys.meta_path.insert(0, Finder)
from dien.cli import main
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("module", "number", "said"),
    [
        ("typer", signal.SIGINT, "stopped by Ctrl-C"),
        ("rich.console", signal.SIGTERM, "stopped by SIGTERM"),
        ("torch", signal.SIGHUP, "stopped by SIGHUP"),
    ],
)
def test_a_signal_while_a_command_starts_ends_it_with_one_line(
    module: str, number: signal.Signals, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTING, "evaluate", "nowhere"],
        env={**os.environ, "STOPS_AT": module, "STOPS_BY": str(int(number))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", said + "\n")
