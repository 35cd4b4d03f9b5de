"""Run commands with a fault at one of their file operations, each in a fork of a process that is warmed up.

An operation is whatever the process tells its audit hooks that changes files below a folder, and every sync:
one that is added to the program is found without a change here. Run as ``python -m tests.faults.disturbed
FOLDER`` with what to do, as JSON, on standard input; gives what came of it, as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.commands import COMMANDS, FIRST, Command, make

_CHANGES = {
    "os.rename": (0, 2),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
    "os.mkdir": (0, 2),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.truncate": (0, -1),
    "os.chmod": (0, 2),
    "sync": (0, -1),
}
"""By the name of an event, which of its arguments is the path, and which the folder that it begins at."""
_REMOVES = {"os.remove", "os.rmdir", "os.rename"}  # what a full disk does not refuse
_SECONDS = 300


class Operations:
    """Counts the operations of this process, and does something before one of them."""

    def __init__(self, folder: Path, number: int, fault: Callable[[str, bool], None]) -> None:
        self.count, self.names = 0, list[str]()
        self._folder, self._number, self._fault = str(folder), number, fault
        self._thread, self._quiet = threading.get_ident(), False
        sys.addaudithook(self._hear)
        os.fsync = lambda handle: self._hear("sync", (handle,))  # a killed process needs no more

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._quiet or threading.get_ident() != self._thread:
            return
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            folder = -1
        elif event == "ctypes.dlsym" and "rename" in str(arguments[-1]):
            path, folder = self._folder, -1
        elif event in _CHANGES:
            at, of = _CHANGES[event]
            path, folder = arguments[at], arguments[of] if of >= 0 else -1
        else:
            return
        self._quiet = True
        try:
            name = self._named(path, folder)
            if name != self._folder and not name.startswith(self._folder + "/"):
                return
            self.count += 1
            self.names.append(f"{event} {name.removeprefix(self._folder)}")
            if self.count >= self._number:
                self._fault(event, self.count == self._number)
        finally:
            self._quiet = False

    def _named(self, path: Any, folder: int) -> str:
        if isinstance(path, int):
            return str(Path(f"/proc/self/fd/{path}").readlink())
        start = Path(f"/proc/self/fd/{folder}").readlink() if folder >= 0 else Path.cwd()
        return str(start / os.fsdecode(path))


def kill(event: str, first: bool) -> None:
    if first:
        os.kill(os.getpid(), signal.SIGKILL)


def stop(event: str, first: bool) -> None:
    if first:
        signal.raise_signal(signal.SIGTERM)


def full(event: str, first: bool) -> None:
    """From here on there is no room: what only removes or moves goes on."""
    if event not in _REMOVES:
        raise OSError(28, "No space left on device")


FAULTS = {"killed": kill, "stopped": stop, "full disk": full}


def tree(folder: Path) -> dict[str, Any]:
    """Give what is in a folder: files by their content where that is always the same, else by their kind."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        name = str(path.relative_to(folder))
        if "tensorboard" in name or path.name == "result.json":  # the time is in these
            continue
        timed = path.name.startswith("step-")
        found[name] = hash(path.read_bytes()) if stat.S_ISREG(mode) and not timed else stat.S_IFMT(mode)
    return found


def run(folder: Path, arguments: list[str], number: int = 0, fault: str = "") -> tuple[int, str, list[str]]:
    """Run a command in a fork.

    Returns:
        Its exit code, or minus the signal that has ended it; what it printed on standard error; and its
        operations, where there was no fault.
    """
    said = folder.with_name(folder.name + ".said")
    if (child := os.fork()) == 0:
        try:
            os.dup2(os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            signal.alarm(_SECONDS)
            os.chdir(folder)
            sys.argv = ["dien", *arguments]
            operations = Operations(folder, number or 10**9, FAULTS.get(fault, kill))
            from dien.cli import main

            code = 0
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
            if not fault:
                found = {"operations": operations.names, "modules": list(sys.modules)}
                said.with_suffix(".found").write_text(json.dumps(found))
            os._exit(code)
        except BaseException:
            traceback.print_exc()
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    names: list[str] = []
    if not fault and not code:
        found = json.loads(said.with_suffix(".found").read_text())
        names = found["operations"]
        for module in found["modules"]:  # so that no fork imports them again
            with suppress(Exception):
                importlib.import_module(module)
    return code, said.read_text(errors="replace"), names


class Disturbed:
    """One command: what it makes of a folder, and what a fault at one of its operations makes of it."""

    def __init__(self, folder: Path, command: Command) -> None:
        self._command, self._base, self._work = command, folder / "base", folder / "work"
        self._mended = set[frozenset[Any]]()
        self._fresh()
        self._before = tree(self._work)
        code, said, self.operations = run(self._work, command.arguments)
        if code:
            raise RuntimeError(f"{command.arguments}: {code}: {said}")
        self._after = tree(self._work)
        self.changed = sorted(
            name
            for name in {**self._before, **self._after}
            if self._before.get(name) != self._after.get(name)
        )

    def complaints(self, fault: str, number: int) -> list[str]:
        """Run the command with a fault, then once more without, and say what is not as it should be."""
        self._fresh()
        code, said, _ = run(self._work, self._command.arguments, number, fault)
        wrong = list(self._of_end(fault, code, said))
        found = tree(self._work)
        target = self._command.target

        def of(files: dict[str, Any], inside: bool) -> dict[str, Any]:
            return {
                name: one
                for name, one in files.items()
                if (name == target or name.startswith(target + "/")) == inside
                and not (self._command.resumes and Path(name).parts[0] == target + ".parts")
            }

        unfinished = self._command.resumes and target in found and of(found, True) != of(self._after, True)
        if not unfinished and of(found, True) not in (of(self._before, True), of(self._after, True)):
            wrong.append(f"{target} is neither as before nor as after: {self._differences(found)}")
        others = of(found, False)
        if fault == "killed":
            others = {name: one for name, one in others.items() if not self._left(name)}
        if others != of(self._before, False):
            wrong.append(f"beside {target}: {self._differences(found)}")

        at = self.operations[number - 1]
        wrong += self._again(found, of(found, True) == of(self._after, True))
        return [f"{self._command.name} {fault} at {number} ({at}): {one}" for one in wrong]

    def _again(self, found: dict[str, Any], complete: bool) -> list[str]:
        """Run the command once more, where it has not been run on just this before, and say what is wrong."""
        state = frozenset(
            (re.sub(r"\.[0-9a-f]{8}\b", "", name), one if not self._left(name) else None)
            for name, one in found.items()
            if not self._left(name) or name.count("/") < 2
        )
        if state in self._mended:
            return []
        self._mended.add(state)
        wrong = []
        again = [*self._command.arguments, *(["--resume"] if self._command.resumes else [])]
        code, said, _ = run(self._work, again)
        if code and not (complete and code == 1 and self._command.once):
            wrong.append(f"again: exit code {code}: {said}")
        if "Traceback" in said:
            wrong.append(f"again: {said}")
        if (found := tree(self._work)) != self._after:
            wrong.append(f"again: not as without a fault: {self._differences(found)}")
        return wrong

    def _of_end(self, fault: str, code: int, said: str) -> list[str]:
        right = {"killed": (-signal.SIGKILL,), "stopped": (143,), "full disk": (0, 1)}[fault]
        wrong = [] if code in right else [f"exit code {code}: {said[-2000:]}"]
        if "Traceback" in said or "Exception ignored" in said:
            wrong.append(f"a traceback: {said[-2000:]}")
        lines = [line for line in said.splitlines() if line.startswith("error: ")]
        if fault == "full disk" and code == 1 and len(lines) != 1:
            wrong.append(f"no error: {said}")
        if fault == "stopped" and "stopped by SIGTERM" not in said:
            wrong.append(f"nothing said: {said}")
        return wrong

    def _left(self, name: str) -> bool:
        """Whether a name is that of something that only a killed process may leave."""
        first = Path(name).parts[0]
        return first.startswith(".") and (".scratch." in first or first.endswith((".lock", ".new")))

    def _differences(self, found: dict[str, Any]) -> str:
        names = {**self._before, **self._after, **found}
        odd = [n for n in names if found.get(n) != self._before.get(n) or found.get(n) != self._after.get(n)]
        return ", ".join(
            f"{n} ({'missing' if n not in found else 'there'})"
            for n in odd
            if found.get(n) not in (self._before.get(n), self._after.get(n)) or len(odd) < 20
        )[:1000]

    def _fresh(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._base, self._work)


def _make_base(base: Path) -> None:
    """Make what commands find, in forks: Polars does not outlive a fork once it has computed."""
    if (child := os.fork()) == 0:
        make(base)
        os._exit(0)
    os.waitpid(child, 0)
    for arguments in FIRST:
        code, said, _ = run(base, arguments)
        if code:
            raise RuntimeError(f"{arguments}: {code}: {said}")


def spread(total: int, most: int | None) -> list[int]:
    """Choose numbers from 1 to ``total``, all of them or so many at even distances."""
    if most is None or most >= total:
        return list(range(1, total + 1))
    return sorted({1 + round(place * (total - 1) / (most - 1)) for place in range(most)})


def shares(numbers: list[int], whole: bool) -> dict[str, list[int]]:
    """Give each fault all numbers, or deal them out, so that a sample has as many operations as it can."""
    return {fault: numbers if whole else numbers[at :: len(FAULTS)] for at, fault in enumerate(FAULTS)}


def main() -> None:
    """Do what standard input asks for."""
    import dien.cli.commands
    import dien.data.sources.table
    import dien.serving
    import dien.training  # noqa: F401  # before the first fork, or each would import them

    wanted = json.load(sys.stdin)
    folder = Path(sys.argv[1]).resolve()
    _make_base(folder / "base")
    results: dict[str, Any] = {}
    for command in COMMANDS:
        disturbed = Disturbed(folder, command)
        numbers = spread(len(disturbed.operations), wanted["most"])
        complaints = {
            fault: [text for number in share for text in disturbed.complaints(fault, number)]
            for fault, share in shares(numbers, whole=wanted["most"] is None).items()
        }
        results[command.name] = {
            "operations": disturbed.operations,
            "numbers": numbers,
            "changed": disturbed.changed,
            "complaints": complaints,
        }
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
