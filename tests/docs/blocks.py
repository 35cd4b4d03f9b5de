"""The fenced blocks of a page, run one after the other as a reader would."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.cli.running import dien

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

SHELL = ["cd"], ["export"], ["for"]
"""First words of lines that are for those after them."""


class Block(NamedTuple):
    """A fenced block: its language, the file it is said to be, its text, and its line in the page."""

    language: str
    title: str | None
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2], m[3], text.count("\n", 0, m.start()) + 2) for m in FENCE.finditer(text)]


def run_blocks(page: Path, folder: Path) -> None:
    """Run a page in a folder, the current one: files are written, commands and Python are run.

    A line of ``sh`` that is a command of dien is run in this process, which is quick, any other by bash; the
    first error ends the page. ``python`` and ``pycon`` share their names; what ``pycon`` shows is compared. A
    block with a title is a file; blocks of other languages are only shown.
    """
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks_of(page):
        where = f"{page.name}:{block.line}"
        if block.title is not None:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                alone = not {"|", ">", "<", "&&", ";"} & set(words) and words[:1] not in SHELL
                assert alone, f"{where}: {line}: each line is run by itself; write it as one command"
                done = dien(*words[1:], cwd=folder) if words[:1] == ["dien"] else _bash(line, folder)
                assert done.returncode == 0, f"{where}: {line}: {done.stdout}{done.stderr}"
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language == "pycon":
            _run_session(block, where, names)


def _bash(line: str, folder: Path) -> Any:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )


def _run_session(block: Block, where: str, names: dict[str, Any]) -> None:
    session = doctest.DocTestParser().get_doctest(block.text, names, where, where, 0)
    assert session.examples, f"{where}: no >>> in a pycon block"
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(session, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)
    names.update(session.globs)
