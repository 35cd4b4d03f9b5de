"""Run the commands of dien: in this process, which is quick, or in one of their own."""

import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unittest import mock

from dien.cli import main


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """Standard error on one line, without the frame of a usage error."""
        return " ".join(self.stderr.replace("│", " ").split())


def dien(*arguments: object, cwd: Path | None = None, stdout: TextIO | None = None) -> Done:
    """Run a command in this process; what it prints goes to ``stdout`` where one is given."""
    out, errors, here = io.StringIO(), io.StringIO(), Path.cwd()
    with (
        mock.patch.object(sys, "argv", ["dien", *map(str, arguments)]),
        mock.patch.dict(os.environ),
        warnings.catch_warnings(),
        redirect_stdout(stdout or out),
        redirect_stderr(errors),
    ):
        try:
            os.chdir(cwd or here)
            main()
            code: Any = 0
        except SystemExit as end:
            code = end.code
        finally:
            os.chdir(here)
    return Done(int(code or 0), out.getvalue(), errors.getvalue())


def ok(*arguments: object) -> dict[str, Any]:
    """Run a command with --json in this process and return its one object."""
    done = dien(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def command(*arguments: object) -> list[str]:
    """Give the command line that runs a command in a process of its own."""
    return [sys.executable, "-m", "dien", *map(str, arguments)]


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
