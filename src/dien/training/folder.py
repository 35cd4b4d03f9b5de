"""The folder of a command that trains many runs: one process at a time, the same arguments every time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dien.config import RunConfig, override
from dien.errors import ConfigError, RunError
from dien.files import is_unfinished, remove_unfinished
from dien.places import owned
from dien.run import differences, with_new_keys


@contextmanager
def one_command(
    out: Path,
    name: str,
    version: int,
    arguments: Mapping[str, Any],
    command: str,
    read: Callable[[dict[str, Any]], dict[str, Any]],
) -> Iterator[None]:
    """Lock a folder, new or of the same arguments, for this process alone; makes ``runs`` in it.

    Args:
        out: the folder.
        name: the file in it that has ``format`` and the arguments; whoever has the lock writes it.
        version: of that file's format.
        arguments: of the command, as JSON gives them back.
        command: whose folder it is.
        read: turns stored arguments, which an earlier version may have written, into those of this one.

    Raises:
        RunError: it is of other arguments, holds anything else, is in use, or cannot be written.
    """
    file = out / name
    try:
        if out.exists() and not file.exists() and _holds_something(out):
            raise RunError(f"{out}: exists and holds no {name}; choose another --out")
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error})") from error
    with owned(out, RunError):
        try:
            (out / "runs").mkdir(parents=True, exist_ok=True)
            remove_unfinished(out)
        except OSError as error:
            raise RunError(f"{out}: cannot be written ({error})") from error
        if file.exists():
            _expect_arguments(file, version, arguments, command, read)
        yield


def settings_now(stored: Mapping[str, Any], where: str) -> RunConfig:
    """Give stored settings the keys that were added since, as they mean what was done without them.

    Args:
        stored: a :class:`~dien.config.RunConfig` as JSON, of this version of dien or an earlier one.
        where: what an error begins with.

    Returns:
        The configuration, with every key.

    Raises:
        ConfigError: a key is no longer there, or no longer takes the value.
    """
    return override(RunConfig(), [with_new_keys(stored)], where=where)


def _holds_something(out: Path) -> bool:
    """Whether a folder without the file holds more than one that was killed as it began."""
    if not out.is_dir() or any(out.glob("runs/*")):
        return True
    return any(path.name not in (".lock", "runs") and not is_unfinished(path) for path in out.iterdir())


def _expect_arguments(
    file: Path,
    version: int,
    arguments: Mapping[str, Any],
    command: str,
    read: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = content["format"]
        was = read({name: content[name] for name in arguments}) if found == version else {}
    except ConfigError as error:
        raise RunError(
            f"{file}: another version of dien has made it, with {error}; choose another --out"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file}: not as {command} writes it ({error!r}); choose another --out") from error
    if found != version:
        raise RunError(f"{file}: format {found}, this version of dien writes {version}; choose another --out")
    for key, before, now in differences(was, dict(arguments)):
        raise RunError(
            f"{file}: was made with {key} = {before!r}, not {now!r}; give the same arguments to go on with "
            "it, or choose another --out"
        )
