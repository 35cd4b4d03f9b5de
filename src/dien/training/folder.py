"""The folder of a command that trains many RUNs: one process at a time, the same arguments every time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dien.run import RunError, differences


@contextmanager
def held(out: Path, name: str, version: int, arguments: Mapping[str, Any], command: str) -> Iterator[None]:
    """Hold a folder, new or of the same arguments, for this process alone; makes ``runs`` in it.

    Args:
        out: the folder.
        name: the file in it that has ``format`` and the arguments; whoever holds the folder writes it.
        version: of that file's format.
        arguments: of the command, as JSON gives them back.
        command: whose folder it is.

    Raises:
        RunError: it is of other arguments, holds anything else, is in use, or cannot be written.
    """
    file = out / name
    if out.exists() and not file.exists() and _holds_something(out, name):
        raise RunError(f"{out}: exists and holds no {name}; choose another --out")
    try:
        (out / "runs").mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error})") from error
    with lock:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system when the process ends
            except OSError as error:
                raise RunError(f"{out}: another {command} is at work here; wait for it") from error
        if file.exists():
            _expect_arguments(file, version, arguments, command)
        yield


def _holds_something(out: Path, name: str) -> bool:
    """Whether a folder without the file holds more than one that was killed as it began."""
    own = {out / ".lock", out / "runs", out / f".{name}.new"}
    return not out.is_dir() or not own.issuperset(out.iterdir()) or any(out.glob("runs/*"))


def _expect_arguments(file: Path, version: int, arguments: Mapping[str, Any], command: str) -> None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found, was = content["format"], {name: content[name] for name in arguments}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file}: not as {command} writes it ({error!r}); choose another --out") from error
    if found != version:
        raise RunError(f"{file}: format {found}, this version of dien writes {version}; choose another --out")
    for key, before, now in differences(was, dict(arguments)):
        raise RunError(
            f"{file}: was made with {key} = {before!r}, not {now!r}; give the same arguments to go on with "
            "it, or choose another --out"
        )
